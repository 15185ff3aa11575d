"""Roles and bindings over the gateway: every condition of contract 2.3."""

import asyncio
from typing import Any

import pytest
from tests.support.gateway import GatewayHarness
from tests.unit.iam.milvus_rpc.conftest import Refused

from kiteward.domain.errors import AccessDenied
from kiteward.domain.naming import NamingRules
from kiteward.iam.settings import Limits

NO_ROLE = "not found the role, maybe the role isn't existed or internal system error"
"""What Milvus 2.6 and 3.0 say of an unknown role in DropRole and OperateUserRole."""

ILLEGAL_NAMES = [
    ("", "role name should be not empty"),
    ("  ", "role name should be not empty"),
    (
        "r" * 256,
        "the length of role name must be not greater than limit: invalid parameter[256 out of range 0 <= value <= 255]",
    ),
    ("1role", "the first character of role name must be an underscore or letter, but got '1'"),
    (" role", "the first character of role name must be an underscore or letter, but got ' '"),
    ("éole", "the first character of role name must be an underscore or letter"),
    ("ro-le", "role name can only contain numbers, letters, underscores, and allowed characters ($), found '-' at 2"),
    ("role ", "found ' ' at 4"),
    ("role\n", "found '\\n' at 4"),
    ("rôle", "found 'ô' at 1"),
]


async def described(
    harness: GatewayHarness, *, users: bool = False, by: str = "root", **fields: Any
) -> dict[str, tuple[str, ...]]:
    """Return role name -> description and, if asked for, users."""
    answer = await harness.succeed("SelectRole", by=by, include_user_info=users, **fields)
    return {
        result.role.name: (result.role.description, *(user.name for user in result.users)) for result in answer.results
    }


# CreateRole and AlterRole


@pytest.mark.parametrize("name", ["_role", "Role$1", "r" * 255, "root", "anonymous", "Admin"])
async def test_role_is_created_with_its_description(harness: GatewayHarness, name: str) -> None:
    await harness.succeed("CreateRole", entity={"name": name, "description": "for tests"})
    assert await described(harness, role={"name": name}) == {name: ("for tests",)}


@pytest.mark.parametrize(("name", "text"), ILLEGAL_NAMES)
async def test_illegal_role_name_is_refused_with_the_rule(refused: Refused, name: str, text: str) -> None:
    await refused("CreateRole", 1100, 5, text, entity={"name": name})
    await refused("AlterRole", 1100, 5, text, role_name=name)
    await refused("DropRole", 1100, 5, text, role_name=name)
    await refused("OperateUserRole", 1100, 5, text, username="alice", role_name=name)
    await refused("SelectRole", 1100, 5, text, role={"name": name})


async def test_missing_entity_is_an_empty_name(refused: Refused) -> None:
    await refused("CreateRole", 1100, 5, "role name should be not empty")


@pytest.mark.parametrize("name", ["reader", "admin", "public"])
async def test_role_that_exists_is_refused_and_stays(refused: Refused, name: str) -> None:
    text = f'role [name:"{name}"] already exists: invalid parameter'
    await refused("CreateRole", 1100, 35, text, entity={"name": name, "description": "another"})


async def test_limit_of_roles_counts_the_built_in_ones(harness: GatewayHarness, refused: Refused) -> None:
    harness.configure(limits=Limits(roles=5))
    await harness.succeed("CreateRole", entity={"name": "fifth"})
    text = (
        "failed to check if create role: quota exceeded"
        "[reason=unable to create role because the number of roles has reached the limit]"
    )
    await refused("CreateRole", 9, 35, text, entity={"name": "sixth"})
    await refused("CreateRole", 9, 35, "quota exceeded", entity={"name": "sixth"})
    await refused("CreateRole", 1100, 35, "already exists", entity={"name": "fifth"})


async def test_further_characters_are_a_matter_of_configuration(harness: GatewayHarness) -> None:
    harness.configure(naming=NamingRules(role_characters="-"))
    await harness.succeed("CreateRole", entity={"name": "ro-le"})
    assert (await harness.status("CreateRole", entity={"name": "ro$le"})).code == 1100


