"""A server that is stopped and started again, as its users see it."""

import itertools
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from pymilvus import MilvusClient
from pymilvus.client.types import LoadState
from pymilvus.grpc_gen import milvus_pb2
from tests.compat import accounts, sample_collection
from tests.compat.accounts import denied
from tests.support import raw_grpc
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN, RunningServer
from tests.unit.engine import samples

CHANGED: Final = "root:Chang3d-root"
LATE: Final = "late_"
"""How the names of users begin that are created while the server stops."""

COUNT, EACH, DIMENSION = 8, 4000, 64
"""Requests that are in flight when the server stops, rows of each, and how long their vectors are."""


def administrator(server: RunningServer, token: str = ROOT_TOKEN) -> "closing[MilvusClient]":
    return closing(MilvusClient(uri=server.uri, token=token, dedicated=True))


def furnish(root: MilvusClient) -> None:
    """Leave something of each kind behind."""
    for name in ("kept_loaded", "kept_released", "kept_private"):
        sample_collection.create(root, name)
    root.delete("kept_loaded", ids=[9])
    root.release_collection("kept_released")
    root.create_alias("kept_loaded", "kept_alias")
    root.create_database("kept_db")
    root.create_privilege_group("kept_group")
    root.add_privileges_to_group("kept_group", ["Search"])
    accounts.add(root, "kept_user", ("Query", "kept_loaded"), ("kept_group", "kept_loaded", "default"))
    root.update_user("kept_user", description="stays")
    root.create_user("gone_user", accounts.PASSWORD)
    root.drop_user("gone_user")
    root.update_password("root", "Milvus", CHANGED.removeprefix("root:"))


def inspect(root: MilvusClient) -> dict[str, object]:
    """Return what can be seen of all that, as an administrator."""
    return {
        "users": [root.describe_user(name) for name in root.list_users() if not name.startswith(LATE)],
        "roles": sorted(root.list_roles()),
        "grants": root.describe_role("kept_user_role", db_name="*"),
        "groups": root.list_privilege_groups()[0],
        "collections": sorted(root.list_collections()),
        "described": root.describe_collection("kept_released"),
        "indexes": sorted(root.list_indexes("kept_loaded")),
        "databases": sorted(root.list_databases()),
        "alias": root.describe_alias("kept_alias"),
        "load states": [root.get_load_state(name)["state"] for name in ("kept_loaded", "kept_released")],
        "rows": [dict(row) for row in root.query("kept_loaded", filter="id >= 0")],
        "nearest": sample_collection.nearest(root, "kept_alias", 4),
    }


def insert_all(channel: grpc.Channel, pool: Executor) -> "list[Future[Any]]":
    """Send many rows in several requests at once."""
    insert = channel.unary_unary(
        "/milvus.proto.milvus.MilvusService/Insert", response_deserializer=milvus_pb2.MutationResult.FromString
    )
    requests = [
        milvus_pb2.InsertRequest(
            collection_name="busy", **samples.rows(range(number * EACH, (number + 1) * EACH), DIMENSION)
        ).SerializeToString()
        for number in range(COUNT)
    ]
    header = (("authorization", raw_grpc.authorization(CHANGED)),)
    return [pool.submit(insert, request, metadata=header, timeout=40) for request in requests]


def create_until_refused(server: RunningServer, worker: int, acknowledged: list[str]) -> None:
    """Create users one after another until the server stops."""
    header, password = raw_grpc.authorization(CHANGED), raw_grpc.authorization(accounts.PASSWORD)
    for number in itertools.count():
        name = f"{LATE}{worker}_{number}"
        try:
            answer = raw_grpc.call(server.uri, "CreateCredential", header=header, username=name, password=password)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                return
            raise
        if answer.code == 0:
            acknowledged.append(name)


@dataclass(frozen=True, slots=True)
class Restarted:
    """A server that was stopped while it was busy, and started again.

    Attributes:
        server: the one that runs now.
        open_client: an administrator's client that stayed open meanwhile.
        before: what it saw before.
        inserted: code and number of rows of each insert that was in flight.
        created: users whose creation was acknowledged while the server stopped.
    """

    server: RunningServer
    open_client: MilvusClient
    before: dict[str, object]
    inserted: list[tuple[int, int]]
    created: list[str]


