"""Two confined users write to a collection with row policies, by pymilvus and REST, before each engine."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import httpx
import pytest
from pymilvus import DataType, MilvusClient, MilvusException
from tests.compat import accounts
from tests.support import raw_grpc
from tests.support.server import ROOT_TOKEN, RunningServer

NAME: Final = "written"
GENERATED: Final = "generated"
HANDED: Final = "handed"
USERS: Final = ("cora", "dan")
COLLECTIONS: Final = (NAME, GENERATED, HANDED)
SECONDS: Final = 2.0
"""How long writes race at least."""

LONGEST: Final = 120.0
"""How long they race at most, in seconds, until what the test is about has happened."""


def protect(server: RunningServer, root: MilvusClient, name: str, using: str, check: str) -> None:
    """Give a collection a policy for every action, and enforce it."""
    status = raw_grpc.call(
        server.uri,
        "CreateRowPolicy",
        header=raw_grpc.authorization(ROOT_TOKEN),
        collection_name=name,
        policy_name="own",
        actions=["Query", "Search", "Insert", "Delete", "Upsert"],
        using_expr=using,
        check_expr=check,
    )
    assert status.code == 0, status
    root.alter_collection_properties(name, {"rls.enabled": "true"})


def create(root: MilvusClient, name: str) -> None:
    schema = root.create_schema(auto_id=name == GENERATED, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("owner", DataType.VARCHAR, max_length=16)
    schema.add_field("readers", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=16)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    parameters = root.prepare_index_params()
    parameters.add_index("vector", index_type="FLAT", metric_type="L2")
    root.create_collection(name, schema=schema, index_params=parameters, consistency_level="Strong")


@pytest.fixture(scope="module")
def written(server: RunningServer, root: MilvusClient) -> Iterator[None]:
    """The collections: one's own rows may be written; in `HANDED` they may be given to the other user as well."""
    for name in COLLECTIONS:
        create(root, name)
        check = "owner in ['cora', 'dan']" if name == HANDED else "owner == $current_principal"
        protect(server, root, name, "owner == $current_principal", check)
    accounts.grant(root, "writers", *(("CollectionReadWrite", name) for name in COLLECTIONS))
    for name in USERS:
        accounts.add(root, name)
        root.grant_role(name, "writers")
    yield
    for name in COLLECTIONS:
        root.drop_collection(name)


@pytest.fixture(scope="module")
def cora(written: None, server: RunningServer) -> Iterator[MilvusClient]:
    with accounts.signed_in(server.uri, "cora") as client:
        yield client


@pytest.fixture(scope="module")
def dan(written: None, server: RunningServer) -> Iterator[MilvusClient]:
    with accounts.signed_in(server.uri, "dan") as client:
        yield client


_numbers = itertools.count(1_000, 1_000)


@pytest.fixture
def first(cora: MilvusClient, dan: MilvusClient) -> int:
    """The key of a row of cora's, which follow two more of hers and one of dan's."""
    key = next(_numbers)
    cora.insert(NAME, [row(key + number, "cora") for number in range(3)])
    dan.insert(NAME, [row(key + 3, "dan")])
    return key


def row(key: int | None, owner: str, **others: Any) -> dict[str, Any]:
    keyed = {} if key is None else {"id": key}
    return {**keyed, "owner": owner, "readers": [owner], "vector": [0.5, 0.5], **others}


def stored(root: MilvusClient, first: int, name: str = NAME, field: str = "owner") -> dict[int, Any]:
    """Return a field of the rows from a key on, as an administrator sees them."""
    found = root.query(name, filter=f"id >= {first} and id < {first + 1000}", output_fields=[field])
    return {each["id"]: each[field] for each in found}


def denied(call: Callable[[], Any], *words: str) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        call()
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
    for word in words:
        assert word in str(refusal.value.details())


def test_rows_are_inserted_if_all_of_them_are_allowed(root: MilvusClient, dan: MilvusClient, first: int) -> None:
    before = stored(root, first)
    rows = [row(first + 10, "dan"), row(first + 11, "cora"), row(first + 12, "dan")]
    denied(
        lambda: dan.insert(NAME, rows), f"row 1 violates `check_expr` of the row policy own of the collection {NAME}"
    )
    assert stored(root, first) == before
    dan.insert(NAME, [row(first + 10, "dan"), row(first + 12, "dan", colour="red")])
    assert stored(root, first) == {**before, first + 10: "dan", first + 12: "dan"}


def test_an_insert_does_not_replace_a_foreign_row(root: MilvusClient, dan: MilvusClient, first: int) -> None:
    before = stored(root, first)
    denied(lambda: dan.insert(NAME, [row(first + 10, "dan"), row(first, "dan")]), "the key of row 1 is not that of")
    assert stored(root, first) == before


