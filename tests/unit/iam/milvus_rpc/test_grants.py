"""Grants over the gateway: every condition of contract 2.4, and how they are stored and listed (contract 4.12)."""

import copy
from typing import Any

import pytest
from tests.support.gateway import GatewayHarness, v1, v2
from tests.unit.iam.milvus_rpc.conftest import Refused

from kiteward.authz.privileges import BUILT_IN_GROUPS, LEGACY_GROUPS, PRIVILEGES, ObjectType
from kiteward.domain.errors import AccessDenied

V1, V2 = "OperatePrivilege", "OperatePrivilegeV2"
NO_ROLE = 'failed to operate privilege common check: the role "missing" does not exist: invalid parameter'
"""As `operatePrivilegeCommonCheck` of Milvus 2.6 and 3.0 tells it."""
MISSING_PARTS = [
    ("grantor", "the grantor entity in the grant entity is nil: invalid parameter"),
    ("object", "the resource entity in the grant entity is nil: invalid parameter"),
    ("role", "the role entity in the grant entity is nil: invalid parameter"),
]


# What is stored (contract 4.12)


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        (v1("idle", "Search", "Collection", "c1"), [("Collection", "default", "c1", "Search")]),
        (
            v1("idle", "Load", "Collection", "c1"),
            [("Collection", "default", "c1", name) for name in ("GetLoadState", "GetLoadingProgress", "Load")],
        ),
        (
            v1("idle", "Flush", "Collection", "c1", "other"),
            [("Collection", "other", "c1", name) for name in ("Flush", "GetFlushState")],
        ),
        (v1("idle", "CreateCollection", "Global", "c1"), [("Global", "default", "*", "CreateCollection")]),
        (v1("idle", "UpdateUser", "User", "u1"), [("User", "default", "u1", "UpdateUser")]),
        (v1("idle", "*", "Collection", "*"), [("Collection", "default", "*", "*")]),
        (v1("idle", "*", "Collection", "*", "*"), [("Collection", "*", "*", "*")]),
        (v1("idle", "All", "Global", "*"), [("Global", "default", "*", "All")]),
        (v1("idle", "Admin", "Global", "c1"), [("Global", "default", "*", "Admin")]),
        (v1("idle", "ReadOnly", "Collection", "c1"), [("Collection", "default", "c1", "ReadOnly")]),
        (v1("idle", "Search", "Collection", "c1", "*"), [("Collection", "*", "c1", "Search")]),
    ],
)
async def test_v1_grant_is_listed_as_milvus_stores_it(
    harness: GatewayHarness, fields: dict[str, Any], stored: list[tuple[str, str, str, str]]
) -> None:
    for _ in range(2):
        await harness.succeed(V1, **fields)
        assert await harness.grants("idle") == stored
    for _ in range(2):
        await harness.succeed(V1, **fields, type=1)
        assert await harness.grants("idle") == []


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        (v2("idle", "Search", "other", "c1"), [("Collection", "other", "c1", "Search")]),
        (v2("idle", "DescribeCollection", "other", "c1"), [("Global", "other", "c1", "DescribeCollection")]),
        (v2("idle", "CollectionReadOnly", "other", "c1"), [("Global", "other", "c1", "CollectionReadOnly")]),
        (v2("idle", "CollectionReadOnly", "*", "*"), [("Global", "*", "*", "CollectionReadOnly")]),
        (v2("idle", "DatabaseAdmin", "other", "*"), [("Global", "other", "*", "DatabaseAdmin")]),
        (v2("idle", "ClusterAdmin", "*", "*"), [("Global", "*", "*", "ClusterAdmin")]),
        (v2("idle", "mine", "other", "*"), [("Global", "other", "*", "mine")]),
        (v2("idle", "spare", "other", "c1"), [("Global", "other", "c1", "spare")]),
        (v2("idle", "UpdateUser", "*", "*"), [("User", "*", "*", "UpdateUser")]),
        (v2("idle", "*", "other", "c1"), [("Global", "other", "c1", "*")]),
        # A single privilege of the cluster fits anywhere, and is then useless (contract Q20).
        (v2("idle", "CreateOwnership", "other", "c1"), [("Global", "other", "c1", "CreateOwnership")]),
        (v2("idle", "Search", "*", "c1"), [("Collection", "*", "c1", "Search")]),
        (
            v2("idle", "Load", "", "c1"),
            [("Collection", "default", "c1", name) for name in ("GetLoadState", "GetLoadingProgress", "Load")],
        ),
    ],
)
async def test_v2_grant_is_listed_as_milvus_stores_it(
    harness: GatewayHarness, fields: dict[str, Any], stored: list[tuple[str, str, str, str]]
) -> None:
    for _ in range(2):
        await harness.succeed(V2, **fields)
        assert await harness.grants("idle") == stored
    for _ in range(2):
        await harness.succeed(V2, **fields, type=1)
        assert await harness.grants("idle") == []


