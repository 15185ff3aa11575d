"""Lists show what the caller may see, columns stay in step, and what is hidden looks absent."""

import asyncio
from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, presented

from kiteward.domain.errors import AccessDenied, DatabaseNotFound, EngineResponseUnreadable
from kiteward.gateway import response_filter
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS
from kiteward.milvus import messages


@pytest.fixture
async def peopled(harness: GatewayHarness, engine: FakeEngine) -> GatewayHarness:
    """Alice may query `docs` of three collections, and nothing in the database `other`."""
    engine.create("before", "docs", "after")
    engine.create("papers", database="other")
    engine.databases["default"].aliases.update(current="docs", hidden="after")
    harness.catalog.forget(["default"])
    await harness.role("reader", ("Query", "default", "docs"))
    await harness.user("alice", "reader")
    await harness.user("bob")
    return harness


async def shown(harness: GatewayHarness, by: str, **arguments: Any) -> list[str]:
    return list((await harness.succeed("ShowCollections", by=by, **arguments)).collection_names)


async def test_collections_are_trimmed_with_every_column_in_step(peopled: GatewayHarness) -> None:
    answer = await peopled.succeed("ShowCollections", by="alice")
    assert list(answer.collection_names) == ["docs"]
    assert list(answer.collection_ids) == [2]
    assert list(answer.created_timestamps) == [20]
    assert list(answer.created_utc_timestamps) == [200]
    assert list(answer.shards_num) == [1]
    # What the engine left empty stays empty.
    assert list(answer.inMemory_percentages) == list(answer.query_service_available) == []


def test_every_repeated_field_of_a_list_is_trimmed() -> None:
    columns = {
        "ShowCollections": set(response_filter._COLLECTION_COLUMNS),
        "ListDatabases": set(response_filter._DATABASE_COLUMNS),
        "ListAliases": {"aliases"},
    }
    assert set(columns) == {name for name, row in OPERATIONS.items() if row.filter_response is not None}
    for method, trimmed in columns.items():
        fields = messages.method_of(method).response.DESCRIPTOR.fields
        assert {field.name for field in fields if field.is_repeated} == trimmed


async def test_root_and_admin_see_everything_and_nobody_nothing(peopled: GatewayHarness) -> None:
    await peopled.user("boss", "admin")
    for by in ("root", "boss"):
        assert await shown(peopled, by) == ["before", "docs", "after"]
    assert await shown(peopled, "bob") == []


async def test_answer_for_those_who_see_everything_stays_byte_for_byte(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    answer = messages.ShowCollectionsResponse(collection_names=["docs"]).SerializeToString() + b"\xf2\xff\x01\x03new"
    engine.answers["ShowCollections"] = answer
    for by in ("root", "alice"):
        assert (await peopled.call("ShowCollections", by=by)).SerializeToString() == answer


async def test_columns_of_different_lengths_are_not_shown(peopled: GatewayHarness, engine: FakeEngine) -> None:
    listed = messages.ShowCollectionsResponse(collection_names=["before", "docs"], collection_ids=[1, 2, 3])
    engine.answers["ShowCollections"] = listed.SerializeToString()
    with pytest.raises(EngineResponseUnreadable):
        await peopled.call("ShowCollections", by="alice")


async def test_databases_are_trimmed_with_every_column_in_step(peopled: GatewayHarness) -> None:
    answer = await peopled.succeed("ListDatabases", by="alice")
    assert (list(answer.db_names), list(answer.db_ids), list(answer.created_timestamp)) == (["default"], [1], [1])
    assert list((await peopled.succeed("ListDatabases", by="bob")).db_names) == []
    assert list((await peopled.succeed("ListDatabases")).db_names) == ["default", "other"]


async def test_aliases_are_trimmed_to_those_of_collections_the_caller_sees(peopled: GatewayHarness) -> None:
    assert list((await peopled.succeed("ListAliases", by="alice")).aliases) == ["current"]
    assert list((await peopled.succeed("ListAliases", by="bob")).aliases) == []
    assert list((await peopled.succeed("ListAliases")).aliases) == ["current", "hidden"]


async def test_list_is_trimmed_by_the_policy_of_when_it_is_answered(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    gate = engine.hold("ShowCollections")
    listing = asyncio.create_task(shown(peopled, "alice"))
    await engine.reached("ShowCollections")
    await peopled.revoke("reader", "Query", "default", "docs")
    gate.set()
    assert await listing == []


async def test_failed_list_is_passed_on(peopled: GatewayHarness, engine: FakeEngine) -> None:
    engine.answers["ShowCollections"] = messages.failure(
        "ShowCollections", code=5, legacy_code=messages.ErrorCode.UnexpectedError, reason="away"
    )
    assert (await peopled.status("ShowCollections", by="alice")).code == 5


# Absence


async def test_hidden_collection_looks_like_a_missing_one(peopled: GatewayHarness, engine: FakeEngine) -> None:
    engine.calls.clear()
    for name in ("after", "missing", "hidden"):
        assert not (await peopled.succeed("HasCollection", by="alice", collection_name=name)).value
        status = await peopled.status("DescribeCollection", by="alice", collection_name=name)
        assert (status.code, status.error_code) == (100, 4)
        assert status.reason == f"collection not found[database=default][collection={name}]"
    assert engine.called("HasCollection") == engine.called("DescribeCollection") == []


async def test_any_privilege_makes_a_collection_visible_by_name_and_alias(peopled: GatewayHarness) -> None:
    for name in ("docs", "current"):
        assert (await peopled.succeed("HasCollection", by="alice", collection_name=name)).value
        described = await peopled.succeed("DescribeCollection", by="alice", collection_name=name)
        assert described.collection_name == "docs"


async def test_description_by_id_needs_the_privilege_on_everything(peopled: GatewayHarness) -> None:
    assert (await peopled.status("DescribeCollection", by="alice", collectionID=2)).code == 100
    await peopled.grant("reader", "DescribeCollection", "default", "*")
    await peopled.status("DescribeCollection", by="alice", collectionID=2)


async def test_missing_database_is_reported_only_to_those_who_would_see_it(peopled: GatewayHarness) -> None:
    for database in ("missing", "other"):
        assert await shown(peopled, "bob", db_name=database) == []
    with pytest.raises(DatabaseNotFound):
        await peopled.call("ShowCollections", db_name="missing")
    await peopled.grant("reader", "Query", "*", "*")
    with pytest.raises(DatabaseNotFound):
        await peopled.call("ShowCollections", by="alice", db_name="missing")


async def test_other_operations_are_refused_openly(peopled: GatewayHarness) -> None:
    for method in ("Insert", "GetLoadState", "DropIndex", "ShowPartitions"):
        with pytest.raises(AccessDenied):
            await peopled.call(method, by="alice", collection_name="after")


async def test_responses_that_list_nothing_pass_unread(peopled: GatewayHarness, engine: FakeEngine) -> None:
    answer = engine.answers["Query"] = messages.success("Query") + b"\xf2\xff\x01\x03new"
    call = Call("Query", messages.QueryRequest(collection_name="docs").SerializeToString(), presented("alice"))
    assert await peopled.gateway.handle(call) == answer
