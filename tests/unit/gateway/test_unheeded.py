"""What the engine would ignore is refused after the decision, by its kind and version; everything else is forwarded."""

from typing import Any

import pytest
from pymilvus.grpc_gen import milvus_pb2
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, presented

from kiteward.domain.errors import AccessDenied, InvalidArgument
from kiteward.engine.base import EngineHealth
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.unheeded import RULES
from kiteward.milvus import messages

EMBEDDED = EngineHealth(ready=True, embedded=True)
OLD = EngineHealth(ready=True, version="2.3.5-lite")
NEW = EngineHealth(ready=True, version="2.6.1")
UNKNOWN = EngineHealth(ready=True)


async def send(harness: GatewayHarness, operation: str, *, user: str = "root", **fields: Any) -> None:
    """Send a request about a collection that is there."""
    request = messages.method_of(operation).request(collection_name="docs", **fields)
    await harness.gateway.handle(Call(operation, request.SerializeToString(), presented(user)))


def be(engine: FakeEngine, health: EngineHealth) -> None:
    engine.databases["default"].collections.append("docs")
    engine.ready = health


@pytest.mark.parametrize(
    ("health", "operation", "fields", "told"),
    [
        (EMBEDDED, "LoadCollection", {"replica_number": 2}, "`replica_number` is not accepted by the embedded engine"),
        (EMBEDDED, "Search", {"search_by_primary_keys": True}, "send the vectors"),
        (EMBEDDED, "Query", {"travel_timestamp": 1}, "no version of Milvus"),
        (NEW, "Query", {"travel_timestamp": 1}, "no version of Milvus"),
        (UNKNOWN, "Query", {"travel_timestamp": 1}, "no version of Milvus"),
        (OLD, "Upsert", {"partial_update": True}, "by Milvus 2.3.5-lite, which would ignore it"),
        (OLD, "Search", {}, "which fails unless it is 1"),
    ],
)
async def test_field_that_the_engine_ignores_is_refused_by_name(
    harness: GatewayHarness,
    engine: FakeEngine,
    health: EngineHealth,
    operation: str,
    fields: dict[str, Any],
    told: str,
) -> None:
    be(engine, health)
    with pytest.raises(InvalidArgument, match=told):
        await send(harness, operation, **fields)
    assert operation not in {call.method for call in engine.calls}


@pytest.mark.parametrize(
    ("health", "operation", "fields"),
    [
        (EMBEDDED, "LoadCollection", {"replica_number": 1, "resource_groups": ["__default_resource_group"]}),
        (EMBEDDED, "Upsert", {"partial_update": True}),
        (EMBEDDED, "Search", {}),
        (NEW, "Upsert", {"partial_update": True}),
        (NEW, "LoadCollection", {"replica_number": 2}),
        (OLD, "Search", {"dsl_type": 1}),
        (UNKNOWN, "Upsert", {"partial_update": True}),
    ],
)
async def test_field_that_the_engine_heeds_is_forwarded(
    harness: GatewayHarness,
    engine: FakeEngine,
    health: EngineHealth,
    operation: str,
    fields: dict[str, Any],
) -> None:
    be(engine, health)
    await send(harness, operation, **fields)
    assert operation in {call.method for call in engine.calls}


async def test_who_is_not_allowed_learns_nothing_of_the_engine(harness: GatewayHarness, engine: FakeEngine) -> None:
    be(engine, EMBEDDED)
    await harness.user("alice")
    with pytest.raises(AccessDenied):
        await send(harness, "Query", user="alice", travel_timestamp=1)


def test_every_rule_applies_to_an_operation() -> None:
    found = {place.rule for row in OPERATIONS.values() for place in row.unheeded_places}
    assert found == set(RULES)
    assert milvus_pb2.SearchRequest.DESCRIPTOR.full_name in {rule.message for rule in RULES}
