"""A server whose store is in PostgreSQL, as its users and its operator see it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pymilvus import DataType, MilvusClient
from tests.compat import accounts, sample_collection
from tests.compat.accounts import denied
from tests.support import command_line, raw_grpc
from tests.support import server as servers
from tests.support.postgresql import PASSWORD, Cluster
from tests.support.server import ROOT_TOKEN, RunningServer

NEW_ROOT = "root:Chang3d-root"


@pytest.fixture
def database(cluster: Cluster) -> Iterator[str]:
    with cluster.database() as settings:
        yield settings.database


@pytest.fixture
def config(cluster: Cluster, database: str, tmp_path: Path) -> Path:
    """The file of an operator: the address of the database, and a file with its password."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    store = {"url": cluster.url(database), "passwordFile": str(tmp_path / "password")}
    file = tmp_path / "kiteward.yaml"
    file.write_text(json.dumps({"kiteward": {"store": store, "metrics": {"enabled": False}}}), encoding="utf-8")
    return file


def client(server: RunningServer, token: str) -> "closing[MilvusClient]":
    return closing(MilvusClient(uri=server.uri, token=token, dedicated=True))


def protect(server: RunningServer, root: MilvusClient) -> None:
    """Make a collection with a row for each of two users, of which each sees its own."""
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("owner", DataType.VARCHAR, max_length=64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    index = MilvusClient.prepare_index_params("vector", metric_type="L2", index_type="FLAT")
    root.create_collection("own_rows", schema=schema, index_params=index)
    owners = ("reader", "somebody")
    root.insert(
        "own_rows", [{"id": number, "owner": owner, "vector": [0.0, 1.0]} for number, owner in enumerate(owners)]
    )
    raw_grpc.call(
        server.uri,
        "CreateRowPolicy",
        header=raw_grpc.authorization(NEW_ROOT),
        collection_name="own_rows",
        policy_name="own",
        actions=[0],
        using_expr="owner == $current_principal",
    )
    root.alter_collection_properties("own_rows", {"rls.enabled": "true"})


def furnish(server: RunningServer) -> None:
    with client(server, ROOT_TOKEN) as root:
        root.update_password("root", "Milvus", NEW_ROOT.removeprefix("root:"))
    with client(server, NEW_ROOT) as root:
        sample_collection.create(root, "docs")
        accounts.add(root, "reader", ("Query", "docs"), ("Search", "docs"), ("Query", "own_rows"), ("Load", "own_rows"))
        root.create_privilege_group("mine")
        root.add_privileges_to_group("mine", ["Search"])
        protect(server, root)


def inspect(server: RunningServer, key: str) -> dict[str, object]:
    """Return what users see: an administrator, a user by password, and the same user by API key."""
    seen: dict[str, object] = {}
    with client(server, NEW_ROOT) as root:
        seen["users"] = [root.describe_user(name) for name in root.list_users()]
        seen["roles"] = sorted(root.list_roles())
        seen["grants"] = root.describe_role("reader_role", db_name="*")
        seen["groups"] = root.list_privilege_groups()[0]
    for way, token in (("password", accounts.token("reader")), ("key", key)):
        with client(server, token) as reader:
            seen[f"docs by {way}"] = len(reader.query("docs", filter="id >= 0"))
            seen[f"own rows by {way}"] = [row["id"] for row in reader.query("own_rows", filter="id >= 0")]
            with denied("Insert", "reader"):
                reader.insert("docs", sample_collection.rows(1))
    return seen


def test_users_roles_keys_and_row_policies_are_there_again_after_a_restart(
    config: Path, tmp_path: Path, cluster: Cluster, database: str
) -> None:
    options = ("--config", str(config))
    with servers.running(tmp_path / "data", *options) as server:
        assert f"store postgresql://127.0.0.1:{cluster.port}/{database}" in server.log()
        furnish(server)
        made = command_line.printed(
            "keys", "create", "reader", "--json", "--data-dir", str(tmp_path / "data"), *options
        )
        key = str(json.loads(made)["key"])
        before = inspect(server, key)
    assert (before["docs by key"], before["own rows by key"]) == (10, [0])
    with servers.running(tmp_path / "data", *options) as server:
        assert inspect(server, key) == before
        assert not raw_grpc.accepts(server.uri, ROOT_TOKEN)
        assert PASSWORD not in server.log()
    assert not (tmp_path / "data" / "store.db").exists()


def test_store_of_a_data_directory_is_moved_with_the_command_and_served(
    config: Path, tmp_path: Path, cluster: Cluster, database: str
) -> None:
    data, moving = (
        tmp_path / "data",
        ("store", "migrate", "--progress", "--config", str(config), "--from", f"sqlite:{tmp_path / 'data'}"),
    )
    with servers.running(data, config="kiteward: {metrics: {enabled: false}}") as server:
        furnish(server)
        made = command_line.printed("keys", "create", "reader", "--json", "--data-dir", str(data))
        key = str(json.loads(made)["key"])
        before = inspect(server, key)
        held = command_line.call(*moving, "--to", cluster.url(database))
        assert (held.status, "is in use by another server" in held.stderr) == (1, True), held.stderr
    moved = command_line.call(*moving, "--to", cluster.url(database))
    assert moved.status == 0, moved.stderr
    assert "both stores hold the same" in moved.stdout
    with servers.running(data, "--config", str(config)) as server:
        assert inspect(server, key) == before
        back = ("--from", cluster.url(database), "--to", f"sqlite:{tmp_path / 'new'}")
        used = command_line.call("store", "migrate", "--config", str(config), *back)
        assert (used.status, "are connected to the database: stop them first" in used.stderr) == (1, True)
    again = command_line.call(*moving, "--to", cluster.url(database))
    assert (again.status, "is not empty" in again.stderr) == (1, True), again.stderr
    assert PASSWORD not in moved.stdout + moved.stderr + held.stderr + used.stderr + again.stderr


def test_server_waits_for_a_database_that_is_starting(config: Path, tmp_path: Path, cluster: Cluster) -> None:
    with cluster.stopped():
        process = subprocess.Popen(
            servers.command(tmp_path / "data", "--config", str(config)),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = [process.stdout.readline()]
        while "waiting for it" not in said[-1]:
            assert said[-1], "".join(said)
            said.append(process.stdout.readline())
        assert "the database cannot be reached" in said[-1]
    while "is ready on" not in said[-1]:
        assert said[-1], "".join(said)
        said.append(process.stdout.readline())
    process.terminate()
    process.communicate(timeout=servers.STOP_WITHIN)
    assert process.returncode == 0


def test_server_with_a_wrong_password_ends_at_once_and_says_so(config: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2", encoding="utf-8")
    ended = servers.refused_start(servers.command(tmp_path / "data", "--config", str(config)), cwd=tmp_path)
    assert ended.returncode == 1
    assert "the database rejects the user or the password" in ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr


def test_database_that_goes_away_is_told_and_comes_back(
    config: Path, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITEWARD_REPLICAS_LEASE", "60")  # what is in memory is used for so long
    with servers.running(tmp_path / "data", "--config", str(config)) as server, client(server, ROOT_TOKEN) as root:
        root.create_role("before")
        with cluster.stopped():
            assert root.list_collections() == []  # by a principal and a policy in memory
            with pytest.raises(Exception, match=r"the database cannot be reached|the connection to the database broke"):
                root.create_role("during", timeout=5)
        root.create_role("after")
        assert {"before", "after"} <= set(root.list_roles())
        assert "during" not in root.list_roles()
