"""The older interface of pymilvus: connections, utility, Role, Collection, db. Deprecated in 3.0, and still in use."""

from collections.abc import Iterator

import pytest
from pymilvus import (
    Collection,
    CollectionSchema,
    DataType,
    FieldSchema,
    MilvusException,
    Role,
    connections,
    db,
    utility,
)
from tests.compat import accounts, sample_collection
from tests.compat.accounts import denied
from tests.support import raw_grpc
from tests.support.server import RunningServer

pytestmark = pytest.mark.filterwarnings("ignore::pymilvus.decorators.PyMilvusDeprecationWarning")

ROOT = {"user": "root", "password": "Milvus"}


@pytest.fixture(autouse=True)
def root(server: RunningServer) -> Iterator[None]:
    """An administrator's connection under the alias `default`, and none left afterwards."""
    connections.connect(alias="default", host="127.0.0.1", port=str(server.port), **ROOT)
    yield
    for alias, _ in connections.list_connections():
        connections.remove_connection(alias)


def create(name: str, using: str = "default") -> Collection:
    vectors = sample_collection.vectors_in(utility.get_server_version(using=using))
    schema = CollectionSchema(
        [
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("title", DataType.VARCHAR, max_length=64),
            FieldSchema("year", DataType.INT32),
            *(FieldSchema(field, DataType.FLOAT_VECTOR, dim=sample_collection.DIMENSION) for field in vectors),
        ],
        enable_dynamic_field=len(vectors) == 1,
    )
    collection = Collection(name, schema, using=using)
    collection.insert(sample_collection.rows(10))
    for field in vectors:
        collection.create_index(field, {"index_type": "AUTOINDEX", "metric_type": "L2", "params": {}}, sync=False)
    collection.load()
    return collection


def sign_in(server: RunningServer, name: str) -> None:
    connections.connect(alias=name, uri=server.uri, user=name, password=accounts.PASSWORD)


def test_collection_takes_answers_and_forgets_rows() -> None:
    collection = create("orm_papers")
    assert utility.has_collection("orm_papers")
    assert "orm_papers" in utility.list_collections()
    vector = sample_collection.rows(1, first=4)[0]["text_vector"]
    found = collection.search([vector], "text_vector", {"metric_type": "L2"}, limit=3, output_fields=["title"])
    titles = sorted((hit.id, hit.entity.get("title")) for hit in found[0])
    assert titles == [(3, "paper 3"), (4, "paper 4"), (5, "paper 5")]
    assert [row["id"] for row in collection.query("year == 2021")] == [1, 3, 5, 7, 9]
    collection.delete("id in [0, 1]")
    collection.upsert([{**sample_collection.rows(1, first=2)[0], "title": "new edition"}])
    assert collection.query("id == 2", output_fields=["title"])[0]["title"] == "new edition"
    collection.flush()
    assert collection.num_entities == 8
    collection.create_partition("upper")
    assert collection.has_partition("upper")
    assert [index.field_name for index in collection.indexes] == ["text_vector", "image_vector"]
    utility.create_alias("orm_papers", "orm_alias")
    assert utility.list_aliases("orm_papers") == ["orm_alias"]
    utility.drop_alias("orm_alias")
    collection.release()
    utility.rename_collection("orm_papers", "orm_renamed")
    assert not utility.has_collection("orm_papers")
    utility.drop_collection("orm_renamed")


def test_users_are_created_listed_and_deleted(server: RunningServer) -> None:
    utility.create_user("orm_ann", accounts.PASSWORD, using="default")
    assert {"orm_ann", "root"} <= set(utility.list_usernames(using="default"))
    utility.update_password("orm_ann", accounts.PASSWORD, "An0ther-password")
    assert raw_grpc.accepts(server.uri, "orm_ann:An0ther-password")
    described = utility.list_user("orm_ann", True).groups
    assert [(each.username, tuple(each.roles)) for each in described] == [("orm_ann", ())]
    utility.delete_user("orm_ann", using="default")
    assert not raw_grpc.accepts(server.uri, "orm_ann:An0ther-password")
    assert "orm_ann" not in [each.username for each in utility.list_users(False).groups]


