"""A revocation removes grants under a name and under its target, whenever it became an alias."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, quick_directory, v1, v2
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import AccessDenied

_NAMES: Final = ("blue", "green", "live")
_CHANGE: Final = {"grant": 0, "revoke": 1}


async def _by_v1(harness: GatewayHarness, action: str, name: str) -> None:
    await harness.succeed("OperatePrivilege", **v1("reader", "Query", "Collection", name), type=_CHANGE[action])


async def _by_v2(harness: GatewayHarness, action: str, name: str) -> None:
    await harness.succeed("OperatePrivilegeV2", **v2("reader", "Query", "default", name), type=_CHANGE[action])


async def _in_one_step(harness: GatewayHarness, action: str, name: str) -> None:
    change: dict[str, Any] = {action: [{"privilege": "Query", "collectionName": name}]}
    await Own(harness)("ChangeGrants", roleName="reader", **change)


Operate = Callable[[GatewayHarness, str, str], Awaitable[None]]
_WAYS: Final[tuple[Operate, ...]] = (_by_v1, _by_v2, _in_one_step)


async def _listed(harness: GatewayHarness, **entity: object) -> set[str]:
    asked = {"role": {"name": "reader"}, "db_name": "*", **entity}
    return {each.object_name for each in (await harness.succeed("SelectGrant", entity=asked)).entities}


@pytest.mark.parametrize("operate", _WAYS)
async def test_grant_made_before_its_name_became_an_alias_is_revoked_by_that_name(
    harness: GatewayHarness, operate: Operate
) -> None:
    await harness.role("unrelated", ("Query", "default", "docs"))
    await harness.role("namesake", ("Query", "default", "live"))
    await harness.succeed("DropRole", role_name="reader", force_drop=True)
    await harness.role("reader", ("Query", "default", "live"))
    await harness.succeed("CreateAlias", collection_name="docs", alias="live")
    await operate(harness, "revoke", "live")
    assert await _listed(harness) == set()
    await harness.succeed("DropRole", role_name="reader")
    assert await harness.grants("namesake") == [("Collection", "default", "live", "Query")]
    assert await harness.grants("unrelated") == [("Collection", "default", "docs", "Query")]


async def test_star_is_revoked_by_v2_under_whatever_type_it_was_granted(harness: GatewayHarness) -> None:
    await harness.succeed("DropRole", role_name="reader", force_drop=True)
    await harness.role("reader")
    await harness.succeed("OperatePrivilege", **v1("reader", "*", "Collection", "docs"), type=_CHANGE["grant"])
    await harness.succeed("OperatePrivilegeV2", **v2("reader", "*", "default", "docs"), type=_CHANGE["grant"])
    assert len(await harness.grants("reader")) == 2
    await harness.succeed("OperatePrivilegeV2", **v2("reader", "*", "default", "docs"), type=_CHANGE["revoke"])
    assert await harness.grants("reader") == []


async def test_revoked_grant_does_not_come_back_with_a_collection_of_the_alias_name(harness: GatewayHarness) -> None:
    await harness.role("visitor", ("Query", "default", "live"))
    await harness.user("carol", "visitor")
    await harness.succeed("CreateAlias", collection_name="docs", alias="live")
    await harness.revoke("visitor", "Query", "default", "live")
    await harness.succeed("DropAlias", alias="live")
    await harness.succeed("CreateCollection", collection_name="live")
    with pytest.raises(AccessDenied):
        await harness.call("Query", by="carol", collection_name="live")


async def test_grants_on_an_alias_are_listed_with_those_that_stand_under_its_name(harness: GatewayHarness) -> None:
    await harness.succeed("DropRole", role_name="reader", force_drop=True)
    await harness.role("reader", ("Query", "default", "live"))
    await harness.succeed("CreateAlias", collection_name="docs", alias="live")
    await harness.grant("reader", "Query", "default", "live")
    by_alias = {"object": {"name": "Collection"}, "object_name": "live"}
    assert await _listed(harness) == await _listed(harness, db_name="default", **by_alias) == {"docs", "live"}


async def test_revocation_that_takes_nothing_away_succeeds_as_in_milvus_and_says_so_in_one_step(
    harness: GatewayHarness,
) -> None:
    before = await harness.state()
    await harness.revoke("idle", "Query", "default", "current")
    done = await Own(harness)(
        "ChangeGrants", roleName="idle", revoke=[{"privilege": "Query", "collectionName": "docs"}]
    )
    assert done["revoked"] == []
    assert await harness.state() == before


async def test_grant_in_a_database_that_is_gone_can_be_revoked(harness: GatewayHarness, engine: FakeEngine) -> None:
    await harness.grant("idle", "Query", "other", "papers")
    del engine.databases["other"]
    harness.catalog.forget(["other"])
    await harness.revoke("idle", "Query", "other", "papers")
    assert await harness.grants("idle") == []
    assert (await harness.status("OperatePrivilegeV2", **v2("idle", "Query", "other", "papers"), type=1)).code == 800


_STEPS: Final = st.one_of(
    st.tuples(st.sampled_from(("create", "unalias", "drop")), st.sampled_from(_NAMES)),
    st.tuples(st.sampled_from(("alias", "alter")), st.sampled_from(_NAMES), st.sampled_from(_NAMES)),
    st.tuples(st.just("alias"), st.just("live"), st.just("blue")),
    st.tuples(st.sampled_from(("grant", "revoke")), st.sampled_from(_NAMES), st.sampled_from(_WAYS)),
)


@pytest.fixture(scope="module")
def store_with_a_reader(bootstrapped_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the user alice, who holds the role reader, which holds nothing."""
    path = Path(shutil.copy(bootstrapped_store, tmp_path_factory.mktemp("reader") / "store.db"))

    async def people() -> None:
        async with opened(path) as harness:
            await harness.role("reader")
            await harness.user("alice", "reader")

    asyncio.run(people())
    return path