async def test_role_created_twice_at_once_is_created_once(harness: GatewayHarness) -> None:
    requests = [harness.status("CreateRole", entity={"name": "twice"}) for _ in range(4)]
    assert sorted(status.code for status in await asyncio.gather(*requests)) == [0, 1100, 1100, 1100]


async def test_altered_description_replaces_the_old_one_and_an_empty_one_clears_it(harness: GatewayHarness) -> None:
    for text in ("first", "second", "second", ""):
        await harness.succeed("AlterRole", role_name="reader", description=text)
        assert await described(harness, role={"name": "reader"}) == {"reader": (text,)}
    assert len(await harness.grants("reader")) == 2


async def test_description_is_limited_in_bytes(harness: GatewayHarness, refused: Refused) -> None:
    long = "é" * 512 + "x"
    text = (
        "the length of role description must be not greater than limit: invalid parameter"
        "[1025 out of range 0 <= value <= 1024]"
    )
    await refused("CreateRole", 1100, 5, text, entity={"name": "fresh", "description": long})
    await refused("AlterRole", 1100, 5, text, role_name="reader", description=long)
    await harness.succeed("AlterRole", role_name="reader", description="é" * 512)


@pytest.mark.parametrize("name", ["admin", "public"])
async def test_built_in_roles_are_neither_altered_nor_dropped(refused: Refused, name: str) -> None:
    text = f"the role[{name}] is a default role, which can't be altered: privilege not permitted"
    await refused("AlterRole", 1401, 1, text, role_name=name, description="mine")
    text = f"the role[{name}] is a default role, which can't be dropped: privilege not permitted"
    await refused("DropRole", 1401, 1, text, role_name=name)
    await refused("DropRole", 1401, 1, text, role_name=name, force_drop=True)


@pytest.mark.parametrize("name", [" admin", "admin ", "Admin", "admin\n"])
async def test_no_spelling_of_admin_drops_admin(harness: GatewayHarness, name: str) -> None:
    await harness.user("carol", "admin")
    assert (await harness.status("DropRole", role_name=name, force_drop=True)).code != 0
    await harness.succeed("ListCredUsers", by="carol")


async def test_unknown_role_is_not_altered(refused: Refused) -> None:
    await refused("AlterRole", 1100, 1, "failed to check if alter role: role not exists", role_name="missing")


# DropRole


async def test_role_with_grants_is_dropped_only_by_force(harness: GatewayHarness, refused: Refused) -> None:
    text = "fail to drop the role that it has privileges. Use REVOKE API to revoke privileges: invalid parameter"
    await refused("DropRole", 1100, 36, text, role_name="reader")
    await harness.succeed("DropRole", role_name="reader", force_drop=True)
    assert "reader" not in await described(harness)


async def test_dropped_role_takes_bindings_and_grants_along_and_its_successor_inherits_nothing(
    harness: GatewayHarness,
) -> None:
    await harness.succeed("Query", by="alice", collection_name="docs")
    await harness.succeed("DropRole", role_name="reader", force_drop=True)
    with pytest.raises(AccessDenied):
        await harness.call("Query", by="alice", collection_name="docs")
    await harness.role("reader", ("Query", "default", "docs"))
    with pytest.raises(AccessDenied):
        await harness.call("Query", by="alice", collection_name="docs")
    assert await described(harness, users=True, role={"name": "reader"}) == {"reader": ("",)}


async def test_role_without_grants_is_dropped_although_users_hold_it(harness: GatewayHarness) -> None:
    await harness.succeed("OperateUserRole", username="bob", role_name="idle")
    await harness.succeed("DropRole", role_name="idle")
    (bob,) = (await harness.succeed("SelectUser", user={"name": "bob"}, include_role_info=True)).results
    assert list(bob.roles) == []


@pytest.mark.parametrize("force", [True, False])
async def test_unknown_role_is_not_dropped(refused: Refused, force: bool) -> None:
    await refused("DropRole", 1100, 36, NO_ROLE, role_name="missing", force_drop=force)


# OperateUserRole


async def test_binding_and_unbinding_work_at_once_and_twice(harness: GatewayHarness) -> None:
    for _ in range(2):
        await harness.succeed("OperateUserRole", username="bob", role_name="reader")
        await harness.succeed("Query", by="bob", collection_name="docs")
    for _ in range(2):
        await harness.succeed("OperateUserRole", username="bob", role_name="reader", type=1)
        with pytest.raises(AccessDenied):
            await harness.call("Query", by="bob", collection_name="docs")


