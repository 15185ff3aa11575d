"""Grants follow their object: dropped with it, moved with it, inherited by nobody, whenever the server dies."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, presented, v1

from kiteward.domain.errors import (
    AccessDenied,
    DatabaseNotFound,
    EngineDeadlineExceeded,
    EngineUnavailable,
    PasswordRejected,
)
from kiteward.gateway import ddl
from kiteward.gateway.call import Call
from kiteward.milvus import messages

QUERY = ("Collection", "default", "docs", "Query")
READ_ONLY = ("Global", "default", "docs", "CollectionReadOnly")
DESCRIBE = ("Global", "default", "docs", "DescribeCollection")
MINE = ("Global", "default", "docs", "mine")


@pytest.fixture
async def granted(harness: GatewayHarness, engine: FakeEngine) -> GatewayHarness:
    """Two roles hold grants of every kind on `docs`, and others near it."""
    engine.create("docs", "docs2")
    engine.create("docs", database="other")
    harness.catalog.forget(["default"])
    await harness.group("mine", "Query")
    await harness.role("reader", ("Query", "default", "docs"), ("CollectionReadOnly", "default", "docs"))
    await harness.role("writer", ("DescribeCollection", "default", "docs"), ("mine", "default", "docs"))
    return harness


async def all_grants(harness: GatewayHarness) -> list[tuple[str, str, str, str]]:
    return sorted(await harness.grants("reader") + await harness.grants("writer"))


async def open_intents(harness: GatewayHarness) -> int:
    async with harness.store.transaction() as transaction:
        return len(await transaction.intents.all())


ALL = sorted([QUERY, READ_ONLY, DESCRIBE, MINE])


async def test_dropped_collection_takes_every_grant_that_names_it(granted: GatewayHarness) -> None:
    assert await all_grants(granted) == ALL
    await granted.succeed("DropCollection", collection_name="docs")
    assert await all_grants(granted) == []
    assert await open_intents(granted) == 0


async def test_dropped_collection_leaves_grants_near_it(granted: GatewayHarness) -> None:
    near = [
        ("Query", "default", "*"),
        ("Query", "default", "docs2"),
        ("Query", "other", "docs"),
        ("Query", "*", "docs"),
    ]
    for grant in near:
        await granted.grant("writer", *grant)
    # A user may have the name of a collection.
    await granted.succeed("OperatePrivilege", **v1("writer", "UpdateUser", "User", "docs"))
    await granted.succeed("DropCollection", collection_name="docs")
    kept = [("Collection", database, name, privilege) for privilege, database, name in near]
    assert await all_grants(granted) == sorted([*kept, ("User", "default", "docs", "UpdateUser")])


async def test_collection_recreated_under_the_name_inherits_nothing(granted: GatewayHarness) -> None:
    await granted.user("alice", "reader")
    await granted.succeed("Query", by="alice", collection_name="docs")
    await granted.succeed("DropCollection", collection_name="docs")
    await granted.succeed("CreateCollection", collection_name="docs")
    with pytest.raises(AccessDenied):
        await granted.call("Query", by="alice", collection_name="docs")


async def test_renamed_collection_has_its_grants_under_the_new_name_only(granted: GatewayHarness) -> None:
    await granted.user("alice", "reader")
    await granted.succeed("RenameCollection", oldName="docs", newName="papers")
    assert await all_grants(granted) == sorted((kind, db, "papers", name) for kind, db, _, name in ALL)
    await granted.succeed("Query", by="alice", collection_name="papers")
    await granted.succeed("CreateCollection", collection_name="docs")
    with pytest.raises(AccessDenied):
        await granted.call("Query", by="alice", collection_name="docs")


async def test_collection_renamed_into_another_database_takes_its_grants_there(granted: GatewayHarness) -> None:
    await granted.succeed("RenameCollection", oldName="docs", newName="papers", newDBName="other")
    assert await all_grants(granted) == sorted((kind, "other", "papers", name) for kind, _, _, name in ALL)


async def test_rename_without_a_target_database_stays_in_its_own(granted: GatewayHarness, engine: FakeEngine) -> None:
    await granted.succeed("RenameCollection", db_name="other", oldName="docs", newName="papers", database="default")
    (call,) = engine.called("RenameCollection")
    assert (call.request.newDBName, call.metadata["dbname"]) == ("other", "other")
    assert engine.databases["other"].collections == ["papers"]


async def test_grants_already_on_the_new_name_merge_with_those_that_come(granted: GatewayHarness) -> None:
    await granted.grant("reader", "Query", "default", "papers")
    await granted.grant("reader", "Insert", "default", "papers")
    await granted.succeed("RenameCollection", oldName="docs", newName="papers")
    assert sorted(await granted.grants("reader")) == [
        ("Collection", "default", "papers", "Insert"),
        ("Collection", "default", "papers", "Query"),
        ("Global", "default", "papers", "CollectionReadOnly"),
    ]


async def test_dropped_database_takes_the_grants_on_everything_in_it(
    granted: GatewayHarness, engine: FakeEngine
) -> None:
    await granted.grant("reader", "Query", "other", "docs")
    await granted.grant("reader", "DatabaseAdmin", "other", "*")
    await granted.grant("reader", "Query", "*", "docs")
    engine.databases["other"].collections.clear()
    await granted.succeed("DropDatabase", db_name="other")
    assert await all_grants(granted) == sorted([*ALL, ("Collection", "*", "docs", "Query")])
    await granted.succeed("CreateDatabase", db_name="other")
    assert await all_grants(granted) == sorted([*ALL, ("Collection", "*", "docs", "Query")])


async def test_dropping_a_missing_database_succeeds_without_the_engine(
    granted: GatewayHarness, engine: FakeEngine
) -> None:
    await granted.grant("reader", "Query", "other", "docs")
    before = await granted.state()
    await granted.succeed("DropDatabase", db_name="missing")
    assert engine.called("DropDatabase") == []
    assert await granted.state() == before


@pytest.mark.parametrize(
    ("operation", "fields", "told"),
    [
        ("DropCollection", {"collection_name": "current"}, "cannot drop the collection via alias = current"),
        (
            "RenameCollection",
            {"oldName": "current", "newName": "latest"},
            "unsupported use an alias to rename collection, alias:current",
        ),
        (
            "DropCollection",
            {"collection_name": "docs"},
            (
                "unable to drop the collection [docs] because it has associated aliases [current newest], "
                "please remove all aliases before dropping the collection"
            ),
        ),
    ],
)
async def test_collection_is_not_dropped_or_renamed_by_an_alias_nor_dropped_while_one_stands_for_it(
    granted: GatewayHarness, engine: FakeEngine, operation: str, fields: dict[str, str], told: str
) -> None:
    for alias in ("newest", "current"):
        await granted.succeed("CreateAlias", collection_name="docs", alias=alias)
    status = await granted.status(operation, **fields)
    assert (status.code, status.error_code, status.reason) == (65535, 1, told)
    assert engine.called(operation) == []
    assert engine.databases["default"].collections == ["docs", "docs2"]
    assert await all_grants(granted) == ALL


async def test_alias_in_the_way_is_not_told_to_who_may_not_drop_its_collection(granted: GatewayHarness) -> None:
    await granted.succeed("CreateAlias", collection_name="docs", alias="current")
    await granted.role("dropper", ("DropCollection", "default", "docs2"))
    await granted.user("alice", "dropper")
    refusals = set()
    for name in ("current", "docs", "nothing"):
        with pytest.raises(AccessDenied) as refused:
            await granted.call("DropCollection", by="alice", collection_name=name)
        refusals.add(str(refused.value))
    assert len(refusals) == 1


async def test_collection_is_emptied_by_an_alias_as_in_milvus(granted: GatewayHarness, engine: FakeEngine) -> None:
    await granted.succeed("CreateAlias", collection_name="docs", alias="current")
    await granted.succeed("TruncateCollection", collection_name="current")
    assert engine.called("TruncateCollection")[-1].request.collection_name == "docs"


async def test_alias_dropped_or_moved_changes_no_grant(granted: GatewayHarness) -> None:
    await granted.succeed("CreateAlias", collection_name="docs", alias="current")
    await granted.succeed("AlterAlias", collection_name="docs2", alias="current")
    await granted.succeed("DropAlias", alias="current")
    assert await all_grants(granted) == ALL


async def test_truncated_collection_keeps_its_grants(granted: GatewayHarness) -> None:
    await granted.succeed("TruncateCollection", collection_name="docs")
    assert await all_grants(granted) == ALL


# A user who drops a collection, and creates it again

OWN = [("Collection", "default", "docs", "Query"), ("Global", "default", "docs", "CollectionReadOnly")]


@pytest.fixture
async def rebuilding(granted: GatewayHarness) -> GatewayHarness:
    """`alice` rebuilds `docs`, and holds the role `reader`; `bob` may do the same, and holds `writer` too."""
    await granted.role("builder", ("CreateCollection", "default", "*"), ("DropCollection", "default", "*"))
    await granted.user("alice", "reader", "builder")
    await granted.user("bob", "reader", "writer", "builder")
    return granted


async def rebuild(harness: GatewayHarness, *, by: str = "alice", then_by: str = "") -> None:
    await harness.succeed("DropCollection", by=by, collection_name="docs")
    await harness.succeed("CreateCollection", by=then_by or by, collection_name="docs")


async def test_who_drops_a_collection_and_creates_it_again_has_what_its_roles_had_on_it(
    rebuilding: GatewayHarness,
) -> None:
    for _ in range(2):
        await rebuild(rebuilding)
        await rebuilding.succeed("Query", by="alice", collection_name="docs")
        assert await rebuilding.grants("reader") == OWN
        assert await rebuilding.grants("writer") == []
        assert await open_intents(rebuilding) == 0


async def test_grants_that_name_the_collection_suffice_to_create_it_again(granted: GatewayHarness) -> None:
    names = ("CreateCollection", "DropCollection", "Insert")
    await granted.role("owner", *((name, "default", "docs") for name in names))
    await granted.user("alice", "owner")
    await rebuild(granted)
    await granted.succeed("Insert", by="alice", collection_name="docs")
    assert len(await granted.grants("owner")) == len(names)


@pytest.mark.parametrize("creator", ["bob", "root"])
async def test_collection_created_by_somebody_else_inherits_nothing(rebuilding: GatewayHarness, creator: str) -> None:
    await rebuild(rebuilding, then_by=creator)
    assert await all_grants(rebuilding) == []
    with pytest.raises(AccessDenied):
        await rebuilding.call("Query", by="alice", collection_name="docs")


async def test_kept_grants_are_gone_before_the_engine_makes_the_collection_of_somebody_else(
    rebuilding: GatewayHarness, engine: FakeEngine
) -> None:
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    gate = engine.hold("CreateCollection")
    creating = asyncio.create_task(rebuilding.call("CreateCollection", collection_name="docs"))
    await engine.reached("CreateCollection")
    assert await all_grants(rebuilding) == []
    gate.set()
    await creating


async def test_collection_dropped_by_an_administrator_takes_every_grant_also_of_the_administrators_roles(
    rebuilding: GatewayHarness,
) -> None:
    await rebuilding.user("carol", "admin", "reader")
    await rebuild(rebuilding, by="carol")
    assert await all_grants(rebuilding) == []


async def test_grants_of_public_are_kept_for_nobody(rebuilding: GatewayHarness) -> None:
    await rebuilding.grant("public", "Query", "default", "docs")
    await rebuilding.succeed("OperateUserRole", username="alice", role_name="public")
    before = await rebuilding.grants("public")
    await rebuild(rebuilding)
    assert set(before) - set(await rebuilding.grants("public")) == {("Collection", "default", "docs", "Query")}


async def test_grants_of_a_role_that_the_creator_has_lost_meanwhile_do_not_come_back(
    rebuilding: GatewayHarness,
) -> None:
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    await rebuilding.succeed("OperateUserRole", username="alice", role_name="reader", type=1)
    await rebuilding.succeed("CreateCollection", by="alice", collection_name="docs")
    assert await rebuilding.grants("reader") == []


async def test_what_is_revoked_while_there_is_no_collection_does_not_come_back(rebuilding: GatewayHarness) -> None:
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    assert await rebuilding.grants("reader") == OWN
    await rebuilding.revoke("reader", "Query", "default", "docs")
    await rebuilding.succeed("CreateCollection", by="alice", collection_name="docs")
    assert await rebuilding.grants("reader") == OWN[1:]


async def test_what_is_granted_while_there_is_no_collection_is_kept_for_whoever_creates_it(
    rebuilding: GatewayHarness,
) -> None:
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    await rebuilding.grant("reader", "Query", "default", "docs")
    await rebuilding.succeed("CreateCollection", by="bob", collection_name="docs")
    assert await rebuilding.grants("reader") == OWN[:1]


async def test_user_of_the_same_name_as_a_deleted_one_gets_nothing_back(rebuilding: GatewayHarness) -> None:
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    await rebuilding.succeed("DeleteCredential", username="alice")
    await rebuilding.user("alice", "reader", "builder")
    await rebuilding.succeed("CreateCollection", by="alice", collection_name="docs")
    assert await rebuilding.grants("reader") == []


async def test_collection_renamed_onto_the_name_inherits_nothing_even_by_the_same_user(
    rebuilding: GatewayHarness,
) -> None:
    await rebuilding.grant("builder", "RenameCollection")
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    await rebuilding.succeed("RenameCollection", by="alice", oldName="docs2", newName="docs")
    assert await rebuilding.grants("reader") == []
    with pytest.raises(AccessDenied):
        await rebuilding.call("Query", by="alice", collection_name="docs")


async def test_snapshot_restored_under_the_name_inherits_nothing(rebuilding: GatewayHarness) -> None:
    await rebuilding.grant("builder", "RestoreSnapshot")
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    snapshot = {"collection_name": "docs2", "name": "of_before", "target_collection_name": "docs"}
    await rebuilding.call("RestoreSnapshot", by="alice", **snapshot)
    assert await rebuilding.grants("reader") == []


async def test_dropped_database_takes_what_was_kept_in_it(rebuilding: GatewayHarness, engine: FakeEngine) -> None:
    await rebuilding.grant("reader", "Query", "other", "docs")
    await rebuilding.grant("builder", "DropCollection", "other")
    await rebuilding.grant("builder", "CreateCollection", "*")
    await rebuilding.succeed("DropCollection", by="alice", db_name="other", collection_name="docs")
    await rebuilding.succeed("DropDatabase", db_name="other")
    await rebuilding.succeed("CreateDatabase", db_name="other")
    await rebuilding.succeed("CreateCollection", by="alice", db_name="other", collection_name="docs")
    assert await rebuilding.grants("reader") == OWN


async def test_creation_that_the_engine_refuses_leaves_what_is_kept_for_the_same_user_only(
    rebuilding: GatewayHarness, engine: FakeEngine
) -> None:
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    engine.failures["CreateCollection"] = EngineUnavailable("the engine cannot be reached")
    with pytest.raises(EngineUnavailable):
        await rebuilding.call("CreateCollection", by="alice", collection_name="docs")
    del engine.failures["CreateCollection"]
    await rebuilding.succeed("CreateCollection", by="bob", collection_name="docs")
    assert await rebuilding.grants("reader") == []


async def test_attempt_to_create_what_is_there_takes_nothing_from_who_made_it(rebuilding: GatewayHarness) -> None:
    await rebuild(rebuilding)
    assert (await rebuilding.status("CreateCollection", by="bob", collection_name="docs")).code != 0
    assert await rebuilding.grants("reader") == OWN


async def test_backup_holds_no_grant_that_is_kept_for_one_user(rebuilding: GatewayHarness) -> None:
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    backup = (await rebuilding.succeed("BackupRBAC")).RBAC_meta
    assert [each.object_name for each in backup.grants if each.role.name == "reader"] == []
    await rebuilding.succeed("CreateCollection", by="alice", collection_name="docs")
    backup = (await rebuilding.succeed("BackupRBAC")).RBAC_meta
    assert [each.object_name for each in backup.grants if each.role.name == "reader"] == ["docs", "docs"]


async def test_trail_tells_for_whom_grants_are_kept_and_who_lost_them(rebuilding: GatewayHarness) -> None:
    await rebuild(rebuilding)
    await rebuild(rebuilding, then_by="bob")
    about = {"database": "default", "object": "docs"}
    alice = {"user": "alice", "kept_roles": ["reader"]}
    told = [
        (event.operation, {name: value for name, value in event.details.items() if name != "before"})
        for event in rebuilding.trail.events
        if event.operation in ("FollowObject", "ReleaseGrants")
    ]
    assert told == [
        ("FollowObject", {"because": "drop_collection", **about, **alice}),
        ("FollowObject", {"because": "create_collection", **about, **alice}),
        ("FollowObject", {"because": "drop_collection", **about, **alice}),
        ("ReleaseGrants", {"because": "create_collection", **about, "roles": ["reader"]}),
    ]


# What the engine refuses, or does not answer


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("DropCollection", {"collection_name": "missing"}),
        ("RenameCollection", {"oldName": "missing", "newName": "papers"}),
        ("RenameCollection", {"oldName": "docs", "newName": "docs2"}),
        ("RenameCollection", {"oldName": "docs", "newName": "docs"}),
        ("RenameCollection", {"oldName": "docs", "newName": "papers", "newDBName": "missing"}),
        ("DropDatabase", {"db_name": "other"}),
        ("CreateCollection", {"collection_name": "docs"}),
    ],
)
async def test_change_that_the_engine_refuses_changes_no_grant(
    granted: GatewayHarness, method: str, fields: dict[str, str]
) -> None:
    await granted.grant("reader", "Query", "other", "docs")
    before, users = await granted.state()
    status = await granted.status(method, **fields)
    assert status.code != 0
    policy = await granted.store.policy()
    assert (replace(policy, revision=before.revision), await granted.store.users()) == (before, users)
    assert await open_intents(granted) == 0


async def test_drop_of_what_does_not_exist_leaves_grants_that_came_before_their_object(granted: GatewayHarness) -> None:
    await granted.grant("reader", "Query", "default", "planned")
    assert (await granted.status("DropCollection", collection_name="planned")).code == 100
    assert ("Collection", "default", "planned", "Query") in await granted.grants("reader")


async def test_engine_that_fails_before_it_acts_leaves_the_grants(granted: GatewayHarness, engine: FakeEngine) -> None:
    engine.failures["DropCollection"] = EngineUnavailable("the engine cannot be reached")
    with pytest.raises(EngineUnavailable):
        await granted.call("DropCollection", collection_name="docs")
    del engine.failures["DropCollection"]
    await granted.succeed("CreateCollection", collection_name="unrelated")
    assert await all_grants(granted) == ALL
    assert await open_intents(granted) == 0


@pytest.mark.parametrize(
    ("method", "fields", "left"),
    [
        ("DropCollection", {"collection_name": "docs"}, []),
        ("RenameCollection", {"oldName": "docs", "newName": "papers"}, ["papers"] * 4),
    ],
)
async def test_lost_answer_is_resolved_before_the_next_change(
    granted: GatewayHarness, engine: FakeEngine, method: str, fields: dict[str, str], left: list[str]
) -> None:
    engine.failures_after[method] = EngineDeadlineExceeded("no answer")
    with pytest.raises(EngineDeadlineExceeded):
        await granted.call(method, **fields)
    await granted.succeed("CreateCollection", collection_name="docs")
    assert [name for _, _, name, _ in await all_grants(granted)] == left


async def test_lost_answer_is_resolved_without_waiting_for_another_change(
    granted: GatewayHarness, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddl, "_PAUSE", 0.01)
    engine.failures_after["RenameCollection"] = EngineDeadlineExceeded("no answer")
    engine.failures["HasCollection"] = EngineUnavailable("the engine cannot be reached")
    with pytest.raises(EngineUnavailable):
        await granted.call("RenameCollection", oldName="docs", newName="papers")
    del engine.failures["HasCollection"]
    with pytest.raises(EngineDeadlineExceeded):
        await granted.call("RenameCollection", oldName="docs", newName="papers")
    async with asyncio.timeout(30):
        while await open_intents(granted):
            await asyncio.sleep(0.01)
    assert [name for _, _, name, _ in await all_grants(granted)] == ["papers"] * 4


async def test_nothing_changes_while_the_engine_cannot_tell_what_became_of_the_last_change(
    granted: GatewayHarness, engine: FakeEngine
) -> None:
    engine.failures_after["DropCollection"] = EngineDeadlineExceeded("no answer")
    with pytest.raises(EngineDeadlineExceeded):
        await granted.call("DropCollection", collection_name="docs")
    engine.failures["HasCollection"] = EngineUnavailable("the engine cannot be reached")
    with pytest.raises(EngineUnavailable):
        await granted.call("CreateCollection", collection_name="docs")
    assert engine.called("CreateCollection") == []
    del engine.failures["HasCollection"]
    await granted.succeed("CreateCollection", collection_name="docs")
    assert await all_grants(granted) == []


async def test_catalog_that_cannot_be_read_after_a_change_is_read_before_the_next_request(
    granted: GatewayHarness, engine: FakeEngine
) -> None:
    engine.failures["ListDatabases"] = EngineUnavailable("the engine cannot be reached")
    await granted.succeed("CreateAlias", collection_name="docs", alias="current")
    assert not granted.catalog.fresh
    with pytest.raises(EngineUnavailable):
        await granted.call("Query", collection_name="current")
    del engine.failures["ListDatabases"]
    await granted.succeed("Query", collection_name="current")
    assert engine.called("Query")[-1].request.collection_name == "docs"


# The server dies, or the caller leaves


def acted(engine: FakeEngine) -> Callable[[], None]:
    return lambda: engine.databases["default"].collections.remove("docs")


async def copied(harness: GatewayHarness, store_path: Path, target: Path) -> None:
    """Copy the store as kill -9 leaves it: the intent is stored, and nobody knows what the engine did."""
    async with harness.store.transaction():
        for suffix in ("", "-wal", "-shm"):
            side = store_path.with_name(store_path.name + suffix)
            if side.exists():
                target.with_name(target.name + suffix).write_bytes(side.read_bytes())


@pytest.mark.parametrize("engine_acted", [True, False])
async def test_drop_cut_short_by_death_is_finished_or_forgotten_at_the_next_start(
    granted: GatewayHarness, engine: FakeEngine, store_path: Path, tmp_path: Path, engine_acted: bool
) -> None:
    gate = engine.hold("DropCollection")
    dropping = asyncio.create_task(granted.call("DropCollection", collection_name="docs"))
    await engine.reached("DropCollection")
    assert await open_intents(granted) == 1
    await copied(granted, store_path, tmp_path / "after.db")
    restarted = FakeEngine()
    restarted.create("docs2", *([] if engine_acted else ["docs"]))
    async with opened(tmp_path / "after.db", restarted) as harness:
        assert await all_grants(harness) == ([] if engine_acted else ALL)
        assert await open_intents(harness) == 0
    gate.set()
    await dropping


@pytest.mark.parametrize("engine_acted", [True, False])
@pytest.mark.parametrize("creator", ["alice", "bob"])
async def test_rebuilding_cut_short_by_death_keeps_grants_for_the_same_user_only(
    rebuilding: GatewayHarness, engine: FakeEngine, store_path: Path, tmp_path: Path, engine_acted: bool, creator: str
) -> None:
    gate = engine.hold("DropCollection")
    dropping = asyncio.create_task(rebuilding.call("DropCollection", by="alice", collection_name="docs"))
    await engine.reached("DropCollection")
    await copied(rebuilding, store_path, tmp_path / "after.db")
    restarted = FakeEngine()
    restarted.create("docs2", *([] if engine_acted else ["docs"]))
    async with opened(tmp_path / "after.db", restarted) as harness:
        assert await open_intents(harness) == 0
        if not engine_acted:
            assert await all_grants(harness) == ALL
            await harness.succeed("DropCollection", by="alice", collection_name="docs")
        await harness.succeed("CreateCollection", by=creator, collection_name="docs")
        assert await all_grants(harness) == (OWN if creator == "alice" else [])
    gate.set()
    await dropping


@pytest.mark.parametrize("engine_acted", [True, False])
async def test_creation_cut_short_by_death_keeps_grants_until_the_collection_is_there(
    rebuilding: GatewayHarness, engine: FakeEngine, store_path: Path, tmp_path: Path, engine_acted: bool
) -> None:
    await rebuilding.succeed("DropCollection", by="alice", collection_name="docs")
    gate = engine.hold("CreateCollection")
    creating = asyncio.create_task(rebuilding.call("CreateCollection", by="alice", collection_name="docs"))
    await engine.reached("CreateCollection")
    await copied(rebuilding, store_path, tmp_path / "after.db")
    restarted = FakeEngine()
    restarted.create("docs2", *(["docs"] if engine_acted else []))
    async with opened(tmp_path / "after.db", restarted) as harness:
        kept = {grant.kept_for for grant in (await harness.store.policy()).grants if grant.role == "reader"}
        assert kept == ({None} if engine_acted else {"alice"})
        assert (await harness.grants("reader"), await open_intents(harness)) == (OWN, 0)
    gate.set()
    await creating


async def test_open_intent_waits_for_an_engine_that_can_tell_and_no_change_overtakes_it(
    granted: GatewayHarness, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddl, "_PAUSE", 0.01)
    engine.failures_after["DropCollection"] = EngineDeadlineExceeded("no answer")
    with pytest.raises(EngineDeadlineExceeded):
        await granted.call("DropCollection", collection_name="docs")
    engine.answers["HasCollection"] = messages.failure(
        "HasCollection", code=5, legacy_code=messages.ErrorCode.UnexpectedError, reason="not now"
    )
    await granted.ddl.recover()
    with pytest.raises(EngineUnavailable):
        await granted.call("CreateCollection", collection_name="docs")
    assert await open_intents(granted) == 1
    del engine.answers["HasCollection"]
    async with asyncio.timeout(30):
        while await open_intents(granted):
            await asyncio.sleep(0.01)
    assert await all_grants(granted) == []


@pytest.mark.parametrize("code", [100, 1100])
async def test_name_that_the_engine_calls_illegal_is_left_to_it(
    granted: GatewayHarness, engine: FakeEngine, code: int
) -> None:
    engine.answers["HasCollection"] = messages.failure(
        "HasCollection", code=code, legacy_code=messages.ErrorCode.UnexpectedError, reason="no such name"
    )
    engine.answers["DropCollection"] = messages.failure(
        "DropCollection", code=1100, legacy_code=messages.ErrorCode.UnexpectedError, reason="bad name"
    )
    status = await granted.status("DropCollection", collection_name="docs")
    assert (status.code, status.reason) == (1100, "bad name")
    assert await open_intents(granted) == 0
    assert await all_grants(granted) == ALL


async def test_change_goes_on_when_its_caller_is_gone(granted: GatewayHarness, engine: FakeEngine) -> None:
    gate = engine.hold("DropCollection")
    dropping = asyncio.create_task(granted.call("DropCollection", collection_name="docs"))
    await engine.reached("DropCollection")
    dropping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropping
    assert await all_grants(granted) == ALL
    gate.set()
    await granted.gateway.drain()
    assert await all_grants(granted) == []


# Who may, at the moment it happens


async def queued_behind_a_change(
    harness: GatewayHarness, engine: FakeEngine, waiting: Awaitable[object], meanwhile: Awaitable[object]
) -> object:
    """Let a request wait for a change in progress, do something meanwhile, and return its outcome."""
    gate = engine.hold("CreateCollection")
    first = asyncio.create_task(harness.call("CreateCollection", collection_name="slow"))
    await engine.reached("CreateCollection")
    second = asyncio.ensure_future(waiting)
    while not harness.ddl._turn._waiters:
        await asyncio.sleep(0)
    await meanwhile
    gate.set()
    await first
    return (await asyncio.gather(second, return_exceptions=True))[0]


async def test_privilege_revoked_while_a_change_waits_its_turn_stops_it(
    granted: GatewayHarness, engine: FakeEngine
) -> None:
    await granted.role("dropper", ("DropCollection", "default", "*"))
    await granted.user("alice", "dropper")
    outcome = await queued_behind_a_change(
        granted,
        engine,
        granted.call("DropCollection", by="alice", collection_name="docs"),
        granted.revoke("dropper", "DropCollection"),
    )
    assert isinstance(outcome, AccessDenied)
    assert engine.called("DropCollection") == []


async def test_alias_moved_while_a_change_waits_its_turn_is_authorized_where_it_points_then(
    granted: GatewayHarness, engine: FakeEngine
) -> None:
    """A caller who may create `docs` again must not name `docs2` through an alias that moves meanwhile."""
    await granted.succeed("CreateAlias", collection_name="docs", alias="current")
    await granted.role("namer", ("CreateAlias", "default", "docs"), ("CreateAlias", "default", "newest"))
    await granted.user("alice", "namer")
    gate = engine.hold("AlterAlias")
    moving = asyncio.create_task(granted.call("AlterAlias", collection_name="docs2", alias="current"))
    await engine.reached("AlterAlias")
    naming = asyncio.create_task(granted.call("CreateAlias", by="alice", collection_name="current", alias="newest"))
    while not granted.ddl._turn._waiters:
        await asyncio.sleep(0)
    gate.set()
    await moving
    with pytest.raises(AccessDenied):
        await naming
    assert "newest" not in engine.databases["default"].aliases


async def test_user_deleted_while_a_change_waits_its_turn_stops_it(granted: GatewayHarness, engine: FakeEngine) -> None:
    await granted.role("dropper", ("DropCollection", "default", "*"))
    await granted.user("alice", "dropper")
    await granted.user("bob", "admin")
    outcome = await queued_behind_a_change(
        granted,
        engine,
        granted.call("DropCollection", by="alice", collection_name="docs"),
        granted.succeed("DeleteCredential", username="alice"),
    )
    assert isinstance(outcome, PasswordRejected)
    assert engine.called("DropCollection") == []


async def test_database_dropped_while_a_change_waits_its_turn_refuses_it(
    granted: GatewayHarness, engine: FakeEngine
) -> None:
    async def vanish() -> None:
        del engine.databases["other"]

    outcome = await queued_behind_a_change(
        granted, engine, granted.call("DropCollection", db_name="other", collection_name="docs"), vanish()
    )
    assert isinstance(outcome, DatabaseNotFound)


async def test_callers_deadline_does_not_cut_a_change_short(granted: GatewayHarness, engine: FakeEngine) -> None:
    request = messages.DropCollectionRequest(collection_name="docs").SerializeToString()
    await granted.gateway.handle(Call("DropCollection", request, presented("root"), timeout=0.001))
    (call,) = engine.called("DropCollection")
    assert call.timeout is not None
    assert call.timeout > 60
