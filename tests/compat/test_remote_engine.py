"""A server in front of a real Milvus 2.3.5: what its documentation says, its doctor, and large messages."""

import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import grpc
import httpx
import pytest
from pymilvus import MilvusClient
from tests.compat import older_milvus
from tests.support import generated_sections, raw_grpc, upstream
from tests.support.server import ROOT_TOKEN, RunningServer
from tests.support.upstream import Upstream

from kiteward.authz.privileges import PRIVILEGES
from kiteward.engine.remote import ACCOUNT_REJECTED
from kiteward.gateway.operations import OPERATIONS
from kiteward.milvus import messages

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "remote-engine.md"
WRITER: Final = "tests/compat/test_remote_engine.py"


@pytest.fixture(scope="module")
def root(remote: RunningServer) -> Iterator[MilvusClient]:
    """The administrator's client."""
    with closing(MilvusClient(uri=remote.uri, token=ROOT_TOKEN, dedicated=True)) as client:
        yield client


def doctor(milvus: Upstream, scheme: str = "grpc", password: str = upstream.SERVICE_PASSWORD) -> tuple[int, list[str]]:
    """Return the exit status of the doctor, and what it found about the engine."""
    command = [sys.executable, "-m", "kiteward", "doctor", "--engine", f"{scheme}://{milvus.address}"]
    with tempfile.TemporaryDirectory() as empty:
        (Path(empty) / "data").mkdir(mode=0o700)
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=empty,
            env={
                "KITEWARD_ENGINE_USER": upstream.SERVICE_USER,
                "KITEWARD_ENGINE_PASSWORD": password,
                "KITEWARD_ROOT_PASSWORD": "Doctor-Doctor-1",
            },
        )
    assert upstream.SERVICE_PASSWORD not in ran.stdout + ran.stderr
    assert ran.stderr == ""
    return ran.returncode, [line for line in ran.stdout.splitlines() if line.startswith(("note:", "fault:", "unsafe:"))]


def test_doctor_finds_the_account_sufficient_and_the_default_password_of_root(milvus: Upstream) -> None:
    assert doctor(milvus) == (
        1,
        [
            f"note: the remote engine grpc://{milvus.address} is Milvus 2.3.5-lite",
            "unsafe: the remote engine accepts root with the default password: change it there",
        ],
    )


def test_doctor_says_what_is_wrong(milvus: Upstream) -> None:
    status, found = doctor(milvus, password="Wrong-1")
    assert (status, found[0]) == (1, f"fault: {ACCOUNT_REJECTED}")
    assert doctor(milvus, "grpcs") == (1, ["fault: the engine cannot be reached: it does not speak TLS"])


def test_what_changes_around_the_server_is_answered_by_the_engine(root: MilvusClient, milvus: Upstream) -> None:
    with closing(MilvusClient(uri=milvus.uri, token=ROOT_TOKEN, dedicated=True)) as around:
        around.create_collection("made_around", dimension=4)
        assert root.has_collection("made_around")
        assert "made_around" in root.list_collections()
        around.drop_collection("made_around")
        assert not root.has_collection("made_around")


def test_users_of_the_engine_are_no_users_of_the_server_and_the_reverse(root: MilvusClient, milvus: Upstream) -> None:
    root.create_user("only_here", "Only-here-1")
    with closing(MilvusClient(uri=milvus.uri, token=ROOT_TOKEN, dedicated=True)) as around:
        assert sorted(around.list_users()) == sorted([upstream.SERVICE_USER, "root"])
    assert upstream.SERVICE_USER not in root.list_users()
    root.drop_user("only_here")


def lacks(milvus: Upstream, operation: str) -> bool:
    """Return whether a Milvus does not implement an RPC, which is called with an empty request."""
    try:
        raw_grpc.call(milvus.uri, operation, header=raw_grpc.authorization(ROOT_TOKEN))
    except grpc.RpcError as error:
        return bool(error.code() is grpc.StatusCode.UNIMPLEMENTED)
    return False


def said(server: RunningServer, operation: str) -> str:
    """Return what a server says to an empty request."""
    try:
        return str(raw_grpc.call(server.uri, operation, header=raw_grpc.authorization(ROOT_TOKEN)))
    except grpc.RpcError as error:
        return str(error.details())


def rows_by_type(names: Collection[str]) -> list[str]:
    """Return a row of a table for each object type, with the privileges that are granted on it."""
    by_type = {
        kind: sorted(name for name in names if str(PRIVILEGES[name].object_type) == kind)
        for kind in ("Global", "Collection")
    }
    assert sum(map(len, by_type.values())) == len(set(names))
    return [f"| {kind} | {', '.join(f'`{name}`' for name in found)} |" for kind, found in by_type.items()]


def test_the_page_says_what_the_account_needs_and_what_the_older_version_lacks(
    remote: RunningServer, milvus: Upstream
) -> None:
    needed = upstream.NEEDED
    rest = {row.privilege.name for row in OPERATIONS.values() if row.by_engine and row.privilege} - set(needed)
    account = ["| type | privileges that the account needs for data |", "| --- | --- |", *rows_by_type(needed)]
    account += ["", "| type | for what only some administrators do, also |", "| --- | --- |", *rows_by_type(rest)]
    generated_sections.demand(PAGE, WRITER, "\n".join(account))
    asked = [name for name, row in OPERATIONS.items() if row.by_engine and not messages.METHODS[name].streaming]
    missing = {name for name in asked if name not in HARMFUL and lacks(milvus, name)}
    named = {name for name in missing if f"the engine does not implement `{name}`" in said(remote, name)}
    # Kiteward refuses an empty name of something new itself.
    assert all(OPERATIONS[name].creates_names for name in missing - named)
    features = sorted({reason for reason in older_milvus.LACKING.values() if reason != older_milvus.NOTHING})
    older = ["It does not implement these RPCs:", "", ", ".join(f"`{name}`" for name in sorted(missing)) + "."]
    older += ["", "Tests with an SDK also need, and do not find:", "", *(f"- {each}" for each in features)]
    generated_sections.demand(PAGE, f"{WRITER}: older", "\n".join(older))


HARMFUL: Final = frozenset({"FlushAll"})
"""RPCs that do something even if their request is empty; Milvus 2.3.5 has them."""


def test_a_repeated_creation_over_rest_that_fails_keeps_the_rows_that_were_there(
    remote: RunningServer, root: MilvusClient
) -> None:
    # Milvus takes a request for an equal collection for a success, so a later step may fail on one with rows.
    wanted = {
        "collectionName": "kept",
        "schema": {
            "fields": [
                {"fieldName": "id", "dataType": "Int64", "isPrimary": True},
                {"fieldName": "vector", "dataType": "FloatVector", "elementTypeParams": {"dim": "4"}},
            ]
        },
    }

    def create(metric: str) -> int:
        index = {"fieldName": "vector", "metricType": metric, "indexName": "one"}
        answer = httpx.post(
            f"{remote.uri}/v2/vectordb/collections/create",
            json={**wanted, "indexParams": [index]},
            headers={"Authorization": f"Bearer {ROOT_TOKEN}"},
            timeout=60,
        )
        return int(answer.json()["code"])

    assert create("L2") == 0
    root.insert("kept", [{"id": 1, "vector": [0.0] * 4}])
    assert create("JACCARD") != 0
    assert root.has_collection("kept")
    assert [row["id"] for row in root.query("kept", filter="id == 1", consistency_level="Strong")] == [1]