@pytest.mark.parametrize(("user", "role"), [("bob", "admin"), ("bob", "public"), ("root", "reader")])
async def test_built_in_roles_and_root_can_be_bound(harness: GatewayHarness, user: str, role: str) -> None:
    await harness.succeed("OperateUserRole", username=user, role_name=role)
    (found,) = (await harness.succeed("SelectUser", user={"name": user}, include_role_info=True)).results
    assert [each.name for each in found.roles] == [role]


async def test_holder_of_admin_may_do_everything_until_it_is_unbound(harness: GatewayHarness) -> None:
    await harness.succeed("OperateUserRole", username="bob", role_name="admin")
    await harness.succeed("BackupRBAC", by="bob")
    await harness.succeed("OperateUserRole", username="bob", role_name="admin", type=1)
    with pytest.raises(AccessDenied):
        await harness.call("BackupRBAC", by="bob")


@pytest.mark.parametrize("kind", [0, 1])
async def test_unknown_role_is_neither_bound_nor_unbound(refused: Refused, kind: int) -> None:
    fields = {"username": "alice", "role_name": "missing", "type": kind}
    await refused("OperateUserRole", 1100, 37, f"{NO_ROLE}: invalid parameter", **fields)


async def test_unknown_user_is_not_bound_and_unbinding_it_succeeds(harness: GatewayHarness, refused: Refused) -> None:
    fields = {"username": "nobody", "role_name": "reader"}
    text = 'failed to check if operate user role: user "nobody" not found: invalid parameter'
    await refused("OperateUserRole", 1100, 37, text, **fields)
    before = await harness.state()
    await harness.succeed("OperateUserRole", **fields, type=1)
    assert await harness.state() == before


@pytest.mark.parametrize("kind", [2, -1, 7])
async def test_other_type_is_refused_and_the_right_ones_are_named(refused: Refused, kind: int) -> None:
    text = f"invalid operate user role type {kind}, valid values: 0 (add), 1 (remove): invalid parameter"
    await refused("OperateUserRole", 1100, 37, text, username="alice", role_name="reader", type=kind)


@pytest.mark.parametrize("name", ["", " alice", "alice ", "1alice"])
async def test_illegal_user_name_is_refused(refused: Refused, name: str) -> None:
    await refused("OperateUserRole", 1100, 5, "user", username=name, role_name="reader")


# SelectRole


async def test_roles_are_listed_in_order_with_users_only_when_asked(harness: GatewayHarness) -> None:
    await harness.succeed("OperateUserRole", username="bob", role_name="reader")
    assert await described(harness) == {"admin": ("",), "idle": ("",), "public": ("",), "reader": ("",)}
    assert list(await described(harness)) == ["admin", "idle", "public", "reader"]
    assert await described(harness, users=True) == {
        "admin": ("",),
        "idle": ("",),
        "public": ("",),
        "reader": ("", "alice", "bob"),
    }


async def test_unknown_role_gives_no_result(harness: GatewayHarness) -> None:
    assert await described(harness, role={"name": "missing"}) == {}


async def test_own_role_is_shown_without_the_other_users_that_hold_it(harness: GatewayHarness) -> None:
    await harness.succeed("OperateUserRole", username="bob", role_name="reader")
    assert await described(harness, users=True, by="alice", role={"name": "reader"}) == {"reader": ("", "alice")}
    await harness.grant("reader", "SelectOwnership", "*", "*")
    assert await described(harness, users=True, by="alice", role={"name": "reader"}) == {"reader": ("", "alice", "bob")}


async def test_public_is_everybodys_own_role(harness: GatewayHarness) -> None:
    assert await described(harness, users=True, by="bob", role={"name": "public"}) == {"public": ("",)}


@pytest.mark.parametrize("fields", [{"role": {"name": "idle"}}, {"role": {"name": "missing"}}, {}])
async def test_roles_of_others_are_not_shown(harness: GatewayHarness, fields: dict[str, Any]) -> None:
    with pytest.raises(AccessDenied, match="PrivilegeSelectOwnership"):
        await harness.call("SelectRole", by="alice", **fields)
