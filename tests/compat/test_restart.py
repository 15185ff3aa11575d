"""A server that is stopped and started again, as its users see it."""

import signal
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

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
    root.update_password("root", "Milvus", "Chang3d-root")


def inspect(root: MilvusClient) -> dict[str, object]:
    """Return what can be seen of all that, as an administrator."""
    return {
        "users": [root.describe_user(name) for name in root.list_users()],
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


def test_everything_is_there_again_after_a_restart_also_for_a_client_that_stayed_open(tmp_path: Path) -> None:
    with servers.running(tmp_path / "data") as server:
        with administrator(server) as root:
            furnish(root)
        open_client = MilvusClient(uri=server.uri, token="root:Chang3d-root", dedicated=True)
        before = inspect(open_client)
    assert before["load states"] == [LoadState.Loaded, LoadState.NotLoad]
    assert len(before["rows"]) == 9  # type: ignore[arg-type]  # a list, as `inspect` shows
    with servers.running(tmp_path / "data", "--port", str(server.port)) as server, closing(open_client):
        assert inspect(open_client) == before
        with administrator(server, "root:Chang3d-root") as root:
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


def test_interrupt_from_the_keyboard_stops_the_server_cleanly_and_frees_its_port(tmp_path: Path) -> None:
    server = servers.start(tmp_path / "data")
    assert raw_grpc.accepts(server.uri, ROOT_TOKEN)
    assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.log()
    with pytest.raises(grpc.RpcError) as caught:
        raw_grpc.call(server.uri, "GetVersion", header=raw_grpc.authorization(ROOT_TOKEN))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_requests_in_flight_finish_when_the_server_stops(tmp_path: Path) -> None:
    count, each, dimension = 8, 4000, 64
    with servers.running(tmp_path / "data") as server, administrator(server) as root:
        root.create_collection("busy", dimension=dimension, auto_id=False)
        requests = [
            milvus_pb2.InsertRequest(
                collection_name="busy", **samples.rows(range(number * each, (number + 1) * each), dimension)
            ).SerializeToString()
            for number in range(count)
        ]
        with grpc.insecure_channel(server.uri.removeprefix("http://")) as channel:
            insert = channel.unary_unary(
                "/milvus.proto.milvus.MilvusService/Insert", response_deserializer=milvus_pb2.MutationResult.FromString
            )
            header = (("authorization", raw_grpc.authorization(ROOT_TOKEN)),)
            with ThreadPoolExecutor(count) as pool:
                calls = [pool.submit(insert, request, metadata=header, timeout=40) for request in requests]
                done, under_way = wait(calls, timeout=40, return_when=FIRST_COMPLETED)
                assert done
                assert under_way, "all were answered before the server could be stopped"
                assert server.stop() == 0
                assert [(call.result().status.code, call.result().insert_cnt) for call in calls] == [(0, each)] * count
    with servers.running(tmp_path / "data") as server, administrator(server) as root:
        assert root.query("busy", output_fields=["count(*)"])[0]["count(*)"] == count * each


def test_user_created_while_the_server_stops_is_there_if_it_was_acknowledged(tmp_path: Path) -> None:
    with servers.running(tmp_path / "data") as server:
        header = raw_grpc.authorization(ROOT_TOKEN)
        password = raw_grpc.authorization(accounts.PASSWORD)

        def create(number: int) -> bool:
            try:
                answer = raw_grpc.call(
                    server.uri, "CreateCredential", header=header, username=f"late_{number}", password=password
                )
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    return False
                raise
            return bool(answer.code == 0)

        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(create, number) for number in range(24)]
            wait(calls, timeout=30, return_when=FIRST_COMPLETED)
            assert server.stop() == 0
            acknowledged = {f"late_{number}" for number, call in enumerate(calls) if call.result()}
    assert acknowledged
    with servers.running(tmp_path / "data") as server, administrator(server) as root:
        assert acknowledged <= set(root.list_users())


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
