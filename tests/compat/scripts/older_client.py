"""What users of pymilvus 2.5 do, run by the Python of that version: older_client.py URI.

It prints one line of JSON: its version, and how each scenario has failed, or an empty text for one that has passed.
"""

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import grpc
import pymilvus
from pymilvus import (
    AnnSearchRequest,
    DataType,
    MilvusClient,
    MilvusException,
    Role,
    RRFRanker,
    connections,
    utility,
)

PASSWORD = "Str0ng-enough"
ROWS = [
    {"id": number, "title": f"paper {number}", "first": [1.0, number, 0.0, 0.0], "second": [0.0, 0.0, 1.0, number]}
    for number in range(10)
]


def client(uri: str, token: str = "root:Milvus", **options: Any) -> MilvusClient:
    # This version shares one connection among clients of one token unless they differ in their alias.
    return MilvusClient(uri=uri, token=token, **options)


def refused(code: grpc.StatusCode, text: str, call: Callable[[], Any]) -> None:
    """Expect a refusal at the protocol level."""
    try:
        call()
    except grpc.RpcError as error:
        if (error.code(), error.details()) == (code, text):
            return
        raise
    raise AssertionError(f"not refused with {text!r}")


def denied(privilege: str, user: str, call: Callable[[], Any], database: str = "default") -> None:
    text = f"Privilege{privilege}: permission deny to {user} in the `{database}` database"
    refused(grpc.StatusCode.PERMISSION_DENIED, text, call)


def fails(code: int, call: Callable[[], Any]) -> None:
    """Expect an answer that carries a failure."""
    try:
        call()
    except MilvusException as error:
        if error.code == code:
            return
        raise
    raise AssertionError(f"did not fail with {code}")


def create(root: MilvusClient, name: str) -> None:
    # Milvus 2.3 has one vector in a collection; there the second is a dynamic field.
    vectors = ("first",) if root.get_server_version().startswith("2.3.") else ("first", "second")
    schema = root.create_schema(auto_id=False, enable_dynamic_field=len(vectors) == 1)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("title", DataType.VARCHAR, max_length=64)
    indexes = root.prepare_index_params()
    for field in vectors:
        schema.add_field(field, DataType.FLOAT_VECTOR, dim=4)
        indexes.add_index(field, index_type="AUTOINDEX", metric_type="L2")
    root.create_collection(name, schema=schema, index_params=indexes)
    assert root.insert(name, ROWS)["insert_count"] == 10


def collections_and_data(uri: str) -> None:
    root = client(uri)
    create(root, "old_papers")
    found = root.search("old_papers", [ROWS[4]["first"]], anns_field="first", limit=3, output_fields=["title"])
    assert [(hit["id"], hit["entity"]["title"]) for hit in found[0]] == [(4, "paper 4"), (3, "paper 3"), (5, "paper 5")]
    requests = [AnnSearchRequest([ROWS[7][field]], field, {}, limit=3) for field in ("first", "second")]
    assert root.hybrid_search("old_papers", requests, RRFRanker(), limit=1)[0][0]["id"] == 7
    root.upsert("old_papers", [{**ROWS[4], "title": "new edition"}])
    assert root.get("old_papers", ids=[4])[0]["title"] == "new edition"
    root.delete("old_papers", ids=[0, 1])
    assert [row["id"] for row in root.query("old_papers", filter="id < 5")] == [2, 3, 4]
    root.flush("old_papers")
    assert root.get_collection_stats("old_papers")["row_count"] == 8
    root.create_partition("old_papers", "upper")
    assert root.has_partition("old_papers", "upper")
    root.create_alias("old_papers", "old_alias")
    assert root.list_aliases("old_papers")["aliases"] == ["old_alias"]
    root.drop_alias("old_alias")
    root.release_collection("old_papers")
    fails(101, lambda: root.query("old_papers", filter="id >= 0"))
    root.load_collection("old_papers")
    root.rename_collection("old_papers", "old_renamed")
    assert "old_renamed" in root.list_collections()
    assert not root.has_collection("old_papers")
    root.drop_collection("old_renamed")


def databases(uri: str) -> None:
    root = client(uri)
    root.create_database("old_lab")
    lab = client(uri, db_name="old_lab")
    assert lab.list_collections() == []
    lab.create_collection("old_shared", dimension=4)
    assert "old_shared" not in client(uri).list_collections()
    lab.drop_collection("old_shared")
    root.drop_database("old_lab")
    assert "old_lab" not in root.list_databases()


def users(uri: str) -> None:
    root = client(uri)
    root.create_user("old_ann", PASSWORD)
    assert {"root", "old_ann"} <= set(root.list_users())
    assert root.describe_user("old_ann")["roles"] == ()
    fails(1400, lambda: root.update_password("old_ann", "Wr0ng-guess", "An0ther-password"))
    root.update_password("old_ann", PASSWORD, "An0ther-password")
    ann = client(uri, "old_ann:An0ther-password")
    assert ann.describe_user("old_ann")["user_name"] == "old_ann"
    denied("SelectOwnership", "old_ann", ann.list_users, "*")
    root.drop_user("old_ann")
    assert "old_ann" not in root.list_users()
    fails(1401, lambda: root.drop_user("root"))
    fails(1100, lambda: root.create_user("1st", PASSWORD))


