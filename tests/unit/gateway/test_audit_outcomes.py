"""The reason that a line of the audit trail has: that of the refusal, wherever in the request it was refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, own_call

from kiteward.audit.events import Outcome
from kiteward.domain.errors import AccessDenied


@pytest.fixture
async def audited(store_path: Path) -> AsyncIterator[GatewayHarness]:
    """Alice is no administrator; nothing is recorded yet."""
    engine = FakeEngine()
    engine.create("docs")
    async with opened(store_path, engine) as harness:
        await harness.role("writer", ("Insert", "default", "docs"), ("Query", "default", "docs"))
        await harness.user("alice", "writer")
        harness.trail.events.clear()
        yield harness


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("ExplainAccess", {"userName": "root", "privilege": "Query"}),
        ("CreateApiKey", {"userName": "root", "description": "d"}),
        ("ListUserAccounts", {}),
    ],
)
async def test_refusal_by_what_executes_a_request_is_the_decision_with_its_reason(
    audited: GatewayHarness, operation: str, arguments: dict[str, str]
) -> None:
    with pytest.raises(AccessDenied):
        await audited.gateway.handle(own_call(operation, "alice", **arguments))
    event = audited.trail.events[-1]
    assert (event.outcome, event.decision, event.reason) == (
        Outcome.REFUSED,
        "refused",
        "`alice` does not hold the role `admin`",
    )
    assert not [each for each in audited.trail.events if each.outcome is Outcome.REFUSED and each.decision == "allowed"]