def test_a_foreign_row_is_not_upserted(root: MilvusClient, dan: MilvusClient, first: int) -> None:
    before = stored(root, first)
    denied(lambda: dan.upsert(NAME, [row(first, "dan")]), "the key of row 0 is not that of")
    denied(lambda: dan.upsert(NAME, [row(first + 3, "dan"), row(first + 1, "cora")]), "row 1")
    assert stored(root, first) == before


def test_ones_own_rows_are_upserted_and_not_given_away(root: MilvusClient, cora: MilvusClient, first: int) -> None:
    before = stored(root, first)
    cora.upsert(NAME, [row(first, "cora", colour="red"), row(first + 20, "cora")])
    assert stored(root, first) == {**before, first + 20: "cora"}
    assert root.query(NAME, filter=f"id == {first}", output_fields=["colour"])[0]["colour"] == "red"
    denied(lambda: cora.upsert(NAME, [row(first, "dan")]), "row 0 violates `check_expr`")
    assert stored(root, first)[first] == "cora"


def test_a_partial_update_is_checked_as_the_row_will_be(
    root: MilvusClient, cora: MilvusClient, dan: MilvusClient, first: int
) -> None:
    cora.upsert(NAME, [{"id": first, "readers": ["dan"]}], partial_update=True)
    denied(lambda: dan.upsert(NAME, [{"id": first, "readers": []}], partial_update=True), "the key of row 0")
    denied(lambda: cora.upsert(NAME, [{"id": first, "owner": "dan"}], partial_update=True), "row 0 violates")
    assert stored(root, first)[first] == "cora"
    assert list(stored(root, first, field="readers")[first]) == ["dan"]


def test_a_dynamic_field_does_not_take_the_place_of_a_field(server: RunningServer, written: None, first: int) -> None:
    def column(name: str, kind: DataType, **values: Any) -> dict[str, Any]:
        return {"field_name": name, "type": int(kind), "scalars": values}

    text = f'{{"owner": "dan", "id": {first}}}'.encode()
    columns: list[dict[str, Any]] = [
        column("id", DataType.INT64, long_data={"data": [first + 30]}),
        column("owner", DataType.VARCHAR, string_data={"data": ["cora"]}),
        column("readers", DataType.ARRAY, array_data={"data": [{}], "element_type": int(DataType.VARCHAR)}),
        {
            "field_name": "vector",
            "type": int(DataType.FLOAT_VECTOR),
            "vectors": {"dim": 2, "float_vector": {"data": [0, 0]}},
        },
        {**column("$meta", DataType.JSON, json_data={"data": [text]}), "is_dynamic": True},
    ]
    header = raw_grpc.authorization(accounts.token("cora"))
    answer = raw_grpc.call(server.uri, "Insert", header=header, collection_name=NAME, num_rows=1, fields_data=columns)
    assert answer.status.code == 1100
    assert "which is the name of a field" in answer.status.reason


def test_rows_are_deleted_if_they_are_ones_own(root: MilvusClient, dan: MilvusClient, first: int) -> None:
    before = stored(root, first)
    dan.delete(NAME, ids=[first, first + 1, first + 900])
    dan.delete(NAME, filter=f"id == {first} or owner == 'cora'")
    assert stored(root, first) == before
    dan.delete(NAME, ids=[first, first + 3])
    assert stored(root, first) == {key: owner for key, owner in before.items() if owner == "cora"}


def test_a_template_of_a_delete_is_filled_before_the_filter_is_joined(
    root: MilvusClient, dan: MilvusClient, first: int
) -> None:
    before = stored(root, first)
    dan.delete(NAME, filter="id in {ids}", filter_params={"ids": [first, first + 1]})
    assert stored(root, first) == before


def test_ones_own_rows_are_deleted_by_a_filter(root: MilvusClient, cora: MilvusClient, first: int) -> None:
    cora.delete(NAME, filter=f"id > {first} and id < {first + 1000}")
    assert stored(root, first) == {first: "cora", first + 3: "dan"}


@pytest.mark.parametrize("filter_", ["id >= 0) or (id >= 0", 'owner == "', "id >= 0; id >= 0"])
def test_what_is_no_filter_deletes_nothing(root: MilvusClient, cora: MilvusClient, first: int, filter_: str) -> None:
    before = stored(root, first)
    with pytest.raises(MilvusException, match="the filter"):
        cora.delete(NAME, filter=filter_)
    assert stored(root, first) == before


def test_rows_with_generated_keys_are_checked(root: MilvusClient, cora: MilvusClient) -> None:
    denied(lambda: cora.insert(GENERATED, [row(None, "cora"), row(None, "dan")]), "row 1 violates")
    assert root.query(GENERATED, filter="id >= 0") == []
    cora.insert(GENERATED, [row(None, "cora")])
    assert len(root.query(GENERATED, filter="id >= 0")) == 1


