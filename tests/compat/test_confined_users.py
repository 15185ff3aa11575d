"""What users with few privileges may do and see through pymilvus' MilvusClient, and how refusals are reported."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from pymilvus import AnnSearchRequest, MilvusClient, MilvusException, RRFRanker
from tests.compat import accounts, sample_collection
from tests.compat.accounts import denied
from tests.support import raw_grpc
from tests.support.server import RunningServer

ROW = sample_collection.rows(1, first=500)
VECTOR = [1.0, 0.0, 0.0, 0.0]


def hybrid(client: MilvusClient, name: str) -> Any:
    requests = [AnnSearchRequest([VECTOR], field, {}, limit=2) for field in ("text_vector", "image_vector")]
    return client.hybrid_search(name, requests, RRFRanker(), limit=2)


def image_index(client: MilvusClient) -> Any:
    parameters = client.prepare_index_params()
    parameters.add_index("image_vector", index_type="AUTOINDEX", metric_type="L2")
    return parameters


DATA_CALLS: dict[str, tuple[str, Callable[[MilvusClient, str], Any]]] = {
    "insert": ("Insert", lambda client, name: client.insert(name, ROW)),
    "upsert": ("Upsert", lambda client, name: client.upsert(name, ROW)),
    "delete": ("Delete", lambda client, name: client.delete(name, ids=[500])),
    "query": ("Query", lambda client, name: client.query(name, filter="id >= 0")),
    "get": ("Query", lambda client, name: client.get(name, ids=[1])),
    "search": ("Search", lambda client, name: sample_collection.nearest(client, name, 1)),
    "hybrid_search": ("Search", hybrid),
    "flush": ("Flush", lambda client, name: client.flush(name)),
    "compact": ("Compaction", lambda client, name: client.compact(name)),
    "release": ("Release", lambda client, name: client.release_collection(name)),
    "load state": ("GetLoadState", lambda client, name: client.get_load_state(name)),
    "statistics": ("GetStatistics", lambda client, name: client.get_collection_stats(name)),
    "create partition": ("CreatePartition", lambda client, name: client.create_partition(name, "shelf")),
    "has partition": ("HasPartition", lambda client, name: client.has_partition(name, "shelf")),
    "list partitions": ("ShowPartitions", lambda client, name: client.list_partitions(name)),
    "drop partition": ("DropPartition", lambda client, name: client.drop_partition(name, "shelf")),
    "drop index": ("DropIndex", lambda client, name: client.drop_index(name, "image_vector")),
    "create index": ("CreateIndex", lambda client, name: client.create_index(name, image_index(client), sync=False)),
    "load": ("Load", lambda client, name: client.load_collection(name)),
    "truncate": ("DropCollection", lambda client, name: client.truncate_collection(name)),
    "create alias": ("CreateAlias", lambda client, name: client.create_alias(name, "nickname")),
    "list aliases": ("ListAliases", lambda client, name: client.list_aliases(name)),
    "rename": ("RenameCollection", lambda client, name: client.rename_collection(name, f"{name}_2")),
    "drop": ("DropCollection", lambda client, name: client.drop_collection(name)),
}
"""Calls on one collection with the privilege each needs, in an order in which each can be carried out."""


@pytest.fixture(scope="module")
def bystander(server: RunningServer, root: MilvusClient) -> Any:
    """Someone who sees both collections, and may do nothing with them."""
    for name in ("seen", "also_seen"):
        sample_collection.create(root, name)
    accounts.add(root, "bystander", ("DescribeCollection", "seen"), ("DescribeCollection", "also_seen"))
    with accounts.signed_in(server.uri, "bystander") as client:
        yield client


@pytest.mark.parametrize(("privilege", "invoke"), DATA_CALLS.values(), ids=DATA_CALLS)
def test_call_without_its_privilege_is_refused_in_the_documented_words(
    bystander: MilvusClient, privilege: str, invoke: Callable[[MilvusClient, str], Any]
) -> None:
    with denied(privilege, "bystander"):
        invoke(bystander, "seen")


def test_refused_calls_have_changed_nothing(bystander: MilvusClient, root: MilvusClient) -> None:
    assert len(root.query("seen", filter="id >= 0")) == 10
    assert root.list_partitions("seen") == ["_default"]
    assert sorted(root.list_indexes("seen")) == sample_collection.indexed(root)
    assert root.list_aliases("seen")["aliases"] == []


def test_call_is_allowed_with_just_its_privilege_and_on_the_named_collection_only(
    server: RunningServer, root: MilvusClient
) -> None:
    sample_collection.create(root, "own")
    sample_collection.create(root, "foreign")
    # An alias takes the privilege on its own name as well.
    accounts.add(root, "specialist", ("DescribeCollection", "foreign"), ("CreateAlias", "nickname"))
    with accounts.signed_in(server.uri, "specialist") as client:
        for label, (privilege, invoke) in DATA_CALLS.items():
            if label in ("drop", "rename"):
                continue
            root.grant_privilege_v2("specialist_role", privilege, "own")
            invoke(client, "own")
            with denied(privilege, "specialist"):
                invoke(client, "foreign")
            root.revoke_privilege_v2("specialist_role", privilege, "own")


def test_creating_collections_is_a_privilege_of_the_database(server: RunningServer, root: MilvusClient) -> None:
    accounts.add(root, "founder", ("CreateCollection", "*"), ("CreateIndex", "*"), ("Load", "*"))
    accounts.add(root, "reader_only", ("Query", "*"))
    with accounts.signed_in(server.uri, "founder") as client:
        client.create_collection("founded", dimension=4)
    assert root.has_collection("founded")
    with accounts.signed_in(server.uri, "reader_only") as client, denied("CreateCollection", "reader_only"):
        client.create_collection("unfounded", dimension=4)
    assert not root.has_collection("unfounded")


def test_grant_for_one_name_to_be_creates_that_collection_only(server: RunningServer, root: MilvusClient) -> None:
    accounts.add(root, "namesake", ("CreateCollection", "to_be"), ("CreateIndex", "to_be"), ("Load", "to_be"))
    with accounts.signed_in(server.uri, "namesake") as client:
        client.create_collection("to_be", dimension=4)
        with denied("CreateCollection", "namesake"):
            client.create_collection("not_to_be", dimension=4)


OWNER = ("CollectionAdmin", "rebuilt")
REBUILDS: dict[str, list[tuple[str, str]]] = {
    "the database": [OWNER, ("CreateCollection", "*"), ("DropCollection", "*")],
    "the collection": [OWNER, ("CreateCollection", "rebuilt"), ("DropCollection", "rebuilt")],
}
"""What a user may hold who drops and creates one collection: where the privileges to do so are granted."""


def rebuild(client: MilvusClient) -> list[str]:
    """Rebuild a collection as programs with `drop_old`, `overwrite` or `reset` do; return what the user gets."""
    if client.has_collection("rebuilt"):
        client.drop_collection("rebuilt")
    client.create_collection("rebuilt", dimension=4)
    client.insert("rebuilt", [{"id": 1, "vector": VECTOR}])
    assert [hit["id"] for hit in client.search("rebuilt", data=[VECTOR], limit=1)[0]] == [1]
    assert len(client.query("rebuilt", filter="id > 0")) == 1
    shown: list[str] = client.list_collections()
    return shown


@pytest.mark.parametrize("where", REBUILDS)
@pytest.mark.parametrize("first_by_root", [True, False])
def test_user_rebuilds_the_one_collection_that_its_role_names(
    server: RunningServer, root: MilvusClient, where: str, first_by_root: bool
) -> None:
    accounts.add(root, "rebuilder", *REBUILDS[where])
    if first_by_root:
        root.create_collection("rebuilt", dimension=4)
    with accounts.signed_in(server.uri, "rebuilder") as client:
        for _ in range(3):
            assert rebuild(client) == ["rebuilt"]
    held = sorted(
        (each["privilege"], each["object_name"]) for each in root.describe_role("rebuilder_role")["privileges"]
    )
    assert held == sorted(REBUILDS[where])
    _clear(root, "rebuilder")


def test_collection_that_somebody_else_makes_of_a_dropped_ones_name_is_not_the_former_owners(
    server: RunningServer, root: MilvusClient
) -> None:
    accounts.add(root, "rebuilder", *REBUILDS["the database"])
    with accounts.signed_in(server.uri, "rebuilder") as client:
        rebuild(client)
        client.drop_collection("rebuilt")
        root.create_collection("rebuilt", dimension=4)
        assert client.list_collections() == []
        with denied("Query", "rebuilder"):
            client.query("rebuilt", filter="id > 0")
    assert "CollectionAdmin" not in {each["privilege"] for each in root.describe_role("rebuilder_role")["privileges"]}
    _clear(root, "rebuilder")


def _clear(root: MilvusClient, name: str) -> None:
    root.drop_collection("rebuilt")
    root.drop_user(name)
    root.drop_role(f"{name}_role", force_drop=True)


def test_user_without_any_grant_sees_no_collection_at_all(server: RunningServer, root: MilvusClient) -> None:
    sample_collection.create(root, "hidden")
    root.create_alias("hidden", "hidden_alias")
    accounts.add(root, "outsider")
    with accounts.signed_in(server.uri, "outsider") as client:
        assert client.list_collections() == []
        assert client.list_databases() == []
        errors = {}
        for name in ("hidden", "hidden_alias", "missing"):
            assert client.has_collection(name) is False
            with pytest.raises(MilvusException) as caught:
                client.describe_collection(name)
            assert caught.value.code == 100
            errors[name] = str(caught.value).replace(name, "NAME")
        assert len(set(errors.values())) == 1
        for name in ("hidden", "missing"):
            with denied("IndexDetail", "outsider"):
                client.list_indexes(name)
            with denied("Query", "outsider"):
                client.query(name, filter="id >= 0")
            with denied("DropCollection", "outsider"):
                client.drop_collection(name)
        for database in ("default", "nowhere"):
            with denied("DescribeDatabase", "outsider", database):
                client.use_database(database)
        with denied("CreateDatabase", "outsider", "*"):
            client.create_database("mine")
    assert root.has_collection("hidden")


def test_question_whether_a_collection_is_there_tells_only_who_may_know(
    server: RunningServer, root: MilvusClient
) -> None:
    # Asked by raw call: pymilvus describes the collection instead.
    sample_collection.create(root, "asked_about", count=0)
    root.create_alias("asked_about", "asked_alias")
    accounts.add(root, "asker")
    accounts.add(root, "knower", ("Query", "asked_about"))

    def answers(name: str) -> list[bool]:
        header = raw_grpc.authorization(accounts.token(name))
        asked = ("asked_about", "asked_alias", "missing")
        return [raw_grpc.call(server.uri, "HasCollection", header=header, collection_name=each).value for each in asked]

    assert answers("asker") == [False, False, False]
    assert answers("knower") == [True, True, False]


@pytest.mark.parametrize("privilege", ["Query", "Insert", "DropPartition", "CreateIndex", "CollectionReadOnly"])
def test_any_privilege_on_a_collection_makes_it_visible(
    server: RunningServer, root: MilvusClient, privilege: str
) -> None:
    shown, name = f"shown_{privilege}", f"viewer_{privilege}"
    sample_collection.create(root, shown, count=0)
    sample_collection.create(root, f"not_{shown}", count=0)
    accounts.add(root, name, (privilege, shown, "default"))
    with accounts.signed_in(server.uri, name) as client:
        assert client.list_collections() == [shown]
        assert client.has_collection(shown)
        assert not client.has_collection(f"not_{shown}")
        assert client.describe_collection(shown)["collection_name"] == shown
        assert sorted(client.list_indexes(shown)) == sample_collection.indexed(root)
        assert client.list_databases() == ["default"]


def test_group_on_a_named_collection_never_reaches_beyond_it(server: RunningServer, root: MilvusClient) -> None:
    sample_collection.create(root, "team_a")
    sample_collection.create(root, "team_b")
    accounts.add(root, "team_member", ("CollectionAdmin", "team_a", "default"), ("CreateAlias", "a_team"))
    with accounts.signed_in(server.uri, "team_member") as client:
        assert sample_collection.nearest(client, "team_a", 1)[0] == 1
        assert client.insert("team_a", ROW)["insert_count"] == 1
        client.create_alias("team_a", "a_team")
        assert sample_collection.nearest(client, "a_team", 1)[0] == 1
        assert client.list_collections() == ["team_a"]
        with denied("Search", "team_member"):
            sample_collection.nearest(client, "team_b", 1)
        with denied("CreateAlias", "team_member"):
            client.alter_alias("team_b", "a_team")
        with denied("CreateAlias", "team_member"):
            client.create_alias("team_b", "b_team")
        client.drop_alias("a_team")


def test_alias_opens_no_way_around_its_collection(server: RunningServer, root: MilvusClient) -> None:
    sample_collection.create(root, "vault")
    accounts.add(root, "burglar", ("Search", "skylight"))
    root.create_alias("vault", "skylight")
    with accounts.signed_in(server.uri, "burglar") as client:
        with denied("Search", "burglar"):
            sample_collection.nearest(client, "skylight", 1)
        assert not client.has_collection("vault")


def test_grants_follow_their_collection_and_end_with_it(server: RunningServer, root: MilvusClient) -> None:
    sample_collection.create(root, "moving")
    accounts.add(root, "follower", ("Query", "moving"))
    with accounts.signed_in(server.uri, "follower") as client:
        root.rename_collection("moving", "moved")
        assert len(client.query("moved", filter="id >= 0")) == 10
        sample_collection.create(root, "moving")
        with denied("Query", "follower"):
            client.query("moving", filter="id >= 0")
        root.drop_collection("moved")
        sample_collection.create(root, "moved")
        with denied("Query", "follower"):
            client.query("moved", filter="id >= 0")
        assert client.list_collections() == []


def test_grants_in_one_database_say_nothing_about_another(server: RunningServer, root: MilvusClient) -> None:
    root.create_database("lab")
    sample_collection.create(root, "shared_name")
    with accounts.signed_in_as_root(server.uri, db_name="lab") as lab:
        sample_collection.create(lab, "shared_name", count=2)
    accounts.add(root, "lab_user", ("Query", "shared_name", "lab"), ("DatabaseReadOnly", "*", "lab"))
    with accounts.signed_in(server.uri, "lab_user", db_name="lab") as client:
        assert client.list_databases() == ["lab"]
        assert client.list_collections() == ["shared_name"]
        assert len(client.query("shared_name", filter="id >= 0")) == 2
        with denied("Insert", "lab_user", "lab"):
            client.insert("shared_name", ROW)
        with denied("DescribeDatabase", "lab_user"):
            client.use_database("default")
    with accounts.signed_in(server.uri, "lab_user") as client:
        assert client.list_collections() == []
        with denied("Query", "lab_user"):
            client.query("shared_name", filter="id >= 0")


def test_grant_on_every_database_reaches_into_each(server: RunningServer, root: MilvusClient) -> None:
    root.create_database("branch")
    sample_collection.create(root, "common")
    with accounts.signed_in_as_root(server.uri, db_name="branch") as branch:
        sample_collection.create(branch, "common", count=3)
    accounts.add(root, "auditor", ("Query", "*", "*"))
    for database, count in (("default", 10), ("branch", 3)):
        with accounts.signed_in(server.uri, "auditor", db_name=database) as client:
            assert len(client.query("common", filter="id >= 0")) == count
            assert set(client.list_databases()) >= {"default", "branch"}


def test_what_public_holds_everyone_holds(server: RunningServer, root: MilvusClient) -> None:
    sample_collection.create(root, "notice_board")
    accounts.add(root, "passer_by")
    with accounts.signed_in(server.uri, "passer_by") as client:
        with denied("Query", "passer_by"):
            client.query("notice_board", filter="id >= 0")
        root.grant_privilege_v2("public", "Query", "notice_board", "default")
        assert len(client.query("notice_board", filter="id >= 0")) == 10
        assert client.list_collections() == ["notice_board"]
        root.revoke_privilege_v2("public", "Query", "notice_board", "default")
        with denied("Query", "passer_by"):
            client.query("notice_board", filter="id >= 0")


def test_refusal_is_reported_once_and_not_retried(bystander: MilvusClient) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        bystander.query("seen", filter="id >= 0", timeout=2)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