@pytest.mark.slow
@settings(max_examples=settings().max_examples // 6)
@given(steps=st.lists(_STEPS, min_size=4, max_size=14))
def test_what_is_revoked_is_gone_whatever_became_of_aliases_before_between_and_after(
    store_with_a_reader: Path, steps: Sequence[tuple[str, str] | tuple[str, str, str | Operate]]
) -> None:
    async def walk() -> None:
        with quick_directory() as directory:
            path = Path(shutil.copy(store_with_a_reader, directory / "store.db"))
            engine = FakeEngine()
            engine.create("blue", "green")
            async with opened(path, engine) as harness:
                for step in steps:
                    await _take(harness, *step)
                for name in sorted(await _listed(harness)):
                    await harness.revoke("reader", "Query", "default", name)
                await harness.succeed("DropRole", role_name="reader")

    asyncio.run(walk())


async def _take(harness: GatewayHarness, action: str, name: str, further: str | Operate = "") -> None:
    """Take a step; what engine or gateway refuse is left out."""
    if not isinstance(further, str):
        await further(harness, action, name)
        if action == "revoke":
            await _require_gone(harness, name)
        return
    operation, fields = {
        "create": ("CreateCollection", {"collection_name": name}),
        "drop": ("DropCollection", {"collection_name": name}),
        "unalias": ("DropAlias", {"alias": name}),
        "alias": ("CreateAlias", {"alias": name, "collection_name": further}),
        "alter": ("AlterAlias", {"alias": name, "collection_name": further}),
    }[action]
    await harness.status(operation, **fields)


async def _require_gone(harness: GatewayHarness, name: str) -> None:
    """Demand that nothing is left of a grant on a name: in no list, and in no decision."""
    meant = {name, harness.engine.databases["default"].aliases.get(name, name)}
    assert not meant & await _listed(harness)
    assert not await _listed(harness, object={"name": "Collection"}, object_name=name, db_name="default")
    for each in meant:
        with pytest.raises(AccessDenied):
            await harness.call("Query", by="alice", collection_name=each)