def roles_and_grants(uri: str) -> None:
    root = client(uri)
    create(root, "old_docs")
    create(root, "old_hidden")
    root.create_user("old_bob", PASSWORD)
    root.create_role("old_readers")
    root.grant_privilege("old_readers", "Collection", "Search", "old_docs")
    root.grant_privilege_v2("old_readers", "Query", "old_docs", "default")
    root.grant_role("old_bob", "old_readers")
    granted = [
        {
            "object_type": "Collection",
            "object_name": "old_docs",
            "db_name": "default",
            "role_name": "old_readers",
            "privilege": privilege,
            "grantor_name": "root",
        }
        for privilege in ("Query", "Search")
    ]
    assert root.describe_role("old_readers") == {"role": "old_readers", "privileges": granted}
    bob = client(uri, f"old_bob:{PASSWORD}")
    assert bob.describe_role("old_readers")["privileges"] == granted
    assert bob.list_collections() == ["old_docs"]
    assert len(bob.query("old_docs", filter="id >= 0")) == 10
    assert bob.search("old_docs", [ROWS[4]["first"]], anns_field="first", limit=1)[0][0]["id"] == 4
    denied("Insert", "old_bob", lambda: bob.insert("old_docs", ROWS))
    denied("Query", "old_bob", lambda: bob.query("old_hidden", filter="id >= 0"))
    assert not bob.has_collection("old_hidden")
    fails(100, lambda: bob.describe_collection("old_hidden"))
    denied("CreateCollection", "old_bob", lambda: bob.create_collection("old_mine", dimension=4))
    root.revoke_privilege("old_readers", "Collection", "Search", "old_docs")
    denied("Search", "old_bob", lambda: bob.search("old_docs", [ROWS[4]["first"]], anns_field="first", limit=1))
    fails(1100, lambda: root.drop_role("old_readers"))
    root.drop_role("old_readers", force_drop=True)
    assert "old_readers" not in root.list_roles()
    denied("Query", "old_bob", lambda: bob.query("old_docs", filter="id >= 0"))


def privilege_groups(uri: str) -> None:
    root = client(uri)
    root.create_privilege_group("old_group")
    root.add_privileges_to_group("old_group", ["Query", "Search"])
    listed = {entry["privilege_group"]: set(entry["privileges"]) for entry in root.list_privilege_groups()}
    assert listed["old_group"] == {"Query", "Search"}
    assert "CollectionReadOnly" in listed
    root.create_role("old_grouped")
    root.grant_privilege_v2("old_grouped", "old_group", "*", "default")
    fails(1100, lambda: root.drop_privilege_group("old_group"))
    root.revoke_privilege_v2("old_grouped", "old_group", "*", "default")
    root.drop_privilege_group("old_group")
    root.drop_role("old_grouped")


def wrong_credentials(uri: str) -> None:
    words = "auth check failure, please check username and password are correct"
    refused(grpc.StatusCode.UNAUTHENTICATED, words, lambda: client(uri, "root:wrong"))
    refused(grpc.StatusCode.UNAUTHENTICATED, words, lambda: client(uri, "nobody:Milvus"))
    refused(grpc.StatusCode.UNAUTHENTICATED, "missing authorization in header", lambda: MilvusClient(uri=uri))


def older_interface(uri: str) -> None:
    connections.connect(alias="default", uri=uri, user="root", password="Milvus")
    utility.create_user("old_carl", PASSWORD, using="default")
    role = Role("old_role")
    role.create()
    role.add_user("old_carl")
    assert list(role.get_users()) == ["old_carl"]
    role.grant("Global", "*", "CreateCollection")
    assert [each.privilege for each in role.list_grants().groups] == ["CreateCollection"]
    connections.connect(alias="carl", uri=uri, user="old_carl", password=PASSWORD)
    utility.reset_password("old_carl", PASSWORD, "An0ther-password", using="carl")
    assert utility.list_user("old_carl", True, using="carl").groups[0].roles == ("old_role",)
    role.revoke("Global", "*", "CreateCollection")
    role.drop()
    utility.delete_user("old_carl", using="default")
    assert "old_carl" not in utility.list_usernames(using="default")


SCENARIOS = (
    collections_and_data,
    databases,
    users,
    roles_and_grants,
    privilege_groups,
    wrong_credentials,
    older_interface,
)


def failure(scenario: Callable[[str], None], uri: str) -> str:
    try:
        scenario(uri)
    except Exception:  # noqa: BLE001  # whatever a client raises is what is looked at
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    failures = {scenario.__name__: failure(scenario, sys.argv[1]) for scenario in SCENARIOS}
    sys.stdout.write(json.dumps({"version": pymilvus.__version__, "failures": failures}) + "\n")
