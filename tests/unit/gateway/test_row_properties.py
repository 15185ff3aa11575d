"""The properties of row policies: kept here, effective at once, and with their collection at every moment."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.described import described
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened

from kiteward.authz.row_policies import CompiledRowRules, PolicyType, RowAction, RowPolicy
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AccessDenied, EngineDeadlineExceeded, EngineUnavailable, RequestRefused
from kiteward.milvus import messages

ON, FORCED = {"key": "rls.enabled", "value": "true"}, {"key": "rls.force", "value": "True"}
OFF, TTL = {"key": "rls.enabled", "value": "false"}, {"key": "collection.ttl.seconds", "value": "60"}
POLICY = RowPolicy("p", PolicyType.PERMISSIVE, actions=frozenset({RowAction.QUERY}), using_expr="owner == 'a'")


@pytest.fixture
async def docs(harness: GatewayHarness, engine: FakeEngine) -> GatewayHarness:
    engine.create("docs")
    engine.create("docs", database="other")
    harness.catalog.forget(["default"])
    return harness


async def protect(docs: GatewayHarness, name: str = "docs", *, enabled: bool = True) -> None:
    async with docs.policy_cache.change() as transaction:
        await transaction.row_policies.put("default", name, POLICY)
        await transaction.row_policies.protect("default", name, enabled=enabled, force=False)


def rules(docs: GatewayHarness, name: str = "docs", database: str = "default") -> CompiledRowRules | None:
    return docs.policy_cache.current().row_rules.get((database, name))


def protected(docs: GatewayHarness, name: str = "docs", database: str = "default") -> bool:
    return docs.policy_cache.current().protected(database, name) is not None


async def alter(docs: GatewayHarness, *properties: dict[str, str], **fields: Any) -> Any:
    return await docs.succeed("AlterCollection", collection_name="docs", properties=properties, **fields)


# AlterCollection


async def test_properties_of_row_policies_are_kept_here_and_others_forwarded(
    docs: GatewayHarness, engine: FakeEngine
) -> None:
    await alter(docs, ON, TTL, FORCED)
    (call,) = engine.called("AlterCollection")
    assert [pair.key for pair in call.request.properties] == ["collection.ttl.seconds"]
    found = rules(docs)
    assert found is not None
    assert (found.enabled, found.force) == (True, True)


async def test_a_request_about_row_policies_alone_does_not_reach_the_engine(
    docs: GatewayHarness, engine: FakeEngine
) -> None:
    await alter(docs, ON)
    assert protected(docs)
    await alter(docs, delete_keys=["rls.enabled"])
    assert not protected(docs)
    assert not engine.called("AlterCollection")


async def test_other_requests_are_forwarded_as_they_are(docs: GatewayHarness, engine: FakeEngine) -> None:
    await alter(docs, TTL)
    await alter(docs, delete_keys=["collection.ttl.seconds"])
    first, second = engine.called("AlterCollection")
    assert [pair.key for pair in first.request.properties] == ["collection.ttl.seconds"]
    assert list(second.request.delete_keys) == ["collection.ttl.seconds"]


async def test_enabling_precedes_the_part_of_the_engine_and_disabling_follows_it(
    docs: GatewayHarness, engine: FakeEngine
) -> None:
    for properties, before, after in (((ON, TTL), True, True), ((OFF, TTL), True, False)):
        gate = engine.hold("AlterCollection")
        change = asyncio.create_task(alter(docs, *properties))
        await engine.reached("AlterCollection")
        assert protected(docs) is before
        gate.set()
        await change
        assert protected(docs) is after


async def test_what_the_engine_refuses_leaves_enabling_and_does_not_disable(
    docs: GatewayHarness, engine: FakeEngine
) -> None:
    engine.failures["AlterCollection"] = EngineUnavailable("gone")
    with pytest.raises(EngineUnavailable):
        await alter(docs, ON, TTL)
    assert protected(docs)
    with pytest.raises(EngineUnavailable):
        await alter(docs, OFF, TTL)
    assert protected(docs)


@pytest.mark.parametrize(
    ("properties", "deleted", "code"),
    [
        ([{"key": "rls.enabled", "value": "yes"}], [], ErrorCode.RLS_PROPERTY_VALUE),
        ([{"key": "rls.enabled", "value": ""}], [], ErrorCode.RLS_PROPERTY_VALUE),
        ([{"key": "rls.enable", "value": "true"}], [], ErrorCode.RLS_PROPERTY_UNKNOWN),
        ([{"key": "RLS.Enabled", "value": "true"}], [], ErrorCode.RLS_PROPERTY_UNKNOWN),
        ([{"key": " rls.enabled", "value": "true"}], [], ErrorCode.RLS_PROPERTY_UNKNOWN),
        ([], ["rls.other"], ErrorCode.RLS_PROPERTY_UNKNOWN),
        ([ON, OFF], [], ErrorCode.RLS_PROPERTY_TWICE),
        ([ON], ["rls.enabled"], ErrorCode.RLS_PROPERTY_TWICE),
    ],
)
async def test_what_would_be_ignored_or_is_ambiguous_is_refused(
    docs: GatewayHarness, engine: FakeEngine, properties: list[dict[str, str]], deleted: list[str], code: ErrorCode
) -> None:
    with pytest.raises(RequestRefused) as refused:
        await alter(docs, *properties, delete_keys=deleted)
    assert refused.value.code is code
    assert rules(docs) is None
    assert not engine.called("AlterCollection")


async def test_a_collection_that_is_missing_is_not_protected(docs: GatewayHarness) -> None:
    with pytest.raises(RequestRefused) as refused:
        await docs.call("AlterCollection", collection_name="none", properties=[ON])
    assert refused.value.code is ErrorCode.COLLECTION_NOT_FOUND
    assert rules(docs, "none") is None


async def test_the_collection_behind_an_alias_is_protected(docs: GatewayHarness) -> None:
    await docs.succeed("CreateAlias", collection_name="docs", alias="current")
    await docs.succeed("AlterCollection", collection_name="current", properties=[ON])
    assert protected(docs)


@pytest.mark.parametrize(
    ("method", "needed", "fields"),
    [
        ("AlterCollection", "CreateCollection", {"collection_name": "docs", "properties": [ON]}),
        ("AlterCollection", "CreateCollection", {"collection_name": "docs", "delete_keys": ["rls.force"]}),
        ("CreateCollection", "CreateCollection", {"collection_name": "fresh", "properties": [OFF]}),
    ],
)
async def test_they_need_manage_rls_besides(
    docs: GatewayHarness, method: str, needed: str, fields: dict[str, Any]
) -> None:
    await docs.role("maker", (needed, "default", "*"))
    await docs.user("alice", "maker")
    with pytest.raises(AccessDenied, match="ManageRLS"):
        await docs.call(method, by="alice", **fields)
    await docs.grant("maker", "ManageRLS", "default", "*")
    await docs.succeed(method, by="alice", **fields)


async def test_changes_are_recorded_in_full(docs: GatewayHarness) -> None:
    await alter(docs, ON, TTL)
    details = docs.trail.events[-1].details
    assert details["properties"] == [ON, TTL]


# DescribeCollection


async def test_a_description_shows_them_where_they_were_ever_set(docs: GatewayHarness, engine: FakeEngine) -> None:
    engine.answers["DescribeCollection"] = described(owner="VarChar")
    plain = await docs.succeed("DescribeCollection", collection_name="docs")
    assert not plain.properties
    await alter(docs, ON)
    shown = await docs.succeed("DescribeCollection", collection_name="docs")
    assert {pair.key: pair.value for pair in shown.properties} == {"rls.enabled": "true", "rls.force": "false"}
    assert shown.schema == plain.schema


# CreateCollection


async def test_a_new_collection_is_protected_before_the_engine_knows_it(
    docs: GatewayHarness, engine: FakeEngine
) -> None:
    gate = engine.hold("CreateCollection")
    change = asyncio.create_task(docs.succeed("CreateCollection", collection_name="fresh", properties=[ON, TTL]))
    await engine.reached("CreateCollection")
    assert protected(docs, "fresh")
    gate.set()
    await change
    assert protected(docs, "fresh")
    (call,) = engine.called("CreateCollection")
    assert [pair.key for pair in call.request.properties] == ["collection.ttl.seconds"]


async def test_what_the_engine_did_not_create_is_not_protected(docs: GatewayHarness, engine: FakeEngine) -> None:
    engine.failures["CreateCollection"] = EngineUnavailable("gone")
    with pytest.raises(EngineUnavailable):
        await docs.succeed("CreateCollection", collection_name="fresh", properties=[ON])
    del engine.failures["CreateCollection"]
    await docs.succeed("CreateCollection", collection_name="other_one")
    assert rules(docs, "fresh") is None


async def test_a_collection_that_exists_is_not_protected_by_creating_it_again(docs: GatewayHarness) -> None:
    with pytest.raises(RequestRefused) as refused:
        await docs.call("CreateCollection", collection_name="docs", properties=[ON])
    assert refused.value.code is ErrorCode.RLS_PROPERTY_DIFFERS
    assert rules(docs) is None


async def test_a_property_in_the_schema_is_refused(docs: GatewayHarness) -> None:
    schema = messages.schema_pb2.CollectionSchema(name="fresh")
    schema.properties.add(key="rls.enabled", value="true")
    with pytest.raises(RequestRefused) as refused:
        await docs.call("CreateCollection", collection_name="fresh", schema=schema.SerializeToString())
    assert refused.value.code is ErrorCode.RLS_PROPERTY_IN_SCHEMA


# What follows its collection


async def test_a_dropped_collection_is_not_protected_when_it_is_created_again(docs: GatewayHarness) -> None:
    await protect(docs)
    await docs.succeed("DropCollection", collection_name="docs")
    assert rules(docs) is None
    await docs.succeed("CreateCollection", collection_name="docs")
    assert rules(docs) is None


async def test_it_stays_protected_until_the_engine_has_dropped_it(docs: GatewayHarness, engine: FakeEngine) -> None:
    await protect(docs)
    engine.failures["DropCollection"] = EngineUnavailable("gone")
    with pytest.raises(EngineUnavailable):
        await docs.succeed("DropCollection", collection_name="docs")
    assert protected(docs)


@pytest.mark.parametrize("enabled", [True, False])
async def test_grants_of_a_protected_collection_are_not_kept_for_who_drops_it(
    docs: GatewayHarness, enabled: bool
) -> None:
    await protect(docs, enabled=enabled)
    await docs.role("maker", ("DropCollection", "default", "*"), ("Query", "default", "docs"))
    await docs.user("alice", "maker")
    await docs.succeed("DropCollection", by="alice", collection_name="docs")
    held = await docs.grants("maker")
    assert any(name == "docs" for _, _, name, _ in held) is not enabled


async def test_a_renamed_collection_is_protected_under_both_names_while_it_is_renamed(
    docs: GatewayHarness, engine: FakeEngine
) -> None:
    await protect(docs)
    gate = engine.hold("RenameCollection")
    change = asyncio.create_task(docs.succeed("RenameCollection", oldName="docs", newName="papers"))
    await engine.reached("RenameCollection")
    assert protected(docs)
    assert protected(docs, "papers")
    gate.set()
    await change
    assert rules(docs) is None
    found = rules(docs, "papers")
    assert found is not None
    assert [policy.name for policy in found.stored.policies] == ["p"]


async def test_a_rename_that_the_engine_refuses_leaves_the_protection_where_it_was(
    docs: GatewayHarness, engine: FakeEngine
) -> None:
    await protect(docs)
    engine.failures["RenameCollection"] = EngineUnavailable("gone")
    with pytest.raises(EngineUnavailable):
        await docs.succeed("RenameCollection", oldName="docs", newName="papers")
    del engine.failures["RenameCollection"]
    await docs.succeed("CreateAlias", collection_name="docs", alias="whatever")
    assert protected(docs)
    assert rules(docs, "papers") is None


async def test_it_takes_its_protection_into_another_database(docs: GatewayHarness) -> None:
    await protect(docs)
    await docs.succeed("RenameCollection", oldName="docs", newName="papers", newDBName="other")
    assert rules(docs) is None
    assert protected(docs, "papers", "other")


async def test_a_dropped_database_takes_the_protection_of_its_collections(
    docs: GatewayHarness, engine: FakeEngine
) -> None:
    async with docs.policy_cache.change() as transaction:
        await transaction.row_policies.protect("other", "docs", enabled=True, force=False)
    engine.databases["other"].collections.clear()
    await docs.succeed("DropDatabase", db_name="other")
    assert rules(docs, "docs", "other") is None


@pytest.mark.parametrize("acted", [True, False])
async def test_a_rename_whose_answer_is_lost_is_resolved_at_the_next_start(
    docs: GatewayHarness, engine: FakeEngine, acted: bool
) -> None:
    await protect(docs)
    failures = engine.failures_after if acted else engine.failures
    failures["RenameCollection"] = EngineDeadlineExceeded("lost")
    engine_gone = {"HasCollection": EngineUnavailable("gone")}
    change = asyncio.create_task(docs.call("RenameCollection", oldName="docs", newName="papers"))
    with pytest.raises(EngineDeadlineExceeded):
        await change
    engine.failures.update(engine_gone)
    await docs.ddl.close()
    assert protected(docs)
    assert protected(docs, "papers")
    engine.failures.clear()
    engine.failures_after.clear()
    async with opened(Path(docs.store.place), engine) as again:
        assert protected(again) is not acted
        assert protected(again, "papers") is acted


@pytest.mark.parametrize("acted", [True, False])
async def test_a_creation_whose_answer_is_lost_is_resolved_at_the_next_start(
    docs: GatewayHarness, engine: FakeEngine, acted: bool
) -> None:
    failures = engine.failures_after if acted else engine.failures
    failures["CreateCollection"] = EngineDeadlineExceeded("lost")
    with pytest.raises(EngineDeadlineExceeded):
        await docs.call("CreateCollection", collection_name="fresh", properties=[ON])
    engine.failures["HasCollection"] = EngineUnavailable("gone")
    await docs.ddl.close()
    assert protected(docs, "fresh")
    engine.failures.clear()
    engine.failures_after.clear()
    async with opened(Path(docs.store.place), engine) as again:
        assert protected(again, "fresh") is acted