def test_rest_writes_the_same(server: RunningServer, root: MilvusClient, first: int) -> None:
    def send(user: str, path: str, **body: Any) -> Any:
        return httpx.post(
            f"{server.uri}/v2/vectordb/entities/{path}",
            json={"collectionName": NAME, **body},
            headers={"Authorization": f"Bearer {accounts.token(user)}"},
            timeout=30,
        ).json()

    before = stored(root, first)
    assert "row 0 violates" in send("dan", "insert", data=[row(first + 40, "cora")])["message"]
    assert "the key of row 0" in send("dan", "insert", data=[row(first, "dan")])["message"]
    assert "the key of row 0" in send("dan", "upsert", data=[row(first, "dan")])["message"]
    assert "row 0 violates" in send("cora", "upsert", data=[row(first, "dan")])["message"]
    assert send("dan", "delete", filter=f"id >= {first} and id < {first + 3}")["code"] == 0
    assert stored(root, first) == before
    assert send("dan", "insert", data=[row(first + 40, "dan")])["code"] == 0
    assert send("cora", "upsert", data=[row(first, "cora")])["code"] == 0
    assert send("cora", "delete", filter=f"id in [{first + 1}, {first + 3}]")["code"] == 0
    del before[first + 1]
    assert stored(root, first) == {**before, first + 40: "dan"}


def test_ten_thousand_rows_are_written_or_none(root: MilvusClient, cora: MilvusClient) -> None:
    begin = 1_000_000
    rows = [row(begin + number, "cora") for number in range(10_000)]
    denied(lambda: cora.insert(NAME, [*rows[:-1], row(begin + 9_999, "dan")]), "row 9999 violates")
    cora.insert(NAME, rows)
    cora.upsert(NAME, rows)
    counted = root.query(NAME, filter=f"id >= {begin}", output_fields=["count(*)"])
    assert counted[0]["count(*)"] == 10_000
    cora.delete(NAME, ids=[each["id"] for each in rows])
    assert root.query(NAME, filter=f"id >= {begin}", output_fields=["count(*)"])[0]["count(*)"] == 0


def race(
    server: RunningServer, work: Callable[[MilvusClient, str, Callable[[], bool]], None], until: Callable[[], bool]
) -> None:
    """Let two clients of each user work at the same time, for some seconds and until a condition holds."""
    started = time.monotonic()
    begin = threading.Barrier(2 * len(USERS))

    def goes_on() -> bool:
        passed = time.monotonic() - started
        return passed < SECONDS or (passed < LONGEST and not until())

    def run(user: str) -> None:
        with accounts.signed_in(server.uri, user) as client:
            begin.wait(timeout=60)
            work(client, user, goes_on)

    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(run, user) for user in USERS * 2]:
            done.result()


def test_a_row_that_was_given_away_is_never_overwritten(
    server: RunningServer, root: MilvusClient, written: None
) -> None:
    """Each write gives the row to the other user. So whoever writes twice in a row has overwritten a foreign row."""
    keys = range(3)
    root.upsert(HANDED, [row(key, "cora") for key in keys])
    allowed: Counter[tuple[str, int]] = Counter()
    counting = threading.Lock()

    def work(client: MilvusClient, user: str, goes_on: Callable[[], bool]) -> None:
        other = next(name for name in USERS if name != user)
        for key in itertools.cycle(keys):
            if not goes_on():
                return
            try:
                client.upsert(HANDED, [row(key, other)])
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.PERMISSION_DENIED
                continue
            with counting:
                allowed[user, key] += 1

    race(server, work, until=lambda: sum(allowed.values()) > len(keys))
    owners = stored(root, 0, HANDED)
    for key in keys:
        assert allowed["cora", key] - allowed["dan", key] == (owners[key] == "dan")
    assert sum(allowed.values()) > len(keys)


def test_a_row_that_was_taken_away_is_never_overwritten(
    server: RunningServer, root: MilvusClient, written: None
) -> None:
    """An administrator takes rows away while their owners write them. What he has written stays.

    This is the short form: `make row-policies ARGS='--race reassignments'` does it with a million requests.
    """
    keys = range(100, 116)
    root.upsert(HANDED, [row(key, USERS[key % 2]) for key in keys])

    def work(client: MilvusClient, user: str, goes_on: Callable[[], bool]) -> None:
        own = [key for key in keys if USERS[key % 2] == user]
        for key in itertools.cycle(own):
            if not goes_on():
                return
            try:
                client.upsert(HANDED, [row(key, user)])
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.PERMISSION_DENIED

    taken = ThreadPoolExecutor().submit(take_away, root, keys)
    race(server, work, until=taken.done)
    taken.result()
    assert set(stored(root, 100, HANDED).values()) == {"nobody"}


def take_away(root: MilvusClient, keys: range) -> None:
    pause = SECONDS / 2 / len(keys)
    for key in keys:
        root.upsert(HANDED, [row(key, "nobody")])
        time.sleep(pause)
