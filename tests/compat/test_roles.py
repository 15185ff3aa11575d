"""Roles, grants and privilege groups through pymilvus' MilvusClient."""

from typing import Any

import pytest
from pymilvus import MilvusClient, MilvusException
from tests.compat import accounts
from tests.compat.accounts import denied
from tests.support.server import RunningServer

ENGINES = ("embedded",)  # no engine takes part


def grants(client: MilvusClient, role: str, database: str = "") -> list[tuple[str, str, str, str]]:
    """Return what `describe_role` lists: object type, object name, database, privilege."""
    described = client.describe_role(role, db_name=database)
    assert described["role"] == role
    assert {entry["role_name"] for entry in described["privileges"]} <= {role}
    columns = ("object_type", "object_name", "db_name", "privilege")
    return [tuple(entry[column] for column in columns) for entry in described["privileges"]]


def test_role_is_created_altered_listed_and_dropped(root: MilvusClient) -> None:
    root.create_role("reader", description="reads")
    assert root.describe_role("reader") == {"role": "reader", "description": "reads", "privileges": []}
    root.alter_role("reader", description="reads a lot")
    assert root.describe_role("reader")["description"] == "reads a lot"
    assert {"admin", "public", "reader"} <= set(root.list_roles())
    root.drop_role("reader")
    assert "reader" not in root.list_roles()


@pytest.mark.parametrize("role", ["admin", "public"])
def test_built_in_role_stays_as_it_is(root: MilvusClient, role: str) -> None:
    with pytest.raises(MilvusException, match=rf"the role\[{role}\] is a default role") as caught:
        root.drop_role(role, force_drop=True)
    assert caught.value.code == 1401
    with pytest.raises(MilvusException, match=rf"the role\[{role}\] is a default role") as caught:
        root.alter_role(role, description="x")
    assert caught.value.code == 1401
    with pytest.raises(MilvusException, match="already exists"):
        root.create_role(role)


@pytest.mark.parametrize("name", ["1st", "with space", "dash-ed", "a" * 256])
def test_role_name_that_breaks_a_rule_is_refused(root: MilvusClient, name: str) -> None:
    with pytest.raises(MilvusException) as caught:
        root.create_role(name)
    assert caught.value.code == 1100


def test_dropping_an_unknown_role_is_an_error(root: MilvusClient) -> None:
    with pytest.raises(MilvusException, match="not found the role, maybe the role isn't existed"):
        root.drop_role("never_was")


def test_role_with_grants_goes_only_by_force_and_takes_them_along(root: MilvusClient) -> None:
    accounts.add(root, "holder", ("Query", "forced"))
    with pytest.raises(MilvusException, match="Use REVOKE API to revoke privileges") as caught:
        root.drop_role("holder_role")
    assert caught.value.code == 1100
    root.drop_role("holder_role", force_drop=True)
    assert root.describe_user("holder")["roles"] == ()
    root.create_role("holder_role")
    assert grants(root, "holder_role", "*") == []
    root.drop_role("holder_role")


def test_role_is_given_and_taken(root: MilvusClient) -> None:
    root.create_user("member", accounts.PASSWORD)
    for name in ("first_role", "second_role"):
        root.create_role(name)
        root.grant_role("member", name)
    root.grant_role("member", "first_role")
    assert set(root.describe_user("member")["roles"]) == {"first_role", "second_role"}
    root.revoke_role("member", "first_role")
    root.revoke_role("member", "first_role")
    assert root.describe_user("member")["roles"] == ("second_role",)
    with pytest.raises(MilvusException, match="not found"):
        root.grant_role("nobody_here", "first_role")
    with pytest.raises(MilvusException, match="not found the role, maybe the role isn't existed"):
        root.grant_role("member", "no_such_role")