async def test_grant_made_by_one_version_is_revoked_by_the_other(harness: GatewayHarness) -> None:
    await harness.succeed(V1, **v1("idle", "Load", "Collection", "c1"))
    await harness.revoke("idle", "Load", "default", "c1")
    assert await harness.grants("idle") == []
    await harness.grant("idle", "CreateCollection")
    await harness.succeed(V1, **v1("idle", "CreateCollection", "Global", "whatever"), type=1)
    assert await harness.grants("idle") == []


async def test_global_privilege_on_a_named_collection_is_another_grant_than_on_all(harness: GatewayHarness) -> None:
    await harness.grant("idle", "DescribeCollection", "default", "c1")
    await harness.succeed(V1, **v1("idle", "DescribeCollection", "Global", "*"), type=1)
    await harness.revoke("idle", "DescribeCollection", "default", "*")
    assert await harness.grants("idle") == [("Global", "default", "c1", "DescribeCollection")]


async def test_revoking_load_takes_along_what_was_granted_alone(harness: GatewayHarness) -> None:
    await harness.grant("idle", "GetLoadState", "default", "c1")
    await harness.grant("idle", "Load", "default", "c1")
    await harness.revoke("idle", "Load", "default", "c1")
    assert await harness.grants("idle") == []


async def test_v1_takes_exactly_the_privileges_of_the_type(harness: GatewayHarness) -> None:
    for name, privilege in PRIVILEGES.items():
        for kind in ObjectType:
            status = await harness.status(V1, **v1("idle", name, kind, "*"))
            if privilege.by_v1 and kind is privilege.object_type:
                assert status.code == 0, status
            else:
                assert (status.code, status.error_code) == (1100, 41), (kind, status)
                assert f"not found the privilege name[{name}] in object[{kind}]" in status.reason


async def test_v2_takes_every_privilege_and_group(harness: GatewayHarness) -> None:
    for name in [*PRIVILEGES, *BUILT_IN_GROUPS, *LEGACY_GROUPS, "All", "*", "mine"]:
        await harness.grant("idle", name, "*", "*")
    listed = {privilege for _, _, _, privilege in await harness.grants("idle")}
    assert listed == {*PRIVILEGES, *BUILT_IN_GROUPS, *LEGACY_GROUPS, "All", "*", "mine"}


async def test_first_grantor_is_kept(harness: GatewayHarness) -> None:
    await harness.user("carol", "admin")
    await harness.succeed(V2, by="carol", **v2("idle", "Query", "default", "docs"))
    await harness.grant("idle", "Query", "default", "docs")
    (listed,) = (await harness.succeed("SelectGrant", entity={"role": {"name": "idle"}})).entities
    assert (listed.role.name, listed.grantor.user.name) == ("idle", "carol")


async def test_grantor_is_the_caller_whoever_the_request_names(harness: GatewayHarness) -> None:
    fields = v1("idle", "Query", "Collection", "docs")
    fields["entity"]["grantor"]["user"] = {"name": "alice"}
    await harness.succeed(V1, **fields)
    (listed,) = (await harness.succeed("SelectGrant", entity={"role": {"name": "idle"}})).entities
    assert listed.grantor.user.name == "root"


async def test_built_in_roles_can_be_granted_to(harness: GatewayHarness) -> None:
    await harness.grant("public", "Query", "default", "docs")
    await harness.grant("admin", "Query", "default", "docs")
    await harness.succeed("Query", by="bob", collection_name="docs")


