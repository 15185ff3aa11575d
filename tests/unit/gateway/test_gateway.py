"""The gateway: the order of its steps, and which requests it forwards for whom."""

import asyncio
from collections.abc import Awaitable

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, SteppingClock, encoded, presented

from kiteward.domain.errors import (
    AccessDenied,
    AuthenticationError,
    CredentialMissing,
    DatabaseNotFound,
    EngineUnavailable,
    InvalidArgument,
    LeaseOver,
    NotReady,
    OperationRefused,
    OperationUnknown,
    PasswordRejected,
    StoreUnavailable,
)
from kiteward.gateway.call import Call, new_request_id
from kiteward.gateway.operations import OPERATIONS, Executor, missing_operations
from kiteward.gateway.replicas.lease import Lease
from kiteward.milvus import messages


@pytest.fixture
async def peopled(harness: GatewayHarness, engine: FakeEngine) -> GatewayHarness:
    """Alice may query `docs`; there is `papers` in the database `other`."""
    engine.create("docs", "secrets")
    engine.create("papers", database="other")
    engine.databases["default"].aliases["current"] = "docs"
    harness.catalog.forget(["default"])
    await harness.role("reader", ("Query", "default", "docs"))
    await harness.user("alice", "reader")
    await harness.user("bob")
    engine.calls.clear()
    return harness


def test_every_rpc_of_the_protocol_has_a_row() -> None:
    assert missing_operations() == frozenset()
    assert set(OPERATIONS) == set(messages.METHODS)


def test_every_streaming_rpc_is_closed() -> None:
    streams = {rpc.name for rpc in messages.METHODS.values() if rpc.streaming}
    assert streams
    assert all(OPERATIONS[name].executor is Executor.NOBODY for name in streams)


def test_every_closed_operation_says_why() -> None:
    assert all(bool(row.closed) is (row.executor is Executor.NOBODY) for row in OPERATIONS.values())


def test_request_ids_differ() -> None:
    assert len({new_request_id() for _ in range(100)}) == 100


# The order of the steps


async def test_unknown_operation_is_reported_before_authentication(peopled: GatewayHarness) -> None:
    with pytest.raises(OperationUnknown, match="Bogus"):
        await peopled.call("Bogus", by=CredentialMissing("nothing"))


async def test_nobody_gets_past_authentication(peopled: GatewayHarness, engine: FakeEngine) -> None:
    for method in OPERATIONS:
        for by in (CredentialMissing("nothing"), presented("alice", "Password-2"), presented("nobody")):
            with pytest.raises(AuthenticationError):
                await peopled.call(method, by=by, payload=b"\xff")
    assert engine.calls == []


async def test_denied_call_never_reaches_the_engine(peopled: GatewayHarness, engine: FakeEngine) -> None:
    with pytest.raises(AccessDenied):
        await peopled.call("Query", by="alice", collection_name="secrets")
    with pytest.raises(AccessDenied):
        await peopled.call("DropCollection", by="alice", collection_name="docs")
    assert engine.called("Query") == engine.called("DropCollection") == []


async def test_closed_operation_is_refused_to_root_too(peopled: GatewayHarness, engine: FakeEngine) -> None:
    for name, row in OPERATIONS.items():
        if row.executor is Executor.NOBODY:
            with pytest.raises(OperationRefused, match=f"{name} is not supported here"):
                await peopled.call(name)
    assert engine.calls == []


# What is forwarded


async def test_allowed_request_goes_through_byte_for_byte(peopled: GatewayHarness, engine: FakeEngine) -> None:
    # The name is there twice: the last one counts.
    payload = b"\x1a\x07secrets" + b"\x1a\x04docs"
    await peopled.call("Query", by="alice", payload=payload)
    assert engine.called("Query")[-1].payload == payload


async def test_repeated_name_is_authorized_as_the_engine_reads_it(peopled: GatewayHarness, engine: FakeEngine) -> None:
    with pytest.raises(AccessDenied):
        await peopled.call("Query", by="alice", payload=b"\x1a\x04docs" + b"\x1a\x07secrets")
    assert engine.called("Query") == []


async def test_alias_is_authorized_and_forwarded_as_its_collection(peopled: GatewayHarness, engine: FakeEngine) -> None:
    await peopled.succeed("Query", by="alice", collection_name="current")
    assert engine.called("Query")[-1].request.collection_name == "docs"
    await peopled.succeed("AlterAlias", collection_name="secrets", alias="current")
    with pytest.raises(AccessDenied):
        await peopled.call("Query", by="alice", collection_name="current")


