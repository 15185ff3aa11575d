"""Nothing changes a collection between the check of a write and the write: not its rows, fields or name."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pymilvus.grpc_gen import schema_pb2
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, presented
from tests.unit.gateway.row_access.collections import documents, keys, owners, payload
from tests.unit.gateway.row_access.protected import ALICE, move_in, policy, protect, queued

from kiteward.domain.errors import AccessDenied, EngineDeadlineExceeded, EngineRejected
from kiteward.engine.base import EngineHealth
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS
from kiteward.milvus import messages

APART = sorted(name for name, row in OPERATIONS.items() if row.excludes_writes)

BESIDE = sorted(name for name, row in OPERATIONS.items() if row.beside_writes)


@pytest.fixture(autouse=True)
async def docs(harness: GatewayHarness, engine: FakeEngine) -> None:
    await move_in(harness, engine)
    engine.answers["DescribeCollection"] = documents().SerializeToString()
    engine.answers["Query"] = messages.QueryResults(fields_data=[keys(), owners()]).SerializeToString()
    await harness.role("administrators", ("CollectionAdmin", "default", "*"), ("DatabaseAdmin", "default", "*"))


def insert() -> bytes:
    return payload(1, keys(1), owners("alice"))


def about(rpc: str, collection: str = "docs") -> dict[str, Any]:
    """Return the fields of a request that names a collection wherever it names one."""
    row = OPERATIONS[rpc]
    names = dict.fromkeys((*row.collections, *row.new_collections), collection)
    return {**names, **_MORE.get(rpc, {})}


_MORE: Mapping[str, Mapping[str, Any]] = {
    "RenameCollection": {"newName": "renamed"},
    "RestoreSnapshot": {"name": "saved", "target_collection_name": "restored"},
    "AddCollectionField": {"schema": schema_pb2.FieldSchema(name="added").SerializeToString()},
    "AddCollectionStructField": {"struct_array_field_schema": {"name": "added", "fields": [{"name": "part"}]}},
}


def test_the_changes_that_exclude_writes_are_these() -> None:
    assert APART == [
        "AddCollectionField",
        "AddCollectionFunction",
        "AddCollectionStructField",
        "AlterCollection",
        "AlterCollectionField",
        "AlterCollectionFunction",
        "AlterCollectionSchema",
        "BatchUpdateManifest",
        "CreateCollection",
        "DropCollection",
        "DropCollectionFunction",
        "DropNamespace",
        "DropPartition",
        "Import",
        "RefreshExternalCollection",
        "RenameCollection",
        "RestoreSnapshot",
        "TruncateCollection",
    ]


def test_changes_beside_writes_name_collections_and_change_neither_rows_nor_fields() -> None:
    assert BESIDE == [
        "AlterAlias",
        "AlterIndex",
        "CreateAlias",
        "CreateIndex",
        "CreateNamespace",
        "CreatePartition",
        "CreateSnapshot",
        "DropIndex",
        "DropSnapshot",
        "ExportSnapshot",
        "Flush",
        "LoadBalance",
        "LoadCollection",
        "LoadPartitions",
        "ManualCompaction",
        "PinSnapshotData",
        "Prewarm",
        "ReleaseCollection",
        "ReleasePartitions",
        "TransferReplica",
    ]
    for name in BESIDE:
        row = OPERATIONS[name]
        assert row.by_engine, name
        assert row.changes, name
        assert row.collections, name


@pytest.mark.parametrize("rpc", APART)
async def test_change_waits_for_the_write_whose_check_has_begun(
    harness: GatewayHarness, engine: FakeEngine, rpc: str
) -> None:
    go = engine.hold("Query")
    write = asyncio.create_task(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Query")
    change = asyncio.create_task(harness.call(rpc, **about(rpc)))
    await queued(harness, change)
    assert not engine.called(rpc)
    go.set()
    await write
    await change
    assert [call.method for call in engine.calls if call.method in ("Insert", rpc)] == ["Insert", rpc]


async def test_new_name_of_a_collection_waits_for_the_writes_to_that_name(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    go = engine.hold("Insert")
    write = asyncio.create_task(harness.call("Insert", collection_name="open", by="alice"))
    await engine.reached("Insert")
    change = asyncio.create_task(harness.call("RenameCollection", oldName="docs", newName="open"))
    await queued(harness, change)
    assert not engine.called("RenameCollection")
    go.set()
    await asyncio.wait([write, change])


@pytest.mark.parametrize("rpc", ["TruncateCollection", "DropCollection"])
async def test_write_waits_for_a_change_in_progress_and_is_then_authorized_again(
    harness: GatewayHarness, engine: FakeEngine, rpc: str
) -> None:
    go = engine.hold(rpc)
    change = asyncio.create_task(harness.call(rpc, collection_name="docs"))
    await engine.reached(rpc)
    write = asyncio.create_task(harness.call("Insert", by="alice", payload=insert()))
    await queued(harness, write)
    assert not engine.called("Query")
    await protect(harness, policy(check_expr="owner == 'bob'"))
    go.set()
    await change
    await asyncio.wait([write])
    if rpc == "TruncateCollection":
        assert isinstance(write.exception(), AccessDenied)
        assert not engine.called("Insert")


async def test_write_that_was_checked_is_never_made_in_a_collection_that_took_the_name(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    go = engine.hold("Query")
    write = asyncio.create_task(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Query")

    async def replace() -> None:
        await harness.succeed("DropCollection", collection_name="docs")
        properties = [messages.KeyValuePair(key="rls.enabled", value="true")]
        await harness.succeed("CreateCollection", collection_name="docs", properties=properties)

    replacing = asyncio.create_task(replace())
    await queued(harness, replacing)
    go.set()
    await write
    await replacing
    order = [call.method for call in engine.calls if call.method in ("Insert", "DropCollection", "CreateCollection")]
    assert order == ["Insert", "DropCollection", "CreateCollection"]
    with pytest.raises(AccessDenied):
        await harness.call("Insert", by="alice", payload=insert())


async def test_change_that_waits_for_a_write_ends_with_its_deadline(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    go = engine.hold("Query")
    write = asyncio.create_task(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Query")
    with pytest.raises(EngineDeadlineExceeded):
        await harness.gateway.handle(
            Call(
                "TruncateCollection",
                messages.method_of("TruncateCollection").request(collection_name="docs").SerializeToString(),
                presented("root"),
                timeout=0.01,
            )
        )
    go.set()
    await write
    assert not engine.called("TruncateCollection")


async def test_write_waits_for_a_change_whose_caller_has_left(harness: GatewayHarness, engine: FakeEngine) -> None:
    go = engine.hold("TruncateCollection")
    change = asyncio.create_task(harness.call("TruncateCollection", collection_name="docs"))
    await engine.reached("TruncateCollection")
    change.cancel()
    await asyncio.wait([change])
    write = asyncio.create_task(harness.call("Insert", by="alice", payload=insert()))
    await queued(harness, write)
    assert not engine.called("Query")
    go.set()
    await write
    await harness.gateway.drain()


async def test_changes_of_other_collections_do_not_wait(harness: GatewayHarness, engine: FakeEngine) -> None:
    go = engine.hold("Query")
    write = asyncio.create_task(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Query")
    await harness.succeed("TruncateCollection", collection_name="open")
    await harness.succeed("DropCollection", collection_name="open")
    go.set()
    await write


async def test_row_whose_vector_is_searched_for_stays_the_one_that_was_found_visible(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.ready = EngineHealth(ready=True, version="2.6.0")
    counted = schema_pb2.FieldData(field_name="count(*)")
    counted.scalars.long_data.data.append(1)
    engine.answers["Query"] = messages.QueryResults(fields_data=[counted]).SerializeToString()
    go = engine.hold("Search")
    ids = schema_pb2.IDs(int_id=schema_pb2.LongArray(data=[1]))
    search = asyncio.create_task(harness.call("Search", by="alice", collection_name="docs", ids=ids))
    await engine.reached("Search")
    away = asyncio.create_task(harness.call("Upsert", payload=payload(1, keys(1), owners("bob"), rpc="Upsert")))
    await queued(harness, away)
    assert not engine.called("Upsert")
    go.set()
    await search
    await away
    assert engine.called("Upsert")


async def take_the_name(harness: GatewayHarness) -> None:
    """Give the name `open` to the collection with row policies."""
    await harness.succeed("RenameCollection", oldName="open", newName="away")
    await harness.succeed("RenameCollection", oldName="docs", newName="open")


def filters(engine: FakeEngine) -> list[str]:
    return [call.request.expr for call in engine.called("Query")]


async def test_read_of_a_collection_whose_name_another_one_took_is_authorized_by_the_policies_of_that(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    go = engine.hold("Query")
    read = asyncio.create_task(harness.call("Query", by="alice", collection_name="open", expr="id > 0"))
    await engine.reached("Query")
    await take_the_name(harness)
    go.set()
    await read
    assert filters(engine) == ["id > 0", f"{ALICE} and id > 0"]


async def test_read_beside_a_change_waits_for_its_end_and_is_then_repeated(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    await harness.succeed("RenameCollection", oldName="open", newName="away")
    go = engine.hold("RenameCollection")
    change = asyncio.create_task(harness.call("RenameCollection", oldName="docs", newName="open"))
    await engine.reached("RenameCollection")
    read = asyncio.create_task(harness.call("Query", by="alice", collection_name="open"))
    await queued(harness, read)
    go.set()
    await change
    await read
    assert filters(engine)[-1] == ALICE


async def test_failure_of_a_read_that_was_overtaken_is_not_reported(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    go = engine.hold("Query")
    read = asyncio.create_task(harness.call("Query", by="alice", collection_name="open", expr="id > 0"))
    await engine.reached("Query")
    await take_the_name(harness)
    engine.failures["Query"] = EngineRejected("a secret field is no number")
    go.set()
    with pytest.raises(EngineRejected) as caught:
        await read
    assert "secret" not in str(caught.value)
    assert len(engine.called("Query")) == 2


async def test_overtaken_read_is_refused_where_its_caller_may_not_read_what_has_the_name_now(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    await harness.role("readers", ("Query", "default", "open"))
    await harness.user("dora", "readers")
    go = engine.hold("Query")
    read = asyncio.create_task(harness.call("Query", by="dora", collection_name="open"))
    await engine.reached("Query")
    await take_the_name(harness)
    await harness.revoke("readers", "Query", collection="open")
    go.set()
    with pytest.raises(AccessDenied):
        await read


async def test_read_beside_other_reads_and_writes_is_executed_once(harness: GatewayHarness, engine: FakeEngine) -> None:
    go = engine.hold("Query")
    read = asyncio.create_task(harness.call("Query", by="alice", collection_name="open"))
    await engine.reached("Query")
    await harness.call("Insert", collection_name="open", by="alice")
    await harness.succeed("CreateIndex", collection_name="open", field_name="vector")
    await harness.succeed("TruncateCollection", collection_name="docs")
    go.set()
    await read
    assert len(engine.called("Query")) == 1


async def test_read_that_waits_for_a_change_ends_with_its_deadline(harness: GatewayHarness, engine: FakeEngine) -> None:
    go = engine.hold("TruncateCollection")
    change = asyncio.create_task(harness.call("TruncateCollection", collection_name="open"))
    await engine.reached("TruncateCollection")
    payload = messages.QueryRequest(collection_name="open").SerializeToString()
    with pytest.raises(EngineDeadlineExceeded):
        await harness.gateway.handle(Call("Query", payload, presented("root"), timeout=0.01))
    go.set()
    await change