async def test_database_is_the_given_one_then_the_connections_then_default(harness: GatewayHarness) -> None:
    fields = {**v2("idle", "Query", "", "papers")}
    await harness.succeed(V2, database="other", **fields)
    await harness.succeed(V1, database="other", **v1("idle", "Insert", "Collection", "papers"))
    await harness.succeed(V1, database="other", **v1("idle", "Delete", "Collection", "papers", "default"))
    assert await harness.grants("idle") == [
        ("Collection", "default", "papers", "Delete"),
        ("Collection", "other", "papers", "Insert"),
        ("Collection", "other", "papers", "Query"),
    ]


async def test_grant_on_an_alias_is_one_on_its_collection(harness: GatewayHarness) -> None:
    await harness.grant("idle", "Query", "default", "current")
    await harness.succeed(V1, **v1("idle", "Insert", "Collection", "current"))
    stored = [("Collection", "default", "docs", "Insert"), ("Collection", "default", "docs", "Query")]
    assert await harness.grants("idle") == stored
    entity = {"role": {"name": "idle"}, "object": {"name": "Collection"}, "object_name": "current"}
    assert len((await harness.succeed("SelectGrant", entity=entity)).entities) == 2
    await harness.revoke("idle", "Query", "default", "current")
    assert await harness.grants("idle") == stored[:1]


async def test_alias_is_looked_up_in_the_grants_database(harness: GatewayHarness) -> None:
    await harness.grant("idle", "Query", "other", "current")
    assert await harness.grants("idle") == [("Collection", "other", "current", "Query")]


@pytest.mark.parametrize(
    ("method", "fields"), [(V1, v1("idle", "Query", "Collection", "c", "gone")), (V2, v2("idle", "Query", "gone", "c"))]
)
async def test_named_collection_of_a_missing_database_is_refused(
    harness: GatewayHarness, refused: Refused, method: str, fields: dict[str, Any]
) -> None:
    await refused(method, 800, 1, "database not found[database=gone]", **fields)
    await harness.grant("idle", "Query", "gone", "*")


# What is refused


async def test_every_part_of_a_v1_grant_is_needed(refused: Refused) -> None:
    await refused(V1, 1100, 5, "the entity in the request is nil: invalid parameter")
    whole = v1("idle", "Query", "Collection", "docs")
    for part, text in MISSING_PARTS:
        fields = copy.deepcopy(whole)
        del fields["entity"][part]
        await refused(V1, 1100, 5, text, **fields)
    whole["entity"]["grantor"] = {}
    await refused(V1, 1100, 5, "the privilege entity in the grantor entity is nil", **whole)


async def test_every_part_of_a_v2_grant_is_needed(refused: Refused) -> None:
    whole = v2("idle", "Query", "default", "docs")
    await refused(V2, 1100, 5, "the role in the request is nil: invalid parameter", **{**whole, "role": None})
    await refused(V2, 1100, 5, "the grantor in the request is nil", **{**whole, "grantor": None})
    await refused(V2, 1100, 5, "the privilege entity in the grantor entity is nil", **{**whole, "grantor": {}})


@pytest.mark.parametrize(
    ("fields", "code", "legacy", "text"),
    [
        (v1("idle", "", "Collection", "docs"), 1100, 5, "Privilege should be not empty"),
        (v1("idle", "Que-ry", "Collection", "docs"), 1100, 5, "Privilege can only contain"),
        (v1("idle", "Query", "", "docs"), 1100, 5, "ObjectType should be not empty"),
        (v1("idle", "Query", "*", "docs"), 1100, 5, "the first character of ObjectType"),
        (v1("idle", "Query", "Collection", ""), 1100, 5, "object name should be not empty"),
        (v1("idle", "Query", "Collection", "do-cs"), 1100, 5, "object name can only contain"),
        (v1("idle", "Query", "Collection", "docs "), 1100, 5, "object name can only contain"),
        (v1("", "Query", "Collection", "docs"), 1100, 5, "role name should be not empty"),
        (v1("idle", "Query", "Collection", "docs", "a-b"), 802, 1, "invalid database name[database=a-b]"),
        (v1("idle", "Query", "Bogus", "docs"), 1100, 41, "the object entity in the request is nil or invalid"),
        (
            v1("idle", "Query", "collection", "docs"),
            1100,
            41,
            "failed to operate privilege common check: the object entity in the request is nil or invalid",
        ),
        (v1("missing", "Query", "Collection", "docs"), 1100, 41, NO_ROLE),
        (
            v1("idle", "query", "Collection", "docs"),
            1100,
            41,
            "not found the privilege name[query] in object[Collection]: invalid parameter",
        ),
        (v1("idle", "PrivilegeQuery", "Collection", "docs"), 1100, 41, "not found the privilege name[PrivilegeQuery]"),
        (v1("idle", "All", "Collection", "docs"), 1100, 41, "not found the privilege name[All]"),
        (v1("idle", "mine", "Global", "*"), 1100, 41, "can not operate the custom privilege group [mine]"),
        (
            v1("idle", "ClusterAdmin", "Global", "*"),
            1100,
            41,
            "can not operate the built-in privilege group [ClusterAdmin]",
        ),
        ({**v1("idle", "Query", "Collection", "docs"), "type": 7}, 1100, 41, "valid value: [Grant, Revoke]"),
    ],
)
async def test_wrong_v1_grant_is_refused_with_the_rule(
    refused: Refused, fields: dict[str, Any], code: int, legacy: int, text: str
) -> None:
    await refused(V1, code, legacy, text, **fields)