def test_plain_user_describes_its_own_role_and_no_other(server: RunningServer, root: MilvusClient) -> None:
    accounts.add(root, "curious", ("Search", "papers"))
    accounts.grant(root, "secret_role", ("Search", "secrets"))
    with accounts.signed_in(server.uri, "curious") as client:
        assert grants(client, "curious_role") == [("Collection", "papers", "default", "Search")]
        assert client.describe_role("public")["role"] == "public"
        for stranger in ("secret_role", "admin", "no_such_role"):
            with denied("SelectOwnership", "curious", "*"):
                client.describe_role(stranger)
        with denied("SelectOwnership", "curious", "*"):
            client.list_roles()


def test_v1_grants_are_described_as_milvus_stores_them(root: MilvusClient) -> None:
    root.create_role("v1_role")
    root.grant_privilege("v1_role", "Collection", "Search", "c1")
    root.grant_privilege("v1_role", "Collection", "Load", "c1")
    root.grant_privilege("v1_role", "Global", "CreateCollection", "anything")
    root.grant_privilege("v1_role", "User", "UpdateUser", "u1")
    root.grant_privilege("v1_role", "Collection", "*", "*", db_name="*")
    default = [
        ("Collection", "*", "*", "*"),
        ("Collection", "c1", "default", "GetLoadState"),
        ("Collection", "c1", "default", "GetLoadingProgress"),
        ("Collection", "c1", "default", "Load"),
        ("Collection", "c1", "default", "Search"),
        ("Global", "*", "default", "CreateCollection"),
        ("User", "u1", "default", "UpdateUser"),
    ]
    assert sorted(grants(root, "v1_role")) == default
    assert {entry["grantor_name"] for entry in root.describe_role("v1_role")["privileges"]} == {"root"}
    root.revoke_privilege("v1_role", "Collection", "Load", "c1")
    root.revoke_privilege("v1_role", "Collection", "Load", "c1")
    assert {privilege for *_, privilege in grants(root, "v1_role")} == {"*", "Search", "CreateCollection", "UpdateUser"}


def test_v2_grants_are_described_as_milvus_stores_them(root: MilvusClient) -> None:
    root.create_database("v2_lab")
    root.create_role("v2_role")
    for privilege, collection, database in (
        ("Search", "c1", "v2_lab"),
        ("DescribeCollection", "c1", "v2_lab"),
        ("CollectionReadOnly", "c1", "v2_lab"),
        ("DatabaseReadOnly", "*", "v2_lab"),
        ("ClusterAdmin", "*", "*"),
        ("UpdateUser", "*", "*"),
    ):
        root.grant_privilege_v2("v2_role", privilege, collection, database)
    expected = [
        ("Collection", "c1", "v2_lab", "Search"),
        ("Global", "*", "*", "ClusterAdmin"),
        ("Global", "*", "v2_lab", "DatabaseReadOnly"),
        ("Global", "c1", "v2_lab", "CollectionReadOnly"),
        ("Global", "c1", "v2_lab", "DescribeCollection"),
        ("User", "*", "*", "UpdateUser"),
    ]
    assert sorted(grants(root, "v2_role", "*")) == expected
    assert sorted(grants(root, "v2_role", "v2_lab")) == expected
    assert sorted(grants(root, "v2_role")) == [row for row in expected if row[2] == "*"]


def test_what_v1_granted_v2_revokes_and_the_other_way_round(root: MilvusClient) -> None:
    root.create_role("mixed_role")
    root.grant_privilege("mixed_role", "Collection", "Query", "c1")
    root.grant_privilege_v2("mixed_role", "Insert", "c1", "default")
    root.revoke_privilege_v2("mixed_role", "Query", "c1", "default")
    root.revoke_privilege("mixed_role", "Collection", "Insert", "c1")
    assert grants(root, "mixed_role", "*") == []


WRONG_GRANTS: dict[str, tuple[tuple[str, str, str], str]] = {
    "unknown privilege": (("Inserting", "c1", "default"), "not found the privilege name[Inserting]"),
    "privilege in another case": (("insert", "c1", "default"), "not found the privilege name[insert]"),
    "cluster group on a database": (("ClusterAdmin", "*", "default"), "should be * for the cluster level"),
    "database group on a collection": (("DatabaseAdmin", "c1", "default"), "should be * for the database level"),
    "collection group without a database": (("CollectionReadOnly", "c1", "*"), "please specify database name"),
    "pattern in a name": (("Insert", "col*", "default"), "can only contain"),
}


