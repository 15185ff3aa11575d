"""The privilege catalogue against the protocol and contract 4.4, 4.5."""

from kiteward.authz.privileges import (
    BUILT_IN_GROUPS,
    BY_NAME_ONLY,
    CLUSTER_LEVEL,
    COLLECTION_LEVEL,
    COLLECTION_TYPED,
    GLOBAL_TYPED,
    GRANTED_ALONG,
    LEGACY_GROUP_TYPES,
    LEGACY_GROUPS,
    PRIVILEGES,
    USER_TYPED,
    Level,
    ObjectType,
    group_level,
    mask_of,
)
from kiteward.gateway.operations import OPERATIONS
from kiteward.milvus import messages

NOT_IN_THE_PROTOCOL = {"Expr", "ManageRLS", "ViewRLS", "SkipRLS", "CallProvider", "ProvisionUsers", "ExchangeToken"}
"""A privilege of the server's that no RPC needs, and those of later protocols for row policies (contract 4.4)."""

ANNOTATED_OTHERWISE = {"CreateRowPolicy", "DropRowPolicy", "ListRowPolicies"}
"""The pinned protocol has a privilege on the whole server for these (contract 4.2)."""


def protocol_names() -> set[str]:
    return {name.removeprefix("Privilege") for name in messages.ObjectPrivilege.keys()}  # noqa: SIM118  an enum wrapper


def test_every_privilege_is_one_of_the_protocol() -> None:
    assert set(PRIVILEGES) - protocol_names() == NOT_IN_THE_PROTOCOL


def test_what_the_protocol_has_beyond_the_catalogue_is_a_group_or_not_of_milvus_3() -> None:
    beyond = {name for name in protocol_names() - set(PRIVILEGES) - {"All"} if not name.startswith("Group")}
    assert beyond == set(), "decide on these: catalogue them, or say here why not"


def test_every_annotated_request_needs_a_privilege_of_the_catalogue_or_is_closed() -> None:
    for method in messages.METHODS:
        annotated = messages.annotation(method)
        if annotated is None or OPERATIONS[method].closed or method in ANNOTATED_OTHERWISE:
            continue
        privilege = PRIVILEGES[annotated.privilege]
        assert privilege.object_type == annotated.object_type, method


def test_built_in_groups_have_the_members_of_milvus_3() -> None:
    assert [(name, len(members)) for name, members in BUILT_IN_GROUPS.items()] == [
        ("ClusterReadOnly", 8),
        ("ClusterReadWrite", 16),
        ("ClusterAdmin", 33),
        ("DatabaseReadOnly", 2),
        ("DatabaseReadWrite", 3),
        ("DatabaseAdmin", 6),
        ("CollectionReadOnly", 16),
        ("CollectionReadWrite", 34),
        ("CollectionAdmin", 39),
    ]


def test_each_rank_of_a_level_holds_the_one_below_and_admin_holds_the_level() -> None:
    for level in Level:
        read_only, read_write, admin = (
            set(BUILT_IN_GROUPS[level + rank]) for rank in ("ReadOnly", "ReadWrite", "Admin")
        )
        assert read_only < read_write < admin
        of_level = {name for name, privilege in PRIVILEGES.items() if privilege.level is level}
        assert admin == of_level - {"SkipRLS", "CallProvider", "ProvisionUsers", "ExchangeToken"}


def test_levels_do_not_cascade() -> None:
    assert not CLUSTER_LEVEL & COLLECTION_LEVEL
    assert "Search" not in BUILT_IN_GROUPS["ClusterAdmin"]


def test_every_privilege_owns_one_bit() -> None:
    bits = [privilege.bit for privilege in PRIVILEGES.values()]
    assert all(bit.bit_count() == 1 for bit in bits)
    assert len(set(bits)) == len(bits)
    of_databases = sum(each.bit for each in PRIVILEGES.values() if each.level is Level.DATABASE)
    by_name = sum(bits) - BY_NAME_ONLY
    assert by_name == COLLECTION_TYPED | GLOBAL_TYPED | USER_TYPED == CLUSTER_LEVEL + of_databases + COLLECTION_LEVEL


def test_user_privileges_are_the_two_about_users() -> None:
    assert {name for name, privilege in PRIVILEGES.items() if privilege.object_type is ObjectType.USER} == {
        "SelectUser",
        "UpdateUser",
    }


def test_mask_leaves_out_what_is_not_a_single_privilege() -> None:
    assert mask_of(["Query", "ClusterAdmin", "mine", "*", "All"]) == PRIVILEGES["Query"].bit
    assert mask_of([]) == 0


def test_level_of_a_group_is_that_of_its_first_single_privilege() -> None:
    assert group_level(["mine", "Query"]) is Level.COLLECTION
    assert group_level(["CreateDatabase"]) is Level.CLUSTER
    assert group_level([]) is None
    assert group_level(["mine"]) is None


def test_legacy_groups_grow_and_hold_known_privileges() -> None:
    assert set(LEGACY_GROUPS["ReadOnly"]) < set(LEGACY_GROUPS["ReadWrite"]) < set(LEGACY_GROUPS["Admin"])
    assert set(LEGACY_GROUPS["Admin"]) <= set(PRIVILEGES)
    assert set(LEGACY_GROUP_TYPES) == set(LEGACY_GROUPS)
    assert not set(LEGACY_GROUPS) & set(BUILT_IN_GROUPS)


def test_privileges_granted_along_share_the_type_of_the_one_that_brings_them() -> None:
    for name, along in GRANTED_ALONG.items():
        assert {PRIVILEGES[each].object_type for each in along} == {PRIVILEGES[name].object_type}