def test_connection_goes_on_with_the_password_it_has_reset(server: RunningServer) -> None:
    utility.create_user("orm_bob", accounts.PASSWORD)
    sign_in(server, "orm_bob")
    utility.reset_password("orm_bob", accounts.PASSWORD, "An0ther-password", using="orm_bob")
    assert utility.list_user("orm_bob", False, using="orm_bob").groups[0].username == "orm_bob"
    assert not raw_grpc.accepts(server.uri, accounts.token("orm_bob"))
    with pytest.raises(MilvusException) as caught:
        utility.reset_password("orm_bob", "Wr0ng-guess", "Y3t-another", using="orm_bob")
    assert caught.value.code == 1400


def test_role_is_created_bound_granted_and_dropped(server: RunningServer) -> None:
    create("orm_docs")
    create("orm_other_docs")
    utility.create_user("orm_carl", accounts.PASSWORD)
    role = Role("orm_readers")
    role.create()
    assert role.is_exist()
    role.add_user("orm_carl")
    assert list(role.get_users()) == ["orm_carl"]
    role.grant("Collection", "orm_docs", "Search")
    role.grant_v2("Query", "orm_docs", "default")
    listed = role.list_grants().groups
    assert [(each.object, each.object_name, each.db_name, each.privilege, each.grantor_name) for each in listed] == [
        ("Collection", "orm_docs", "default", "Query", "root"),
        ("Collection", "orm_docs", "default", "Search", "root"),
    ]
    assert len(role.list_grant("Collection", "orm_docs").groups) == 2
    sign_in(server, "orm_carl")
    mine = Collection("orm_docs", using="orm_carl")
    assert len(mine.query("id >= 0")) == 10
    vector = sample_collection.rows(1, first=4)[0]["text_vector"]
    assert mine.search([vector], "text_vector", {"metric_type": "L2"}, limit=1)[0][0].id == 4
    with denied("Delete", "orm_carl"):
        mine.delete("id >= 0")
    assert utility.list_collections(using="orm_carl") == ["orm_docs"]
    with pytest.raises(MilvusException):
        Collection("orm_other_docs", using="orm_carl")
    role.revoke("Collection", "orm_docs", "Search")
    with denied("Search", "orm_carl"):
        mine.search([vector], "text_vector", {"metric_type": "L2"}, limit=1)
    role.revoke_v2("Query", "orm_docs", "default")
    assert role.list_grants().groups == []
    role.remove_user("orm_carl")
    assert list(role.get_users()) == []
    role.drop()
    assert not role.is_exist()


def test_privilege_group_is_made_listed_and_dropped() -> None:
    role = Role("orm_grouped")
    role.create()
    role.create_privilege_group("orm_group")
    role.add_privileges_to_group("orm_group", ["Query", "Search"])
    listed = {each.privilege_group: set(each.privileges) for each in role.list_privilege_groups().groups}
    assert listed["orm_group"] == {"Query", "Search"}
    role.grant_v2("orm_group", "*", "default")
    with pytest.raises(MilvusException, match=r"is used by role \[orm_grouped\]"):
        role.drop_privilege_group("orm_group")
    role.revoke_v2("orm_group", "*", "default")
    role.drop_privilege_group("orm_group")
    role.drop()


def test_roles_are_listed_with_their_users() -> None:
    utility.create_user("orm_dora", accounts.PASSWORD)
    Role("admin").add_user("orm_dora")
    listed = {each.role_name: list(each.users) for each in utility.list_roles(True).groups}
    assert "orm_dora" in listed["admin"]
    assert listed["public"] == []


def test_databases_keep_collections_apart(server: RunningServer) -> None:
    create("orm_everywhere")
    db.create_database("orm_lab")
    assert "orm_lab" in db.list_database()
    connections.connect(alias="lab", uri=server.uri, db_name="orm_lab", **ROOT)
    assert utility.list_collections(using="lab") == []
    db.using_database("orm_lab", using="lab")
    create("orm_everywhere", using="lab").delete("id > 2")
    assert len(Collection("orm_everywhere", using="lab").query("id >= 0")) == 3
    assert len(Collection("orm_everywhere").query("id >= 0")) == 10
    utility.drop_collection("orm_everywhere", using="lab")
    db.drop_database("orm_lab")
    assert "orm_lab" not in db.list_database()


def test_wrong_password_does_not_connect_and_says_so(server: RunningServer) -> None:
    with pytest.raises(MilvusException) as caught:
        connections.connect(alias="intruder", uri=server.uri, user="root", password="wrong")
    assert (caught.value.code, caught.value.message) == (
        1400,
        "auth check failure, please check username and password are correct",
    )
    assert not connections.has_connection("intruder")