@pytest.mark.parametrize(
    ("fields", "code", "legacy", "text"),
    [
        (v2("idle", "", "default", "docs"), 1100, 5, "Privilege should be not empty"),
        (v2("idle", "Query", "default", ""), 1100, 5, "collection name should be not empty"),
        (v2("idle", "Query", "default", "do cs"), 1100, 5, "collection name can only contain"),
        (v2("", "Query", "default", "docs"), 1100, 5, "role name should be not empty"),
        ({**v2("idle", "Query", "default", "docs"), "type": 7}, 1100, 5, "the type in the request not grant or revoke"),
        (v2("idle", "Query", "a-b", "docs"), 802, 1, "invalid database name[database=a-b]"),
        (
            v2("idle", "Query", "1ab", "*"),
            802,
            1,
            "the first character of a database name must be an underscore or letter: invalid database name",
        ),
        (v2("idle", "Query", "ab ", "*"), 802, 1, "invalid database name"),
        (v2("idle", "Query", "d" * 256, "*"), 802, 1, "the length of a database name must be less than 255 characters"),
        (v2("missing", "Query", "default", "docs"), 1100, 41, NO_ROLE),
        (v2("idle", "Bogus", "default", "docs"), 1100, 41, "not found the privilege name[Bogus]: invalid parameter"),
        (v2("idle", "query", "default", "docs"), 1100, 41, "not found the privilege name[query]: invalid parameter"),
        (v2("idle", "PrivilegeQuery", "default", "docs"), 1100, 41, "not found the privilege name[PrivilegeQuery]"),
        (
            v2("idle", "ClusterAdmin", "default", "*"),
            1100,
            41,
            "dbName and collectionName should be * for the cluster level privilege: ClusterAdmin",
        ),
        (v2("idle", "ClusterReadOnly", "*", "docs"), 1100, 41, "should be * for the cluster level privilege"),
        (
            v2("idle", "DatabaseAdmin", "default", "docs"),
            1100,
            41,
            "collectionName should be * for the database level privilege: DatabaseAdmin",
        ),
        (
            v2("idle", "CollectionReadOnly", "*", "docs"),
            1100,
            41,
            "please specify database name for the collection level privilege: CollectionReadOnly",
        ),
        (
            v2("idle", "mine", "*", "docs"),
            1100,
            41,
            "please specify database name for the collection level privilege: mine",
        ),
    ],
)
async def test_wrong_v2_grant_is_refused_with_the_rule(
    refused: Refused, fields: dict[str, Any], code: int, legacy: int, text: str
) -> None:
    await refused(V2, code, legacy, text, **fields)


async def test_level_of_a_custom_group_is_that_of_its_members(harness: GatewayHarness, refused: Refused) -> None:
    await harness.group("cluster", "CreateOwnership")
    await harness.group("database", "AlterDatabase")
    await refused(V2, 1100, 41, "cluster level privilege: cluster", **v2("idle", "cluster", "default", "*"))
    await refused(V2, 1100, 41, "database level privilege: database", **v2("idle", "database", "default", "docs"))
    await harness.grant("idle", "cluster", "*", "*")
    await harness.grant("idle", "database", "default", "*")


# SelectGrant


