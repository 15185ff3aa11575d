"""Grants of collections that vanish around us: reported, and removed by setting, never because of an error."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.shared_engine import SharedEngine
from tests.unit.gateway.shared import Clock, SharedGateway, shared_gateway

from kiteward.authz.row_policies import PolicyType, RowAction, RowPolicy
from kiteward.domain.errors import EngineUnavailable
from kiteward.gateway.vanished_grants import VanishedGrants
from kiteward.milvus import messages

AFTER = 60.0


@pytest.fixture
async def gateway(store_path: Path) -> AsyncIterator[SharedGateway]:
    engine = SharedEngine()
    engine.create("docs", "papers")
    engine.create("docs", database="other")
    async with shared_gateway(store_path, engine) as gateway:
        await gateway.harness.role(
            "reading", ("Query", "default", "docs"), ("Query", "other", "docs"), ("Query", "default", "not_yet")
        )
        yield gateway


class Watch:
    """Watches the collections of a gateway, with reads and times that a test decides."""

    def __init__(self, gateway: SharedGateway, *, removes: bool) -> None:
        self.gateway = gateway
        self.clock = Clock()
        harness = gateway.harness
        self.vanished = VanishedGrants(
            gateway.catalog,
            harness.policy_cache,
            ddl=harness.ddl,
            recorder=harness.recorder,
            after=AFTER,
            removes=removes,
            clock=self.clock,
        )

    async def read(self, *, later: float = 0.0) -> None:
        """Let time pass, read the catalog again, and act on it."""
        self.clock.now += later
        await self.gateway.read_again()
        await self.vanished.act()

    def reported(self) -> list[tuple[str, str]]:
        return [(each["database"], each["object"]) for each in self.gateway.events("VanishCollection")]

    async def grants(self) -> list[tuple[str, str]]:
        return [(database, name) for _, database, name, _ in await self.gateway.harness.grants("reading")]


ALL = [("default", "docs"), ("default", "not_yet"), ("other", "docs")]


@pytest.mark.parametrize("removes", [False, True])
async def test_grants_on_what_is_absent_in_reads_some_time_apart_are_reported_and_removed_by_setting(
    gateway: SharedGateway, removes: bool
) -> None:
    watch = Watch(gateway, removes=removes)
    await watch.read()
    gateway.engine.around.drop("docs")
    gateway.engine.around.drop("papers")
    await watch.read(later=1)
    await watch.read(later=AFTER - 1)
    assert watch.reported() == []
    await watch.read(later=1)
    await watch.read(later=AFTER)
    assert watch.reported() == [("default", "docs")]
    assert gateway.events("VanishCollection")[0]["roles"] == ["reading"]
    assert await watch.grants() == ([*ALL[1:]] if removes else ALL)
    removed = [{"because": "vanished_around_us", "database": "default", "object": "docs", "roles": ["reading"]}]
    assert gateway.events("RemoveVanishedGrants") == (removed if removes else [])


async def test_database_that_vanishes_takes_the_grants_on_its_collections(gateway: SharedGateway) -> None:
    watch = Watch(gateway, removes=True)
    await watch.read()
    gateway.engine.around.drop_database("other")
    await watch.read(later=1)
    await watch.read(later=AFTER)
    assert await watch.grants() == ALL[:2]


async def test_collection_that_is_there_again_has_not_vanished(gateway: SharedGateway) -> None:
    watch = Watch(gateway, removes=True)
    await watch.read()
    gateway.engine.around.drop("docs")
    await watch.read(later=1)
    gateway.engine.around.create("docs")
    await watch.read(later=AFTER)
    gateway.engine.around.drop("docs")
    await watch.read(later=1)
    assert watch.reported() == []
    assert await watch.grants() == ALL


async def test_list_that_is_empty_by_mistake_removes_nothing(gateway: SharedGateway) -> None:
    watch = Watch(gateway, removes=True)
    await watch.read()
    told = messages.ShowCollectionsResponse(status=messages.Status()).SerializeToString()
    gateway.engine.answers["ShowCollections"] = told
    for _ in range(3):
        await watch.read(later=AFTER)
    assert watch.reported() == []
    assert await watch.grants() == ALL


async def test_engine_that_is_away_says_nothing(gateway: SharedGateway) -> None:
    watch = Watch(gateway, removes=True)
    await watch.read()
    gateway.engine.around.drop("docs")
    await watch.read(later=1)
    gateway.engine.failures["ListDatabases"] = EngineUnavailable("away")
    for _ in range(3):
        with pytest.raises(EngineUnavailable):
            await watch.read(later=AFTER)
        await watch.vanished.act()
    assert watch.reported() == []
    del gateway.engine.failures["ListDatabases"]
    gateway.engine.restart()
    gateway.engine.failures["HasCollection"] = EngineUnavailable("away")
    with pytest.raises(EngineUnavailable):
        await watch.read(later=1)
    assert await watch.grants() == ALL
    del gateway.engine.failures["HasCollection"]
    await watch.vanished.act()
    assert await watch.grants() == ALL[1:]


async def test_what_we_drop_or_rename_ourselves_has_not_vanished(gateway: SharedGateway) -> None:
    watch = Watch(gateway, removes=True)
    await watch.read()
    await gateway.harness.succeed("DropCollection", db_name="other", collection_name="docs")
    await gateway.harness.succeed("RenameCollection", oldName="docs", newName="archive")
    for _ in range(3):
        await watch.read(later=AFTER)
    assert watch.reported() == []
    assert ("default", "archive") in await watch.grants()


async def test_collection_that_was_replaced_is_reported_at_once_and_keeps_its_grants(gateway: SharedGateway) -> None:
    watch = Watch(gateway, removes=True)
    await watch.read()
    gateway.engine.around.drop("docs")
    gateway.engine.around.create("docs")
    await watch.read(later=1)
    await watch.read(later=AFTER)
    assert [each["object"] for each in gateway.events("ReplaceCollection")] == ["docs"]
    assert await watch.grants() == ALL


async def test_grants_kept_for_a_user_end_when_others_create_the_collection(gateway: SharedGateway) -> None:
    harness = gateway.harness
    watch = Watch(gateway, removes=False)
    await watch.read()
    await harness.role("owning", ("DropCollection", "default", "docs"), ("CreateCollection", "default", "*"))
    await harness.user("owner", "owning", "reading")
    for created_by_owner in (True, False):
        await harness.succeed("DropCollection", by="owner", collection_name="docs")
        await watch.read(later=1)
        assert ("default", "docs") in await watch.grants()
        if created_by_owner:
            await harness.succeed("CreateCollection", by="owner", collection_name="docs")
        else:
            gateway.engine.around.create("docs")
        await watch.read(later=1)
        assert (("default", "docs") in await watch.grants()) is created_by_owner
    (released,) = gateway.events("ReleaseGrants")
    assert released["because"] == "created_around_us"
    assert released["roles"] == ["owning", "reading"]


# Row policies


async def protect(gateway: SharedGateway, name: str) -> None:
    policy = RowPolicy("own", PolicyType.PERMISSIVE, actions=frozenset({RowAction.QUERY}), using_expr="true")
    async with gateway.harness.policy_cache.change() as transaction:
        await transaction.row_policies.put("default", name, policy)
        await transaction.row_policies.protect("default", name, enabled=True, force=False)


def protected(gateway: SharedGateway, name: str) -> bool:
    return gateway.harness.policy_cache.current().protected("default", name) is not None


async def test_row_policies_of_what_vanished_are_reported_and_stay(gateway: SharedGateway) -> None:
    watch = Watch(gateway, removes=True)
    await protect(gateway, "papers")
    await watch.read()
    gateway.engine.around.drop("papers")
    await watch.read(later=1)
    await watch.read(later=AFTER)
    assert [each["row_policies"] for each in gateway.events("VanishCollection")] == [["own"]]
    assert protected(gateway, "papers")
    gateway.engine.around.create("papers")
    await watch.read(later=1)
    assert protected(gateway, "papers")


async def test_row_policies_follow_a_collection_that_others_rename(gateway: SharedGateway) -> None:
    watch = Watch(gateway, removes=False)
    await protect(gateway, "papers")
    await watch.read()
    gateway.engine.around.rename("papers", "archive")
    await watch.read(later=1)
    assert protected(gateway, "archive")
    assert protected(gateway, "papers")
    assert [each["to_object"] for each in gateway.events("FollowRename")] == ["archive"]


async def test_a_collection_that_is_protected_already_keeps_its_own_policies(gateway: SharedGateway) -> None:
    watch = Watch(gateway, removes=False)
    await protect(gateway, "papers")
    async with gateway.harness.policy_cache.change() as transaction:
        await transaction.row_policies.protect("default", "archive", enabled=True, force=True)
    await watch.read()
    gateway.engine.around.rename("papers", "archive")
    await watch.read(later=1)
    assert gateway.harness.policy_cache.current().row_rules["default", "archive"].force
    assert gateway.events("FollowRename") == []
