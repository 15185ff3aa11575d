"""The generated code without the client that it comes with."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from pymilvus import MilvusClient
from pymilvus.grpc_gen import milvus_pb2
from tests.support import server

from kiteward.milvus import generated, messages

CLIENT = {"pandas", "numpy", "grpc"}
"""Packages with libraries of their own that pymilvus' client imports."""


def of_client_in(pid: int) -> set[str]:
    """Return which packages of the client a process has loaded libraries of."""
    files = {line.split()[-1] for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()}
    return {part for file in files for part in Path(file).parts} & CLIENT


def test_modules_are_loaded_without_the_client() -> None:
    names = "pymilvus", "pandas", "numpy", "grpc"
    program = f"import sys, kiteward.milvus.messages; print([name for name in {names} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


def test_client_has_the_same_message_classes() -> None:
    assert messages.milvus_pb2 is not milvus_pb2
    for name in milvus_pb2.DESCRIPTOR.message_types_by_name:
        assert getattr(messages.milvus_pb2, name) is getattr(milvus_pb2, name)
    assert Path(generated.milvus_pb2.__file__ or "") == Path(milvus_pb2.__file__ or "")


@pytest.mark.slow
def test_serving_process_loads_the_client_only_for_requests_that_it_builds(tmp_path: Path) -> None:
    assert of_client_in(os.getpid()) == CLIENT
    with server.running(tmp_path / "data") as running:
        with closing(MilvusClient(uri=running.uri, token=server.ROOT_TOKEN)) as client:
            client.create_collection("docs", dimension=2)
            client.insert("docs", [{"id": 1, "vector": [0.0, 1.0]}])
            assert client.search("docs", [[0.0, 1.0]], limit=1)[0][0]["id"] == 1
            assert client.list_users() == ["root"]
        assert of_client_in(running.process.pid) == set()
        sent = {"collectionName": "docs", "filter": "id > 0", "outputFields": ["id"]}
        url, headers = f"{running.uri}/v2/vectordb/entities/query", {"Authorization": f"Bearer {server.ROOT_TOKEN}"}
        assert httpx.post(url, json=sent, headers=headers, timeout=30).json()["data"] == [{"id": 1}]
        assert of_client_in(running.process.pid) == CLIENT
