"""Two confined users read a collection with row policies, by pymilvus and REST, before each engine."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
import httpx
import pytest
from pymilvus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient, MilvusException, RRFRanker
from pymilvus.grpc_gen import schema_pb2
from tests.compat import accounts
from tests.support import raw_grpc
from tests.support.server import ROOT_TOKEN, RunningServer

NAME: Final = "shared"
COUNT: Final = 30
USERS: Final = ("ana", "ben")
OWNERS: Final = (*USERS, "nobody")


def rows() -> list[dict[str, Any]]:
    """Return rows that take turns in their owner; every fifth is of the team `blue`."""
    return [
        {
            "id": number,
            "owner": OWNERS[number % 3],
            "team": "blue" if number % 5 == 0 else "",
            "year": 2000 + number % 4,
            "vector": [float(number), 0.0],
        }
        for number in range(COUNT)
    ]


def visible(user: str) -> list[int]:
    """Return the keys of the rows that a user owns."""
    return [row["id"] for row in rows() if row["owner"] == user]


def as_root(server: RunningServer, method: str, **fields: Any) -> None:
    """Call an RPC that pymilvus has no method for."""
    status = raw_grpc.call(server.uri, method, header=raw_grpc.authorization(ROOT_TOKEN), **fields)
    assert status.code == 0, status


def create(root: MilvusClient, name: str) -> None:
    schema = root.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("owner", DataType.VARCHAR, max_length=16)
    schema.add_field("team", DataType.VARCHAR, max_length=16)
    schema.add_field("year", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    parameters = root.prepare_index_params()
    parameters.add_index("vector", index_type="FLAT", metric_type="L2")
    root.create_collection(name, schema=schema, index_params=parameters, consistency_level="Strong")
    root.insert(name, rows())


@pytest.fixture(scope="module")
def shared(server: RunningServer, root: MilvusClient) -> Iterator[str]:
    """The collection, with a policy for one's own rows and one for those of one's team."""
    create(root, NAME)
    for policy, using in (
        ("own", "owner == $current_principal"),
        ("team", "team == $current_principal_tags['team']"),
    ):
        as_root(
            server,
            "CreateRowPolicy",
            collection_name=NAME,
            policy_name=policy,
            actions=["Query", "Search"],
            using_expr=using,
        )
    root.alter_collection_properties(NAME, {"rls.enabled": "true"})
    accounts.grant(root, "sharers", ("CollectionAdmin", NAME))
    for name in USERS:
        accounts.add(root, name)
        root.grant_role(name, "sharers")
    accounts.add(root, "rows_auditor", ("CollectionReadOnly", NAME), ("SkipRLS", NAME))
    yield NAME
    root.drop_collection(NAME)


@pytest.fixture(scope="module", params=USERS)
def user(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def client(shared: str, server: RunningServer, user: str) -> Iterator[MilvusClient]:
    """The client of a user who is subject to the policies."""
    with accounts.signed_in(server.uri, user) as found:
        yield found


def keys(found: Any) -> list[int]:
    return sorted(row["id"] for row in found)


def pages(iterator: Any) -> list[int]:
    """Return the keys of all pages of an iterator, in their order."""
    found: list[int] = []
    while page := iterator.next():
        found += [row["id"] for row in page]
    iterator.close()
    return found


def test_queries_find_what_the_user_may_see(client: MilvusClient, user: str) -> None:
    mine = visible(user)
    assert keys(client.query(NAME, filter="", limit=100)) == mine
    assert keys(client.query(NAME, filter="  ", limit=100)) == mine
    assert keys(client.query(NAME, filter="id >= 0")) == mine
    assert keys(client.query(NAME, filter="id >= 10 and year == 2001")) == [
        key for key in mine if key >= 10 and key % 4 == 1
    ]
    assert keys(client.query(NAME, filter="id < 3 or id > 25")) == [key for key in mine if key < 3 or key > 25]
    assert client.query(NAME, filter='owner == "nobody"') == []
    assert keys(client.query(NAME, filter="id >= 0", limit=3, offset=2)) == mine[2:5]


def test_counts_are_of_what_the_user_may_see(client: MilvusClient, user: str) -> None:
    for filter_, expected in (("", visible(user)), ("id < 12", [key for key in visible(user) if key < 12])):
        (counted,) = client.query(NAME, filter=filter_, output_fields=["count(*)"])
        assert counted["count(*)"] == len(expected)


def test_rows_are_got_by_their_keys_if_they_are_visible(client: MilvusClient, user: str) -> None:
    assert keys(client.get(NAME, ids=list(range(COUNT)))) == visible(user)
    assert client.get(NAME, ids=[2, 2, 99]) == []


def test_every_page_of_a_query_is_filtered(client: MilvusClient, user: str) -> None:
    assert pages(client.query_iterator(NAME, batch_size=3, filter="id >= 4")) == [
        key for key in visible(user) if key >= 4
    ]


def test_searches_find_what_the_user_may_see(client: MilvusClient, user: str) -> None:
    nearest = sorted(visible(user), key=lambda key: abs(key - 9.1))
    (hits,) = client.search(NAME, [[9.1, 0.0]], limit=5, output_fields=["owner"])
    assert [hit["id"] for hit in hits] == nearest[:5]
    assert {hit["entity"]["owner"] for hit in hits} == {user}
    (hits,) = client.search(NAME, [[9.1, 0.0]], limit=100)
    assert [hit["id"] for hit in hits] == nearest
    (hits,) = client.search(NAME, [[9.1, 0.0]], limit=3, offset=2, filter="year != 2001")
    assert [hit["id"] for hit in hits] == [key for key in nearest if key % 4 != 1][2:5]
    (hits,) = client.search(
        NAME, [[9.1, 0.0]], limit=100, search_params={"params": {"radius": 30.0, "range_filter": 0.0}}
    )
    assert [hit["id"] for hit in hits] == [key for key in nearest if (key - 9.1) ** 2 < 30]


def test_every_page_of_a_search_is_filtered(client: MilvusClient, user: str) -> None:
    iterator = client.search_iterator(NAME, data=[[0.2, 0.0]], batch_size=4, search_params={"metric_type": "L2"})
    assert sorted(pages(iterator)) == visible(user)


def test_every_part_of_a_hybrid_search_is_filtered(client: MilvusClient, user: str) -> None:
    parts = [
        AnnSearchRequest([[9.1, 0.0]], "vector", {}, limit=20),
        AnnSearchRequest([[9.1, 0.0]], "vector", {}, limit=20, expr="id >= 0"),
    ]
    (hits,) = client.hybrid_search(NAME, parts, RRFRanker(), limit=20)
    assert keys(hits) == visible(user)


HOSTILE: Final = (
    "id >= 0) or (id >= 0",
    'id >= 0 or owner == "x") or (owner != "x"',
    "id >= 0 or (id >= 0",
    '" or "',
    'owner == "x" -- ',
    "id >= 0; id >= 0",
    "1 == 1) or (1 == 1",
)


@pytest.mark.parametrize("filter_", HOSTILE)
def test_what_is_no_filter_is_refused_with_what_is_wrong(client: MilvusClient, filter_: str) -> None:
    with pytest.raises(MilvusException, match="the filter"):
        client.query(NAME, filter=filter_)
    with pytest.raises(MilvusException, match="the filter"):
        client.search(NAME, [[0.0, 0.0]], filter=filter_)


def test_a_value_of_a_template_stays_a_value(client: MilvusClient, user: str) -> None:
    found = client.query(NAME, filter="id in {ids}", filter_params={"ids": list(range(9))})
    assert keys(found) == [key for key in visible(user) if key < 9]
    value = 'x" or owner != "x'
    assert client.query(NAME, filter="owner == {value}", filter_params={"value": value}) == []


def refused(call: Callable[[], Any], *words: str) -> None:
    with pytest.raises((MilvusException, grpc.RpcError)) as refusal:
        call()
    for word in words:
        assert word in str(refusal.value)


def test_requests_about_all_rows_are_refused(client: MilvusClient) -> None:
    for call in (
        lambda: client.get_collection_stats(NAME),
        lambda: client.get_partition_stats(NAME, "_default"),
        lambda: client.drop_partition(NAME, "_default"),
        lambda: client.list_persistent_segments(NAME),
        lambda: client.list_loaded_segments(NAME),
    ):
        refused(call, "is about all rows", "SkipRLS")


def test_an_index_tells_no_number_of_rows(client: MilvusClient, root: MilvusClient) -> None:
    index = client.describe_index(NAME, "vector")
    assert [index[name] for name in ("total_rows", "indexed_rows", "pending_index_rows")] == [0, 0, 0]
    assert index["state"] == "Finished"
    assert root.describe_index(NAME, "vector")["metric_type"] == index["metric_type"]


def test_other_ways_to_select_rows_are_refused(client: MilvusClient) -> None:
    boost = Function(
        name="boost", function_type=FunctionType.RERANK, input_field_names=[], params={"reranker": "boost", "weight": 2}
    )
    for call in (
        lambda: client.search(NAME, [[0.0, 0.0]], ranker=boost),
        lambda: client.search(NAME, [[0.0, 0.0]], search_params={"hints": "iterative_filter"}),
        lambda: client.search(NAME, [[0.0, 0.0]], search_params={"params": {"filter": "id >= 0"}}),
        lambda: client.search(NAME, [[0.0, 0.0]], order_by_fields=[{"field": "year"}]),
        lambda: client.query(NAME, filter="id >= 0", group_by_fields=["owner"]),
        lambda: client.query(NAME, filter="id >= 0", output_fields=["sum(year)"]),
        lambda: client.query(NAME, filter="id >= 0", namespace="other"),
    ):
        refused(call, "not accepted")
    refused(lambda: client.query(NAME, filter="random_sample(0.5)"), "the filter")


def test_ids_of_rows_that_the_user_does_not_see_are_refused_whether_they_exist_or_not(
    server: RunningServer, client: MilvusClient, user: str
) -> None:
    def search(*ids: int) -> str:
        status = raw_grpc.call(
            server.uri,
            "Search",
            header=raw_grpc.authorization(accounts.token(user)),
            collection_name=NAME,
            dsl_type=1,
            ids=schema_pb2.IDs(int_id=schema_pb2.LongArray(data=ids)),
        ).status
        assert status.code == 1100
        return str(status.reason)

    hidden, absent = next(key for key in range(COUNT) if key not in visible(user)), 99
    assert search(hidden) == search(absent) == search(visible(user)[0], hidden)
    assert "`ids.int_id` is not accepted" in search(hidden)  # no engine here has such searches


def test_a_failure_of_the_engine_says_nothing_about_rows(client: MilvusClient) -> None:
    refused(lambda: client.search(NAME, [[0.0, 0.0, 0.0]]))
    with pytest.raises(MilvusException) as failure:
        client.query(NAME, filter='$meta["year"] > "x" and no_such > 1 and owner > 1')
    assert "nobody" not in str(failure.value)


def test_who_bypasses_the_policies_reads_as_before(server: RunningServer, shared: str, root: MilvusClient) -> None:
    with accounts.signed_in(server.uri, "rows_auditor") as auditor:
        for bypassing in (auditor, root):
            assert keys(bypassing.query(NAME, filter="id >= 0")) == list(range(COUNT))
            assert len(bypassing.search(NAME, [[0.0, 0.0]], limit=100)[0]) == COUNT
        assert auditor.get_collection_stats(NAME)


def test_a_tag_shows_more_rows_until_it_is_removed(server: RunningServer, client: MilvusClient, user: str) -> None:
    blue = sorted({*visible(user), *(row["id"] for row in rows() if row["team"] == "blue")})
    for _ in range(2):
        as_root(server, "AddUserTags", user_name=user, tags={"team": "blue"})
        assert keys(client.query(NAME, filter="id >= 0")) == blue
        assert keys(client.search(NAME, [[0.0, 0.0]], limit=100)[0]) == blue
        as_root(server, "DeleteUserTags", user_name=user, tag_keys=["team"])
        assert keys(client.query(NAME, filter="id >= 0")) == visible(user)


def test_rest_finds_the_same(server: RunningServer, client: MilvusClient, user: str) -> None:
    def ask(path: str, **body: Any) -> Any:
        response = httpx.post(
            f"{server.uri}/v2/vectordb/{path}",
            json={"collectionName": NAME, **body},
            headers={"Authorization": f"Bearer {accounts.token(user)}"},
            timeout=30,
        )
        return response.json()

    mine = visible(user)
    assert keys(ask("entities/query", filter="", limit=100)["data"]) == mine
    assert keys(ask("entities/query", filter="id >= 0", limit=100)["data"]) == mine
    assert ask("entities/query", filter="", outputFields=["count(*)"])["data"] == [{"count(*)": len(mine)}]
    assert keys(ask("entities/get", id=list(range(COUNT)))["data"]) == mine
    found = ask("entities/search", data=[[9.1, 0.0]], annsField="vector", limit=100)["data"]
    assert keys(found) == mine
    refusal = ask("entities/query", filter="id >= 0) or (id >= 0")
    assert refusal["code"] != 0
    assert "the filter" in refusal["message"]
    statistics = ask("collections/get_stats")
    assert statistics["code"] != 0
    assert "is about all rows" in statistics["message"]


def test_a_collection_without_policies_shows_no_row(server: RunningServer, root: MilvusClient) -> None:
    create(root, "closed")
    root.alter_collection_properties("closed", {"rls.enabled": "true"})
    accounts.add(root, "rows_outsider", ("CollectionReadOnly", "closed"))
    with accounts.signed_in(server.uri, "rows_outsider") as outsider:
        assert outsider.query("closed", filter="id >= 0") == []
        assert outsider.query("closed", filter="", output_fields=["count(*)"])[0]["count(*)"] == 0
        assert list(outsider.search("closed", [[0.0, 0.0]], limit=3)[0]) == []
        root.alter_collection_properties("closed", {"rls.enabled": "false"})
        assert len(outsider.query("closed", filter="id >= 0")) == COUNT
    root.alter_collection_properties("closed", {"rls.enabled": "true", "rls.force": "true"})
    assert root.query("closed", filter="id >= 0") == []
    root.drop_collection("closed")


def test_nobody_changes_a_field_that_a_policy_reads(shared: str, root: MilvusClient) -> None:
    refused(lambda: root.alter_collection_field(NAME, "owner", {"max_length": 8}), "row policies of shared read")
