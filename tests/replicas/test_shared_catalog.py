"""Three real servers on one PostgreSQL: changes of the catalog, and writes under row policies, keep to one order."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pymilvus.grpc_gen import milvus_pb2, schema_pb2
from tests.replicas.test_shared_store import SLACK, all_serve, until
from tests.replicas.world import Replica, World, running
from tests.support import postgresql
from tests.support.fake_upstream import FakeMilvus
from tests.support.shared_engine import SharedEngine

from kiteward.milvus import messages

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    # Processes that are killed leave connections of the proxies half open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OPEN = ("docs", "payroll", "moving", "busy", "dropped", "slow")
LEASE = 10
"""Seconds; more than a machine is busy with other things."""

SECRET = "secret"
"""A collection with row policies."""


class Servers:
    """Three servers, and their engine.

    Attributes:
        world: the servers.
        engine: what they all change.
        keys: user -> an API key of it.
    """

    def __init__(self, world: World, engine: SharedEngine) -> None:
        self.world = world
        self.engine = engine
        self.keys: dict[str, str] = {}

    @property
    def replicas(self) -> list[Replica]:
        return self.world.replicas

    def sql(self, statement: str) -> str:
        return self.world.cluster.sql(statement, database=self.world.database.database)

    async def user(self, name: str, *grants: tuple[str, str]) -> None:
        """Create a user who has these privileges on these collections."""
        root, role = self.replicas[0], f"role_of_{name}"
        await root.data("vectordb/roles/create", {"roleName": role})
        granted = [{"privilege": each, "dbName": "default", "collectionName": place} for each, place in grants]
        await root.data("kiteward/roles/change_grants", {"roleName": role, "grant": granted})
        await root.data("kiteward/users/create", {"userName": name, "password": "Some-password-1", "roles": [role]})
        self.keys[name] = (await root.data("kiteward/api_keys/create", {"userName": name}))["key"]

    async def alias(self, replica: Replica, verb: str, alias: str, collection: str) -> None:
        await replica.data(f"vectordb/aliases/{verb}", {"aliasName": alias, "collectionName": collection})

    async def query(self, replica: Replica, user: str, collection: str) -> str:
        """Query a collection, and return why that failed, or empty."""
        return await replica.query(1, by=self.keys[user], collection=collection)

    def write(self, replica: Replica, collection: str, method: str = "Insert", user: str = "") -> "asyncio.Task[str]":
        """Begin to write a row."""
        request = messages.method_of(method).request(
            collection_name=collection,
            num_rows=1,
            fields_data=[_column("id", 100, [1]), _column("owner", 101, ["ann"])],
        )
        by = {"by": self.keys[user]} if user else {}
        return asyncio.create_task(replica.call(method, request, **by))

    def followed(self, collection: str) -> int:
        """Return how often it was committed that grants followed a change of a collection."""
        wanted = f"line LIKE '%FollowObject%' AND line LIKE '%committed%' AND line LIKE '%{collection}%'"
        return int(self.sql(f"SELECT count(*) FROM audit_events WHERE {wanted}"))  # noqa: S608  names of tests

    async def granted(self, collection: str) -> list[str]:
        """Return the roles that have something on a collection."""
        rows = self.sql(f"SELECT DISTINCT role_name FROM grants WHERE object_name = '{collection}'")  # noqa: S608  as above
        return sorted(rows.split())


def _column(name: str, number: int, values: list[Any]) -> Any:
    if isinstance(values[0], int):
        scalars = schema_pb2.ScalarField(long_data=schema_pb2.LongArray(data=values))
        return schema_pb2.FieldData(type=schema_pb2.DataType.Int64, field_name=name, field_id=number, scalars=scalars)
    scalars = schema_pb2.ScalarField(string_data=schema_pb2.StringArray(data=values))
    return schema_pb2.FieldData(type=schema_pb2.DataType.VarChar, field_name=name, field_id=number, scalars=scalars)


def described() -> bytes:
    """Return the description of the collection with row policies."""
    fields = [
        schema_pb2.FieldSchema(fieldID=100, name="id", data_type=schema_pb2.DataType.Int64, is_primary_key=True),
        schema_pb2.FieldSchema(fieldID=101, name="owner", data_type=schema_pb2.DataType.VarChar),
    ]
    return bytes(
        messages.DescribeCollectionResponse(
            status=messages.Status(),
            collection_name=SECRET,
            collectionID=7,
            db_name="default",
            schema=schema_pb2.CollectionSchema(name=SECRET, fields=fields),
        ).SerializeToString()
    )


class Engine(SharedEngine):
    """Describes the collection with row policies too."""

    def _answer(self, called: Any) -> bytes:
        if called.method == "DescribeCollection" and called.request.collection_name == SECRET:
            return described()
        return super()._answer(called)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory, cluster: postgresql.Cluster) -> AsyncIterator[Servers]:
    engine = Engine()
    engine.create(*OPEN, SECRET)
    found = milvus_pb2.QueryResults(
        status=messages.Status(), fields_data=[_column("id", 100, [1]), _column("owner", 101, ["ann"])]
    )
    engine.answers["Query"] = found.SerializeToString()
    directory: Path = tmp_path_factory.mktemp("replicas")
    async with running(directory, cluster, lease=LEASE, engine=FakeMilvus(engine=engine), proxied=False) as world:
        servers = Servers(world, engine)
        await servers.user("alice", ("Query", "docs"), ("Query", "moving"), ("DropCollection", "dropped"))
        await servers.user("ann", ("Insert", SECRET), ("Upsert", SECRET), ("Query", SECRET))
        await protect(servers)
        yield servers


async def protect(servers: Servers) -> None:
    """Let everybody see and write their own rows of the collection with row policies only."""
    root = servers.replicas[0]
    rule = "owner == $current_principal"
    policy = {
        "collectionName": SECRET,
        "policyName": "own",
        "actions": ["Query", "Insert", "Upsert"],
        "usingExpr": rule,
        "checkExpr": rule,
    }
    await root.data("kiteward/row_policies/create", policy)
    await root.data("kiteward/row_policies/enable", {"collectionName": SECRET})


async def reached(servers: Servers, method: str, times: int = 1) -> None:
    async def so_often() -> bool:
        return len(servers.engine.called(method)) >= times

    await until(so_often)


async def test_alias_that_is_moved_on_one_server_is_judged_right_on_all_when_that_is_acknowledged(
    servers: Servers,
) -> None:
    await all_serve(servers.world)
    one, two, three = servers.replicas
    await servers.alias(one, "create", "latest", "docs")
    for replica in servers.replicas:
        assert await servers.query(replica, "alice", "latest") == ""
    for mover in (one, two, three, one):
        await servers.alias(mover, "alter", "latest", "payroll")
        answers = await asyncio.gather(*(servers.query(each, "alice", "latest") for each in servers.replicas))
        assert all("permission" in answer.lower() or "denied" in answer.lower() for answer in answers), answers
        await servers.alias(mover, "alter", "latest", "docs")
        answers = await asyncio.gather(*(servers.query(each, "alice", "latest") for each in servers.replicas))
        assert answers == ["", "", ""]


async def test_name_of_a_new_alias_is_no_collection_of_that_name_on_any_server(servers: Servers) -> None:
    one, two, three = servers.replicas
    for replica in servers.replicas:  # all know what `moving` is
        assert await servers.query(replica, "alice", "moving") == ""
    await one.data("vectordb/collections/rename", {"collectionName": "moving", "newCollectionName": "moved"})
    await servers.alias(two, "create", "moving", "payroll")
    for replica in servers.replicas:
        assert await servers.query(replica, "alice", "moving") != ""
        assert await servers.query(replica, "alice", "moved") == ""
    assert await servers.granted("moved") == ["role_of_alice"]
    assert [each.request.collection_name for each in servers.engine.called("Query")][-1] == "moved"
    await three.data("vectordb/aliases/drop", {"aliasName": "moving"})


async def test_changes_on_two_servers_are_made_one_after_another(servers: Servers) -> None:
    one, two, _ = servers.replicas
    servers.engine.calls.clear()
    go = servers.engine.hold("CreateAlias")
    first = asyncio.create_task(servers.alias(one, "create", "first", "docs"))
    await reached(servers, "CreateAlias")
    second = asyncio.create_task(servers.alias(two, "create", "second", "docs"))
    await until(lambda: _waits(servers))
    assert len(servers.engine.called("CreateAlias")) == 1
    go.set()
    await asyncio.gather(first, second)
    servers.engine.gates.clear()
    assert [each.request.alias for each in servers.engine.called("CreateAlias")] == ["first", "second"]


async def _waits(servers: Servers) -> bool:
    return int(servers.sql("SELECT count(*) FROM locks")) >= 2


async def test_nobody_writes_to_a_collection_that_another_server_is_changing(servers: Servers) -> None:
    one, two, _ = servers.replicas
    assert await servers.write(two, "busy") == ""
    servers.engine.calls.clear()
    go = servers.engine.hold("RenameCollection")
    body = {"collectionName": "busy", "newCollectionName": "renamed"}
    change = asyncio.create_task(one.data("vectordb/collections/rename", body))
    await reached(servers, "RenameCollection")
    write = servers.write(two, "busy")
    elsewhere = servers.write(two, "docs")
    assert await elsewhere == ""
    assert not write.done()
    go.set()
    await change
    servers.engine.gates.clear()
    await write
    assert [each.request.collection_name for each in servers.engine.called("Insert")] == ["docs", "busy"]


async def test_collection_is_changed_when_the_writes_on_other_servers_have_ended(servers: Servers) -> None:
    one, two, _ = servers.replicas
    servers.engine.calls.clear()
    go = servers.engine.hold("Insert")
    write = servers.write(two, "slow")
    await reached(servers, "Insert")
    change = asyncio.create_task(one.data("vectordb/collections/drop", {"collectionName": "slow"}))

    async def begun() -> bool:
        return servers.sql("SELECT count(*) FROM intents") == "1"

    await until(begun)
    for _ in range(3):
        await one.health()
    assert servers.engine.called("DropCollection") == []
    go.set()
    assert await write == ""
    await change
    servers.engine.gates.clear()
    assert len(servers.engine.called("DropCollection")) == 1


async def test_checked_writes_of_two_servers_wait_for_one_another(servers: Servers) -> None:
    one, two, _ = servers.replicas
    servers.engine.calls.clear()
    go = servers.engine.hold("Upsert")
    first = servers.write(one, SECRET, "Upsert", "ann")
    await reached(servers, "Upsert")
    checks = len(servers.engine.called("Query"))
    second = servers.write(two, SECRET, "Upsert", "ann")
    await until(lambda: _waits(servers))
    third = servers.write(two, SECRET, "Upsert")  # of root, who bypasses the policies
    await asyncio.sleep(0.3)
    assert len(servers.engine.called("Query")) == checks
    assert len(servers.engine.called("Upsert")) == 1
    go.set()
    assert [await first, await second, await third] == ["", "", ""]
    servers.engine.gates.clear()

    async def free() -> bool:
        return servers.sql("SELECT count(*) FROM locks") == "0"

    await until(free)


async def test_write_to_a_collection_without_policies_asks_the_database_for_no_lock(servers: Servers) -> None:
    one = servers.replicas[0]
    last = "SELECT last_value FROM locks_number_seq"

    async def took(collection: str, *more: str) -> int:
        before = int(servers.sql(last))
        assert await servers.write(one, collection, *more) == ""
        return int(servers.sql(last)) - before

    # Servers that finish what an earlier test has begun may take tickets meanwhile.
    assert min([await took("docs") for _ in range(5)]) == 0
    assert min([await took(SECRET, "Upsert", "ann") for _ in range(5)]) == 1


async def test_change_of_a_live_server_is_finished_by_nobody_else(servers: Servers) -> None:
    one = servers.replicas[0]
    go = servers.engine.hold("DropCollection")
    servers.engine.calls.clear()
    change = asyncio.create_task(one.data("vectordb/collections/drop", {"collectionName": "payroll"}))
    await reached(servers, "DropCollection")

    async def others_want_to_know() -> bool:
        return int(servers.sql("SELECT count(*) FROM locks")) >= 3

    await until(others_want_to_know)
    await asyncio.sleep(LEASE + 1)
    assert servers.sql("SELECT count(*) FROM intents") == "1"
    assert servers.engine.called("HasCollection")[-1].request.collection_name == "payroll"
    go.set()
    await change
    servers.engine.gates.clear()
    assert servers.followed("payroll") == 1
    assert len(servers.engine.called("DropCollection")) == 1


async def test_change_and_lock_of_a_killed_server_are_taken_over_once(servers: Servers) -> None:
    one, two, three = servers.replicas
    assert await servers.granted("dropped") == ["role_of_alice"]
    servers.engine.calls.clear()
    drop, upsert = servers.engine.hold("DropCollection"), servers.engine.hold("Upsert")
    writing = servers.write(three, SECRET, "Upsert", "ann")
    await reached(servers, "Upsert")
    dropping = asyncio.create_task(three.ask("vectordb/collections/drop", {"collectionName": "dropped"}))
    await reached(servers, "DropCollection")
    three.running.process.kill()
    drop.set()  # before the engine notices that nobody waits for it any more
    upsert.set()
    await three.kill()
    servers.engine.gates.clear()
    after = servers.write(one, SECRET, "Upsert", "ann")

    async def finished() -> bool:
        return servers.sql("SELECT count(*) FROM intents") == "0"

    await until(finished, 4 * LEASE + 4 * SLACK)
    assert await after == ""
    assert await servers.granted("dropped") == []
    assert "dropped" not in servers.engine.databases["default"].collections
    await servers.alias(two, "create", "still", "docs")
    assert servers.followed("dropped") == 1
    assert servers.sql("SELECT count(*) FROM replicas") == "2"
    await asyncio.gather(writing, dropping, return_exceptions=True)