@pytest.mark.parametrize(("arguments", "text"), WRONG_GRANTS.values(), ids=WRONG_GRANTS)
def test_grant_that_cannot_be_is_refused_with_the_reason(
    root: MilvusClient, arguments: tuple[str, str, str], text: str
) -> None:
    if "wrong_role" not in root.list_roles():
        root.create_role("wrong_role")
    with pytest.raises(MilvusException) as caught:
        root.grant_privilege_v2("wrong_role", *arguments)
    assert caught.value.code == 1100
    assert text in caught.value.message
    assert grants(root, "wrong_role", "*") == []


def groups(client: MilvusClient) -> dict[str, set[str]]:
    listed: list[dict[str, Any]] = client.list_privilege_groups()
    return {entry["privilege_group"]: set(entry["privileges"]) for entry in listed}


def test_privilege_group_counts_for_those_who_hold_it_as_it_changes(server: RunningServer, root: MilvusClient) -> None:
    root.create_collection("grouped", dimension=4)
    root.create_privilege_group("readers")
    root.add_privileges_to_group("readers", ["Query", "Search"])
    assert groups(root)["readers"] == {"Query", "Search"}
    accounts.add(root, "grouper", ("readers", "grouped", "default"))
    assert grants(root, "grouper_role") == [("Global", "grouped", "default", "readers")]
    with accounts.signed_in(server.uri, "grouper") as client:
        assert client.query("grouped", filter="id >= 0") == []
        with denied("Insert", "grouper"):
            client.insert("grouped", [{"id": 1, "vector": [1, 2, 3, 4]}])
        root.add_privileges_to_group("readers", ["Insert"])
        assert client.insert("grouped", [{"id": 1, "vector": [1, 2, 3, 4]}])["insert_count"] == 1
        root.remove_privileges_from_group("readers", ["Query", "Search"])
        with denied("Query", "grouper"):
            client.query("grouped", filter="id >= 0")
    with pytest.raises(MilvusException, match=r"privilege group \[readers\] is used by role \[grouper_role\]"):
        root.drop_privilege_group("readers")
    root.revoke_privilege_v2("grouper_role", "readers", "grouped", "default")
    root.drop_privilege_group("readers")
    assert "readers" not in groups(root)


def test_built_in_privilege_groups_are_listed_and_stay(root: MilvusClient) -> None:
    names = {
        f"{level}{kind}"
        for level in ("Cluster", "Database", "Collection")
        for kind in ("ReadOnly", "ReadWrite", "Admin")
    }
    assert names <= set(groups(root))
    root.drop_privilege_group("ClusterAdmin")
    assert names <= set(groups(root))
    with pytest.raises(MilvusException, match="is defined by built in privileges"):
        root.create_privilege_group("Insert")
    root.create_privilege_group("one_level")
    with pytest.raises(MilvusException, match="not the same privilege level"):
        root.add_privileges_to_group("one_level", ["Insert", "CreateDatabase"])
    root.drop_privilege_group("one_level")


def test_privilege_group_rpcs_need_their_privileges(server: RunningServer, root: MilvusClient) -> None:
    accounts.add(root, "ungrouped")
    with accounts.signed_in(server.uri, "ungrouped") as client:
        with denied("CreatePrivilegeGroup", "ungrouped", "*"):
            client.create_privilege_group("mine")
        with denied("ListPrivilegeGroups", "ungrouped", "*"):
            client.list_privilege_groups()
        with denied("OperatePrivilegeGroup", "ungrouped", "*"):
            client.add_privileges_to_group("mine", ["Insert"])
        with denied("DropPrivilegeGroup", "ungrouped", "*"):
            client.drop_privilege_group("mine")
        with denied("ManageOwnership", "ungrouped", "*"):
            client.grant_privilege_v2("public", "Insert", "*", "*")
        with denied("CreateOwnership", "ungrouped", "*"):
            client.create_role("mine")
        with denied("DropOwnership", "ungrouped", "*"):
            client.drop_role("admin")