def stopped_while_busy(server: RunningServer) -> tuple[list[tuple[int, int]], list[str]]:
    """Stop a server under requests that write rows and users, and return what came of those."""
    created: list[str] = []
    with ThreadPoolExecutor(COUNT + 4) as pool, grpc.insecure_channel(server.uri.removeprefix("http://")) as channel:
        creating = [pool.submit(create_until_refused, server, worker, created) for worker in range(4)]
        inserting = insert_all(channel, pool)
        done, under_way = wait(inserting, timeout=40, return_when=FIRST_COMPLETED)
        assert done
        assert under_way, "all were answered before the server could be stopped"
        assert server.stop() == 0
        for each in creating:
            each.result()
        return [(call.result().status.code, call.result().insert_cnt) for call in inserting], created


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    data = tmp_path_factory.mktemp("restart") / "data"
    with servers.running(data) as first:
        with administrator(first) as root:
            furnish(root)
        open_client = MilvusClient(uri=first.uri, token=CHANGED, dedicated=True)
        open_client.create_collection("busy", dimension=DIMENSION, auto_id=False)
        before = inspect(open_client)
        inserted, created = stopped_while_busy(first)
    with servers.running(data, "--port", str(first.port)) as server, closing(open_client):
        yield Restarted(server, open_client, before, inserted, created)


def test_everything_is_there_again_after_a_restart_also_for_a_client_that_stayed_open(restarted: Restarted) -> None:
    server, before = restarted.server, restarted.before
    assert before["load states"] == [LoadState.Loaded, LoadState.NotLoad]
    assert len(before["rows"]) == 9  # type: ignore[arg-type]  # a list, as `inspect` shows
    assert inspect(restarted.open_client) == before
    with administrator(server, CHANGED) as root:
        assert inspect(root) == before
    assert not raw_grpc.accepts(server.uri, ROOT_TOKEN)
    assert not raw_grpc.accepts(server.uri, accounts.token("gone_user"))
    with accounts.signed_in(server.uri, "kept_user") as user:
        assert user.list_collections() == ["kept_loaded"]
        assert sample_collection.nearest(user, "kept_loaded", 4)[0] == 4
        with denied("Insert", "kept_user"):
            user.insert("kept_loaded", sample_collection.rows(1))
        with denied("Query", "kept_user"):
            user.query("kept_private", filter="id >= 0")


def test_requests_in_flight_finish_when_the_server_stops(restarted: Restarted) -> None:
    assert restarted.inserted == [(0, EACH)] * COUNT
    counted = restarted.open_client.query("busy", output_fields=["count(*)"])
    assert counted[0]["count(*)"] == COUNT * EACH


def test_user_created_while_the_server_stops_is_there_if_it_was_acknowledged(restarted: Restarted) -> None:
    assert restarted.created
    assert {*restarted.created} <= {*restarted.open_client.list_users()}


def test_second_server_on_the_same_data_is_refused_and_the_first_serves_on(
    server: RunningServer, tmp_path: Path
) -> None:
    refused = servers.refused_start(servers.command(server.data_dir), cwd=tmp_path)
    assert refused.returncode == 1
    assert "ready" not in refused.stdout
    message = refused.stderr.strip().splitlines()[-1]
    assert message.startswith("kiteward: ")
    assert "another" in message
    assert str(server.data_dir) in message
    assert "Traceback" not in refused.stderr
    assert raw_grpc.accepts(server.uri, ROOT_TOKEN)


def test_interrupt_from_the_keyboard_stops_the_server_cleanly_and_frees_its_port(restarted: Restarted) -> None:
    """This comes last: it ends the server of the tests before."""
    server = restarted.server
    assert raw_grpc.accepts(server.uri, CHANGED)
    assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.log()
    with pytest.raises(grpc.RpcError) as caught:
        raw_grpc.call(server.uri, "GetVersion", header=raw_grpc.authorization(CHANGED))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
