"""Custom privilege groups over the gateway: every condition of contract 2.5."""

import pytest
from tests.support.gateway import GatewayHarness
from tests.unit.iam.milvus_rpc.conftest import Refused

from kiteward.authz.privileges import BUILT_IN_GROUPS, LEGACY_GROUPS
from kiteward.domain.errors import AccessDenied

OPERATE = "OperatePrivilegeGroup"
ADD, REMOVE = 0, 1


async def listed(harness: GatewayHarness) -> dict[str, list[str]]:
    answer = await harness.succeed("ListPrivilegeGroups")
    return {group.group_name: [member.name for member in group.privileges] for group in answer.privilege_groups}


async def operate(harness: GatewayHarness, group: str, *privileges: str, kind: int = ADD) -> None:
    await harness.succeed(OPERATE, group_name=group, privileges=[{"name": name} for name in privileges], type=kind)


def members(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


# Create, drop, list


async def test_created_group_is_empty_and_listed_before_the_nine_built_in_ones(harness: GatewayHarness) -> None:
    await harness.succeed("CreatePrivilegeGroup", group_name="a_group")
    found = await listed(harness)
    assert list(found) == ["a_group", "mine", "spare", *BUILT_IN_GROUPS]
    assert found["a_group"] == []
    assert found["mine"] == ["Query", "Search"]
    assert all(found[name] == list(BUILT_IN_GROUPS[name]) for name in BUILT_IN_GROUPS)
    assert not set(found) & set(LEGACY_GROUPS)


@pytest.mark.parametrize(
    ("name", "code", "legacy", "text"),
    [
        ("", 1402, 1, "invalid privilege group name[privilegeGroup=privilege group name should not be empty]"),
        ("  ", 1402, 1, "should not be empty"),
        ("g" * 256, 1402, 1, "the length of a privilege group name must be at most 255 bytes"),
        ("1g", 1402, 1, "the first character of 1g must be an underscore or letter"),
        (" g", 1402, 1, "must be an underscore or letter"),
        ("ég", 1402, 1, "must be an underscore or letter"),
        (
            "x-y",
            1100,
            5,
            "privilege group name x-y can only contain numbers, letters and underscores: invalid parameter",
        ),
        ("x$", 1100, 5, "can only contain numbers, letters and underscores"),
        ("x\n", 1100, 5, "can only contain numbers, letters and underscores"),
    ],
)
async def test_illegal_group_name_is_refused_with_the_rule(
    refused: Refused, name: str, code: int, legacy: int, text: str
) -> None:
    for method in ("CreatePrivilegeGroup", "DropPrivilegeGroup"):
        await refused(method, code, legacy, text, group_name=name)
    await refused(OPERATE, code, legacy, text, group_name=name, privileges=members("Query"))


async def test_group_that_exists_is_refused_and_keeps_its_members(refused: Refused) -> None:
    text = (
        "failed to check if privilege group creatable: "
        "privilege group name [mine] is defined by users: invalid parameter"
    )
    await refused("CreatePrivilegeGroup", 1100, 58, text, group_name="mine")


@pytest.mark.parametrize("name", ["Insert", "ClusterAdmin", "CollectionReadOnly", "ReadOnly", "Admin", "All"])
async def test_name_of_a_privilege_or_built_in_group_is_taken(refused: Refused, name: str) -> None:
    text = f"privilege group name [{name}] is defined by built in privileges or privilege groups in system"
    await refused("CreatePrivilegeGroup", 1100, 58, text, group_name=name)


async def test_group_is_dropped(harness: GatewayHarness) -> None:
    await harness.succeed("DropPrivilegeGroup", group_name="spare")
    assert "spare" not in await listed(harness)


async def test_group_that_a_role_holds_is_not_dropped_until_revoked(harness: GatewayHarness, refused: Refused) -> None:
    text = (
        "failed to check if privilege group dropable: "
        "privilege group [mine] is used by role [reader], Use REVOKE API to revoke it first: invalid parameter"
    )
    await refused("DropPrivilegeGroup", 1100, 59, text, group_name="mine")
    await harness.revoke("reader", "mine", "default", "docs")
    await harness.succeed("DropPrivilegeGroup", group_name="mine")


@pytest.mark.parametrize("name", ["missing", "ClusterAdmin", "CollectionReadOnly"])
async def test_dropping_an_unknown_or_built_in_group_succeeds_without_effect(
    harness: GatewayHarness, name: str
) -> None:
    before = (await harness.state(), await listed(harness))
    await harness.succeed("DropPrivilegeGroup", group_name=name)
    assert (await harness.state(), await listed(harness)) == before


async def test_listing_needs_its_privilege(harness: GatewayHarness) -> None:
    with pytest.raises(AccessDenied, match="PrivilegeListPrivilegeGroups"):
        await harness.call("ListPrivilegeGroups", by="alice")


# Members


async def test_members_are_a_set(harness: GatewayHarness) -> None:
    for _ in range(2):
        await operate(harness, "spare", "Query", "Insert", "Query")
        assert (await listed(harness))["spare"] == ["Insert", "Query"]
    for _ in range(2):
        await operate(harness, "spare", "Insert", "Delete", kind=REMOVE)
        assert (await listed(harness))["spare"] == ["Query"]


async def test_changed_members_reach_every_holder_at_once(harness: GatewayHarness) -> None:
    with pytest.raises(AccessDenied):
        await harness.call("Insert", by="alice", collection_name="docs")
    await operate(harness, "mine", "Insert")
    await harness.succeed("Insert", by="alice", collection_name="docs")
    await operate(harness, "mine", "Insert", kind=REMOVE)
    with pytest.raises(AccessDenied):
        await harness.call("Insert", by="alice", collection_name="docs")


async def test_emptied_group_can_be_granted_and_grants_nothing(harness: GatewayHarness) -> None:
    await harness.grant("idle", "spare", "default", "docs")
    await harness.user("carol", "idle")
    with pytest.raises(AccessDenied):
        await harness.call("Query", by="carol", collection_name="docs")


async def test_nested_groups_are_accepted_and_not_expanded(harness: GatewayHarness) -> None:
    await operate(harness, "spare", "mine", "CollectionReadWrite")
    assert (await listed(harness))["spare"] == ["CollectionReadWrite", "mine"]
    await harness.grant("idle", "spare", "default", "docs")
    await harness.user("carol", "idle")
    for method in ("Query", "Insert"):
        with pytest.raises(AccessDenied):
            await harness.call(method, by="carol", collection_name="docs")


@pytest.mark.parametrize("name", ["missing", "ClusterAdmin", "ReadOnly"])
async def test_unknown_and_built_in_groups_are_not_operated(refused: Refused, name: str) -> None:
    text = f"there is no privilege group name [{name}] defined in system to operate: invalid parameter"
    await refused(OPERATE, 1100, 61, text, group_name=name, privileges=members("Query"))


async def test_members_are_needed(refused: Refused) -> None:
    text = "privileges is empty when alter the privilege group: invalid parameter"
    await refused(OPERATE, 1100, 61, text, group_name="spare")


@pytest.mark.parametrize("kind", [ADD, REMOVE])
@pytest.mark.parametrize("name", ["Bogus", "query", "PrivilegeQuery", "*", "All"])
async def test_unknown_member_is_refused_with_the_whole_request(refused: Refused, kind: int, name: str) -> None:
    text = (
        "failed to check if privilege group alterable: there is no privilege name or privilege group name "
        f"[{name}] defined in system to operate: invalid parameter"
    )
    fields = {"group_name": "mine", "privileges": members("Query", name), "type": kind}
    await refused(OPERATE, 1100, 61, text, **fields)


@pytest.mark.parametrize("name", ["", "Que-ry", " Query"])
async def test_malformed_member_is_refused_with_the_rule(refused: Refused, name: str) -> None:
    await refused(OPERATE, 1100, 5, "Privilege", group_name="mine", privileges=members(name))


@pytest.mark.parametrize(
    ("group", "added"),
    [
        ("mine", ["CreateCollection"]),
        ("mine", ["ClusterAdmin"]),
        ("spare", ["Query", "CreateOwnership"]),
        ("spare", ["CollectionReadOnly", "DatabaseReadOnly"]),
    ],
)
async def test_members_share_one_level_with_each_other_and_with_those_there(
    refused: Refused, group: str, added: list[str]
) -> None:
    text = "privileges are not the same privilege level: invalid parameter"
    await refused(OPERATE, 1100, 61, text, group_name=group, privileges=members(*added))


@pytest.mark.parametrize("kind", [2, -1])
async def test_other_type_is_refused_and_the_right_ones_are_named(refused: Refused, kind: int) -> None:
    text = f"invalid operate privilege group type {kind}, valid values: 0 (add), 1 (remove): invalid parameter"
    await refused(OPERATE, 1100, 61, text, group_name="mine", privileges=members("Query"), type=kind)