@pytest.fixture
async def spread(harness: GatewayHarness) -> GatewayHarness:
    """The role idle holds grants in two databases and in all of them."""
    for grant in (
        ("Query", "default", "docs"),
        ("Query", "other", "papers"),
        ("Query", "*", "*"),
        ("All", "default", "*"),
    ):
        await harness.grant("idle", *grant)
    await harness.succeed(V1, **v1("idle", "UpdateUser", "User", "docs"))
    return harness


EVERYWHERE = ("Collection", "*", "*", "Query")
DEFAULT = [
    EVERYWHERE,
    ("Collection", "default", "docs", "Query"),
    ("Global", "default", "*", "All"),
    ("User", "default", "docs", "UpdateUser"),
]
OTHER = ("Collection", "other", "papers", "Query")


async def test_grants_are_listed_of_one_database_with_those_on_all_or_of_every_database(spread: GatewayHarness) -> None:
    assert await spread.grants("idle", "") == DEFAULT
    assert await spread.grants("idle", "default") == DEFAULT
    assert await spread.grants("idle", "other") == [EVERYWHERE, OTHER]
    assert await spread.grants("idle", "unknown") == [EVERYWHERE]
    assert await spread.grants("idle", "*") == [EVERYWHERE, DEFAULT[1], OTHER, *DEFAULT[2:]]


async def test_connections_database_fills_an_empty_one(spread: GatewayHarness) -> None:
    listed = await spread.succeed("SelectGrant", database="other", entity={"role": {"name": "idle"}})
    assert [each.db_name for each in listed.entities] == ["*", "other"]


async def test_grants_are_listed_of_one_object(spread: GatewayHarness) -> None:
    async def on(kind: str, name: str) -> list[tuple[str, str]]:
        entity = {"role": {"name": "idle"}, "object": {"name": kind}, "object_name": name}
        listed = (await spread.succeed("SelectGrant", entity=entity)).entities
        return [(each.object.name, each.object_name) for each in listed]

    assert await on("Collection", "docs") == [("Collection", "docs")]
    assert await on("User", "docs") == [("User", "docs")]
    assert await on("Collection", "missing") == []
    assert await on("Collection", "*") == [("Collection", "*")]


async def test_object_name_without_an_object_is_ignored(spread: GatewayHarness) -> None:
    listed = await spread.succeed("SelectGrant", entity={"role": {"name": "idle"}, "object_name": "docs"})
    assert len(listed.entities) == len(DEFAULT)


@pytest.mark.parametrize(
    ("fields", "legacy", "text"),
    [
        ({}, 5, "the grant entity in the request is nil: invalid parameter"),
        ({"entity": {"db_name": "*"}}, 5, "the role entity in the grant entity is nil: invalid parameter"),
        ({"entity": {"role": {"name": ""}}}, 5, "role name should be not empty"),
        (
            {"entity": {"role": {"name": "reader"}, "object": {"name": "Collection"}}},
            5,
            "object name should be not empty",
        ),
        (
            {"entity": {"role": {"name": "reader"}, "object": {"name": "Bogus"}, "object_name": "docs"}},
            42,
            "not found the object type[name: Bogus], supported the object types: [Collection Global User]",
        ),
        ({"entity": {"role": {"name": "missing"}}}, 42, 'the role "missing" does not exist: invalid parameter'),
    ],
)
async def test_wrong_listing_is_refused_with_the_rule(
    refused: Refused, fields: dict[str, Any], legacy: int, text: str
) -> None:
    await refused("SelectGrant", 1100, legacy, text, **fields)


async def test_own_role_and_public_are_listed_without_a_privilege_and_no_other(harness: GatewayHarness) -> None:
    for role in ("reader", "public"):
        await harness.succeed("SelectGrant", by="alice", entity={"role": {"name": role}})
    for role in ("idle", "admin", "missing"):
        with pytest.raises(AccessDenied, match="PrivilegeSelectOwnership"):
            await harness.call("SelectGrant", by="alice", entity={"role": {"name": role}})


async def test_granting_needs_its_privilege(harness: GatewayHarness) -> None:
    for method, fields in ((V1, v1("reader", "Insert", "Collection", "docs")), (V2, v2("reader", "Insert"))):
        with pytest.raises(AccessDenied, match="PrivilegeManageOwnership"):
            await harness.call(method, by="alice", **fields)