async def test_database_of_the_body_wins_and_is_the_one_the_engine_gets(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    await peopled.succeed("Query", database="other", db_name="default", collection_name="docs")
    assert engine.called("Query")[-1].metadata["dbname"] == "default"
    await peopled.succeed("Query", database="other", collection_name="papers")
    assert engine.called("Query")[-1].metadata["dbname"] == "other"
    with pytest.raises(AccessDenied):
        await peopled.call("Query", by="alice", database="default", db_name="other", collection_name="docs")
    with pytest.raises(AccessDenied):
        await peopled.call("Query", by="alice", database="other", collection_name="docs")


async def test_callers_metadata_cannot_move_the_resolved_database(peopled: GatewayHarness, engine: FakeEngine) -> None:
    payload = messages.QueryRequest(collection_name="docs").SerializeToString()
    call = Call("Query", payload, presented("alice"), forward={"dbname": "other", "traceparent": "x"}, timeout=5)
    await peopled.gateway.handle(call)
    assert engine.called("Query")[-1].metadata == {"dbname": "default", "traceparent": "x"}
    assert engine.called("Query")[-1].timeout == 5


async def test_database_name_that_metadata_cannot_carry_is_refused(peopled: GatewayHarness) -> None:
    with pytest.raises((DatabaseNotFound, InvalidArgument)):
        await peopled.call("Query", db_name="größe", collection_name="docs")


async def test_connections_database_that_metadata_cannot_carry_is_refused_where_none_is_looked_for(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    for name in ("größe", "a\nb"):
        with pytest.raises(DatabaseNotFound):
            await peopled.call("AllocTimestamp", database=name)
    assert engine.calls == []
    await peopled.call("AllocTimestamp", database="nowhere")
    assert engine.called("AllocTimestamp")[-1].metadata["dbname"] == "nowhere"


async def test_sub_request_that_looks_elsewhere_is_refused_after_the_decision(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    await peopled.grant("reader", "Search", "default", "docs")
    fields = {"collection_name": "docs", "requests": [{"collection_name": "docs"}, {"collection_name": "secrets"}]}
    with pytest.raises(InvalidArgument, match="a sub-request names the collection secrets"):
        await peopled.call("HybridSearch", by="alice", **fields)
    elsewhere = {"collection_name": "docs", "requests": [{"db_name": "other"}]}
    with pytest.raises(InvalidArgument, match="a sub-request names the database other"):
        await peopled.call("HybridSearch", by="alice", **elsewhere)
    with pytest.raises(AccessDenied):
        await peopled.call("HybridSearch", by="bob", **fields)
    assert engine.called("HybridSearch") == []
    same = {"collection_name": "docs", "requests": [{"collection_name": "current"}, {"db_name": "default"}, {}]}
    await peopled.succeed("HybridSearch", by="alice", **same)


async def test_id_that_selects_needs_the_privilege_on_everything(peopled: GatewayHarness) -> None:
    await peopled.grant("reader", "Compaction", "default", "docs")
    await peopled.succeed("ManualCompaction", by="alice", collection_name="docs")
    with pytest.raises(AccessDenied):
        await peopled.call("ManualCompaction", by="alice", collection_name="docs", collectionID=7)
    await peopled.grant("reader", "Compaction", "default", "*")
    await peopled.succeed("ManualCompaction", by="alice", collection_name="docs", collectionID=7)


async def test_every_name_of_a_list_must_be_allowed_and_an_empty_list_is_not(peopled: GatewayHarness) -> None:
    await peopled.grant("reader", "Flush", "default", "docs")
    await peopled.succeed("Flush", by="alice", collection_names=["docs", "current"])
    for names in (["docs", "secrets"], ["secrets"], []):
        with pytest.raises(AccessDenied):
            await peopled.call("Flush", by="alice", collection_names=names)


async def test_empty_name_is_matched_by_a_wildcard_only(peopled: GatewayHarness) -> None:
    with pytest.raises(AccessDenied):
        await peopled.call("Query", by="alice", collection_name="")


async def test_missing_database_is_told_to_those_who_may_and_denied_to_others(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    with pytest.raises(DatabaseNotFound, match=r"database not found\[database=missing\]"):
        await peopled.call("Query", db_name="missing", collection_name="docs")
    with pytest.raises(AccessDenied):
        await peopled.call("Query", by="alice", db_name="missing", collection_name="docs")
    assert engine.called("Query") == []


# Revocation (promise 3)


@pytest.mark.parametrize(
    ("revocation", "refusal"),
    [
        (("OperateUserRole", {"username": "alice", "role_name": "reader", "type": 1}), AccessDenied),
        (("DropRole", {"role_name": "reader", "force_drop": True}), AccessDenied),
        (("DeleteCredential", {"username": "alice"}), PasswordRejected),
        (
            (
                "UpdateCredential",
                {"username": "alice", "oldPassword": encoded("Password-1"), "newPassword": encoded("Password-2")},
            ),
            PasswordRejected,
        ),
        (
            (
                "OperatePrivilegeV2",
                {
                    "role": {"name": "reader"},
                    "grantor": {"privilege": {"name": "Query"}},
                    "collection_name": "docs",
                    "type": 1,
                },
            ),
            AccessDenied,
        ),
    ],
)
async def test_acknowledged_revocation_stops_the_very_next_request(
    peopled: GatewayHarness, revocation: tuple[str, dict[str, object]], refusal: type[Exception]
) -> None:
    method, fields = revocation
    for _ in range(2):
        await peopled.succeed("Query", by="alice", collection_name="docs")
    await peopled.succeed(method, **fields)
    with pytest.raises(refusal):
        await peopled.call("Query", by="alice", collection_name="docs")


async def writer_wanted(harness: GatewayHarness) -> None:
    """Wait until a change waits for the one in progress."""
    async with asyncio.timeout(30):
        while not harness.store._writer._lock._waiters:
            await asyncio.sleep(0)


async def test_administrator_deleted_while_its_change_waits_changes_nothing(peopled: GatewayHarness) -> None:
    await peopled.user("boss", "admin")
    await peopled.succeed("GetVersion", by="boss")
    async with peopled.store.transaction() as transaction:
        waiting = asyncio.create_task(peopled.call("CreateRole", by="boss", entity={"name": "late"}))
        await writer_wanted(peopled)
        await transaction.users.remove("boss")
        committed = await transaction.commit()
        await peopled.policy_cache._follow(committed)
    with pytest.raises(PasswordRejected):
        await waiting
    assert "late" not in peopled.policy_cache.current().roles


async def test_administrator_that_loses_its_role_while_its_change_waits_changes_nothing(
    peopled: GatewayHarness,
) -> None:
    await peopled.user("boss", "admin")
    await peopled.succeed("GetVersion", by="boss")
    async with peopled.store.transaction() as transaction:
        waiting = asyncio.create_task(peopled.call("CreateRole", by="boss", entity={"name": "late"}))
        await writer_wanted(peopled)
        await transaction.roles.unbind("boss", "admin")
        await peopled.policy_cache._follow(await transaction.commit())
    with pytest.raises(AccessDenied):
        await waiting
    assert "late" not in peopled.policy_cache.current().roles


async def test_user_deleted_while_the_catalog_is_read_is_refused(peopled: GatewayHarness, engine: FakeEngine) -> None:
    await peopled.succeed("Query", by="alice", collection_name="docs")
    engine.restart()
    gate = engine.hold("ListDatabases")
    waiting = asyncio.create_task(peopled.call("Query", by="alice", collection_name="docs"))
    await engine.reached("ListDatabases")
    await peopled.succeed("DeleteCredential", username="alice")
    gate.set()
    with pytest.raises(PasswordRejected):
        await waiting


async def test_administrative_change_goes_on_when_its_caller_is_gone(peopled: GatewayHarness) -> None:
    async with peopled.store.transaction():
        waiting = asyncio.create_task(peopled.call("CreateRole", entity={"name": "late"}))
        while not peopled.gateway._changes.in_progress:
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await peopled.gateway.drain()
    assert "late" in peopled.policy_cache.current().roles


# Failing closed


async def test_nothing_is_decided_without_a_policy(peopled: GatewayHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise StoreUnavailable("the store cannot be read")

    peopled.policy_cache._current = None
    with monkeypatch.context() as broken_store:
        broken_store.setattr(peopled.store, "policy", broken)
        for method in ("Query", "ShowCollections", "ListCredUsers", "DropCollection", "GetVersion"):
            with pytest.raises((StoreUnavailable, NotReady)):
                await peopled.call(method, by="alice", **_named(method))
    await peopled.succeed("Query", by="alice", collection_name="docs")


async def test_nobody_is_authenticated_and_nothing_decided_without_a_lease(peopled: GatewayHarness) -> None:
    await peopled.succeed("Query", by="alice", collection_name="docs")
    clock = SteppingClock(0.0)
    peopled.policy_cache._lease = lease = Lease(10.0, clock)
    lease.extend(0.0)
    await peopled.succeed("Query", by="alice", collection_name="docs")
    clock.now = 10.0
    for method in ("Query", "ShowCollections", "ListCredUsers", "DropCollection", "GetVersion"):
        for caller in ("alice", "nobody"):
            with pytest.raises(LeaseOver):
                await peopled.call(method, by=caller, **_named(method))
    with pytest.raises(LeaseOver):
        await peopled.gateway.admit(Call("Query", b"", presented("alice")))
    assert await peopled.gateway.missing_components() == ("lease",)
    lease.extend(10.0)
    await peopled.succeed("Query", by="alice", collection_name="docs")
    assert await peopled.gateway.missing_components() == ()


async def test_change_is_refused_whose_lease_ended_in_the_queue(peopled: GatewayHarness) -> None:
    clock = SteppingClock(0.0)
    peopled.policy_cache._lease = lease = Lease(10.0, clock)
    lease.extend(0.0)
    before = await peopled.state()
    async with peopled.policy_cache.change():
        changing = asyncio.create_task(peopled.call("CreateRole", entity={"name": "late"}))
        while not peopled.gateway._changes.in_progress:
            await asyncio.sleep(0.01)
        clock.now = 10.0
    with pytest.raises(LeaseOver):
        await changing
    clock.now = 0.0
    assert await peopled.state() == before


def _named(method: str) -> dict[str, str]:
    return {"collection_name": "docs"} if method in ("Query", "DropCollection") else {}


async def test_engine_that_is_away_fails_the_call_and_not_the_administration(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    engine.failures["Query"] = EngineUnavailable("the engine cannot be reached")
    with pytest.raises(EngineUnavailable):
        await peopled.call("Query", by="alice", collection_name="docs")
    await peopled.user("carol")


async def test_restarted_engine_is_asked_for_its_aliases_before_they_are_trusted(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    await peopled.succeed("Query", by="alice", collection_name="current")
    engine.databases["default"].aliases["current"] = "secrets"
    engine.restart()
    with pytest.raises(AccessDenied):
        await peopled.call("Query", by="alice", collection_name="current")


async def test_administration_that_looks_at_no_database_works_without_the_engine(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    engine.restart()
    engine.failures["ListDatabases"] = EngineUnavailable("the engine cannot be reached")
    await peopled.user("carol")
    await peopled.succeed("GetVersion", by="carol")
    with pytest.raises(EngineUnavailable):
        await peopled.call("Query", by="alice", collection_name="docs")


async def test_drain_waits_for_changes_in_progress(peopled: GatewayHarness, engine: FakeEngine) -> None:
    gate = engine.hold("CreateCollection")
    changing = asyncio.create_task(peopled.call("CreateCollection", collection_name="fresh"))
    await engine.reached("CreateCollection")
    draining: Awaitable[None] = asyncio.create_task(peopled.gateway.drain())
    await asyncio.sleep(0.01)
    assert not asyncio.ensure_future(draining).done()
    gate.set()
    await draining
    assert (await changing).code == 0


@pytest.mark.parametrize(
    ("method", "fields", "code"),
    [
        ("CreateCollection", {"collection_name": " docs "}, 1100),
        ("CreateCollection", {"collection_name": "*"}, 1100),
        ("CreateCollection", {"collection_name": "\u96c6"}, 1100),
        ("CreateCollection", {"collection_name": ""}, 1100),
        ("RenameCollection", {"oldName": "docs", "newName": "../docs"}, 1100),
        ("CreateAlias", {"collection_name": "docs", "alias": "1st"}, 1100),
        ("CreateDatabase", {"db_name": "\u9500"}, 802),
        ("CreateDatabase", {"db_name": " other "}, 802),
        ("CreateDatabase", {"db_name": ""}, 802),
    ],
)
async def test_an_illegal_name_of_something_new_does_not_reach_the_engine(
    harness: GatewayHarness, engine: FakeEngine, method: str, fields: dict[str, str], code: int
) -> None:
    engine.create("docs")
    assert (await harness.status(method, **fields)).code == code
    assert engine.called(method) == []
