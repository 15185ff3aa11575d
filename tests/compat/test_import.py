"""Importing: from a real Milvus 2.3.5 by its lists, and from a server that has BackupRBAC with its hashes."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import grpc
import pytest
from benchmarks import peers
from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import milvus_pb2
from tests.support import raw_grpc
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN

MILVUS_PYTHON = Path(__file__).resolve().parents[2] / ".venv-milvus" / "bin" / "python"
KITEWARD = (sys.executable, "-m", "kiteward")
PASSWORD = "Password-1"
Import = Callable[..., str]


@pytest.fixture
def run_import(tmp_path: Path) -> Import:
    """Import into a data directory of its own and return what is printed."""
    data = tmp_path / "new"

    def run(uri: str, *options: str, token: str = ROOT_TOKEN, status: int = 0) -> str:
        if not data.exists():
            subprocess.run(
                [*KITEWARD, "init", "--admin", "db_admin", "--data-dir", str(data)],
                check=True,
                capture_output=True,
            )
        done = subprocess.run(
            [*KITEWARD, "import", "--verbose", "--from", uri, "--token-file", "-", *options, "--data-dir", str(data)],
            input=token + "\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Milvus 2.3.5 with authorisation on, two users, and a role with two grants."""
    if not MILVUS_PYTHON.exists():
        pytest.skip("Milvus 2.3.5 is not installed; `make .venv-milvus/.ready` installs it")
    with peers.milvus(tmp_path_factory.mktemp("milvus") / "data", MILVUS_PYTHON) as peer:
        uri = f"http://{peer.address}"
        root = MilvusClient(uri=uri, token=ROOT_TOKEN, dedicated=True)
        schema = root.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
        root.create_collection("docs", schema=schema)
        for name in ("mover", "other"):
            root.create_user(name, PASSWORD)
        root.create_role("reader")
        root.grant_privilege("reader", "Collection", "Search", "docs")
        root.grant_privilege("reader", "Global", "CreateCollection", "*")
        root.grant_role("mover", "reader")
        root.close()
        yield uri


def stored(data: Path) -> dict[str, tuple[str, ...]]:
    """Return each user of a data directory that nobody serves, with its roles."""
    listed = subprocess.run(
        [*KITEWARD, "users", "list", "--json", "--data-dir", str(data)],
        check=True,
        capture_output=True,
    )
    return {user["userName"]: tuple(user["roles"]) for user in json.loads(listed.stdout)}


@pytest.mark.timeout(300)
def test_users_roles_bindings_and_grants_come_from_a_real_milvus_with_new_passwords(
    milvus: str, run_import: Import, tmp_path: Path
) -> None:
    told = run_import(milvus, "--dry-run")
    assert "would import role reader" in told
    assert "would import user mover" in told
    assert "2 users would get a new password" in told
    assert stored(tmp_path / "new") == {"db_admin": ("admin",), "root": ()}
    told = run_import(milvus, "--passwords-file", str(tmp_path / "passwords"))
    assert "imported grant Search on Collection default.docs to reader" in told
    assert "imported: 2 users, 1 roles, 2 grants, 0 groups" in told
    assert stored(tmp_path / "new") == {"db_admin": ("admin",), "mover": ("reader",), "other": (), "root": ()}
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
        mover.create_collection("docs", schema=schema)
        assert mover.list_collections() == ["docs"]
        with pytest.raises(grpc.RpcError, match="PrivilegeInsert: permission deny to mover"):
            mover.insert("docs", [{"id": 1, "vector": [0.0, 0.1, 0.2, 0.3]}])
        mover.close()
    again = run_import(milvus)
    assert "imported: 0 users, 0 roles, 0 grants, 0 groups" in again
    assert "left role reader: already exists here" in again


@pytest.mark.timeout(300)
def test_a_wrong_password_of_the_source_is_reported_and_nothing_is_imported(
    milvus: str, run_import: Import, tmp_path: Path
) -> None:
    told = run_import(milvus, token="root:wrong", status=1)
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
