"""Importing: from a real Milvus 2.3.5 by its lists, and from a server that has BackupRBAC with its hashes."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import bcrypt
import grpc
import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import milvus_pb2
from tests.support import command_line, raw_grpc, upstream
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN
from tests.support.upstream import Upstream

PASSWORD = "Password-1"
Import = Callable[..., str]


@pytest.fixture
def run_import(tmp_path: Path) -> Import:
    """Import into a data directory of its own and return what is printed."""
    data = ("--data-dir", str(tmp_path / "new"))

    def run(uri: str, *options: str, token: str = ROOT_TOKEN, status: int = 0) -> str:
        if not (tmp_path / "new").exists():
            command_line.printed("init", "--admin", "db_admin", *data)
        source = ("--from", uri, "--token-file", "-")
        done = command_line.call("import", "--verbose", *source, *options, *data, stdin=f"{token}\n")
        assert done.status == status, done
        return done.stdout if status == 0 else done.stderr

    return run


@pytest.fixture(scope="module")
def source(milvus: Upstream) -> Iterator[str]:
    """A real Milvus 2.3.5 with two users and a role with two grants, beside the service account of other tests."""
    with closing(MilvusClient(uri=milvus.uri, token=ROOT_TOKEN, dedicated=True)) as root:
        schema = root.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
        root.create_collection("imported_docs", schema=schema)
        for name in ("mover", "other"):
            root.create_user(name, PASSWORD)
        root.create_role("reader")
        root.grant_privilege("reader", "Collection", "Search", "imported_docs")
        root.grant_privilege("reader", "Global", "CreateCollection", "*")
        root.grant_role("mover", "reader")
        yield milvus.uri
        for name in ("mover", "other"):
            root.drop_user(name)
        root.revoke_privilege("reader", "Collection", "Search", "imported_docs")
        root.revoke_privilege("reader", "Global", "CreateCollection", "*")
        root.drop_role("reader")
        root.drop_collection("imported_docs")


def stored(data: Path) -> dict[str, tuple[str, ...]]:
    """Return each user of a data directory that nobody serves, with its roles."""
    listed = command_line.printed("users", "list", "--json", "--data-dir", str(data))
    return {user["userName"]: tuple(user["roles"]) for user in json.loads(listed)}


@pytest.mark.timeout(300)
def test_users_roles_bindings_and_grants_come_from_a_real_milvus_with_new_passwords(
    source: str, run_import: Import, tmp_path: Path
) -> None:
    told = run_import(source, "--dry-run")
    assert "would import role reader" in told
    assert "would import user mover" in told
    assert "3 users would get a new password" in told
    assert stored(tmp_path / "new") == {"db_admin": ("admin",), "root": ()}
    told = run_import(source, "--passwords-file", str(tmp_path / "passwords"))
    assert "imported grant Search on Collection default.imported_docs to reader" in told
    assert f"imported: 3 users, 2 roles, {2 + len(upstream.NEEDED)} grants, 0 groups" in told
    account = {upstream.SERVICE_USER: (upstream.ROLE,)}
    assert stored(tmp_path / "new") == {
        "db_admin": ("admin",),
        "mover": ("reader",),
        "other": (),
        "root": (),
        **account,
    }
    assert (tmp_path / "passwords").stat().st_mode & 0o777 == 0o600
    passwords = dict(line.split("\t") for line in (tmp_path / "passwords").read_text().splitlines())
    with servers.running(tmp_path / "new") as running:
        assert raw_grpc.accepts(running.uri, f"mover:{passwords['mover']}")
        assert not raw_grpc.accepts(running.uri, f"mover:{PASSWORD}")
        mover = MilvusClient(uri=running.uri, token=f"mover:{passwords['mover']}", dedicated=True)
        with pytest.raises(grpc.RpcError, match="the password of mover is a one-time password: set another one first"):
            mover.list_collections()
        mover.update_password("mover", passwords["mover"], "Movers-own-1")
        mover.close()
        mover = MilvusClient(uri=running.uri, token="mover:Movers-own-1", dedicated=True)
        schema = mover.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
        mover.create_collection("imported_docs", schema=schema)
        assert mover.list_collections() == ["imported_docs"]
        with pytest.raises(grpc.RpcError, match="PrivilegeInsert: permission deny to mover"):
            mover.insert("imported_docs", [{"id": 1, "vector": [0.0, 0.1, 0.2, 0.3]}])
        mover.close()
    again = run_import(source)
    assert "imported: 0 users, 0 roles, 0 grants, 0 groups" in again
    assert "left role reader: already exists here" in again


@pytest.mark.timeout(300)
def test_a_wrong_password_of_the_source_is_reported_and_nothing_is_imported(
    source: str, run_import: Import, tmp_path: Path
) -> None:
    told = run_import(source, token="root:wrong", status=1)
    assert "give the credential of an administrator" in told
    assert "wrong" not in told
    assert stored(tmp_path / "new") == {"db_admin": ("admin",), "root": ()}


def test_hashes_and_groups_come_from_a_server_that_has_backups(run_import: Import, tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    meta = milvus_pb2.RBACMeta(
        users=[milvus_pb2.UserInfo(user="mover", password=hashed, roles=[milvus_pb2.RoleEntity(name="reader")])],
        roles=[milvus_pb2.RoleEntity(name="reader", description="reads")],
        privilege_groups=[
            milvus_pb2.PrivilegeGroupInfo(group_name="looking", privileges=[milvus_pb2.PrivilegeEntity(name="Query")])
        ],
    )
    with servers.running(tmp_path / "source") as source:
        raw_grpc.call(source.uri, "RestoreRBAC", header=raw_grpc.authorization(ROOT_TOKEN), RBAC_meta=meta)
        root = MilvusClient(uri=source.uri, token=ROOT_TOKEN, dedicated=True)
        root.grant_privilege_v2("reader", "looking", collection_name="*", db_name="*")
        root.close()
        told = run_import(source.uri)
    assert "imported: 1 users, 1 roles, 1 grants, 1 groups; left out: 0" in told
    assert "one-time passwords" not in told
    with servers.running(tmp_path / "new") as running:
        assert raw_grpc.accepts(running.uri, f"mover:{PASSWORD}")
    # The first sign-in has replaced the imported hash.
    assert hashed.encode() not in (tmp_path / "new" / "store.db").read_bytes()


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("milvus:19530", "must be like http://"),
        ("ftp://x", "must be like http://"),
        ("http://127.0.0.1:9", "cannot be"),
    ],
)
def test_a_source_that_is_none_is_reported(run_import: Import, uri: str, told: str) -> None:
    assert told in run_import(uri, status=1)
