"""The program in Go that stands at both ends; the first test has it built, which takes a while."""

import asyncio
import json
from pathlib import Path

import grpc.aio
import pytest
from benchmarks import cluster_answers, peer_program
from benchmarks.frames import authorization
from benchmarks.load import Unchecked
from benchmarks.peer_program import Ends, Size
from benchmarks.peers import Peer
from tests.support import toolchains

pytestmark = pytest.mark.slow

SIZE = Size(2, 3, calls=50)


@pytest.fixture(scope="module")
def program() -> str:
    toolchains.installed("go", package="golang-go")
    return peer_program.built()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return cluster_answers.write(tmp_path / "recorded.json")


def test_every_call_is_made_and_timed(program: str, recorded: Path, tmp_path: Path) -> None:
    ends = Ends(program, recorded)
    with ends.upstream(tmp_path / "upstream") as upstream:
        loaded = ends.load(upstream, SIZE)
        both = ends.load_all([upstream, upstream], SIZE)
    assert loaded.calls == 50
    assert loaded.rate > 0
    assert 0 < loaded.p50 <= loaded.p99
    assert [each.calls for each in both] == [50, 50]


def test_wrong_answer_is_an_error(program: str, recorded: Path, tmp_path: Path) -> None:
    other = json.loads(recorded.read_text())
    other["answers"]["Search"] = other["answers"]["ShowCollections"]
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(other))
    with Ends(program, changed).upstream(tmp_path / "upstream") as upstream, pytest.raises(Unchecked, match="wrong"):
        Ends(program, recorded).load(upstream, SIZE)


def test_call_that_fails_is_an_error_with_its_reason(program: str, recorded: Path, tmp_path: Path) -> None:
    less = json.loads(recorded.read_text())
    less["method"] = "ShowCollections"
    del less["answers"]["Search"]
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(less))
    with Ends(program, changed).upstream(tmp_path / "upstream") as upstream, pytest.raises(Unchecked, match="Unimplem"):
        Ends(program, recorded).load(upstream, SIZE)


def test_server_that_is_not_there_is_an_error(program: str, recorded: Path) -> None:
    with pytest.raises(Unchecked, match="nobody"):
        Ends(program, recorded).load(Peer("nobody", "not an address"), SIZE)


async def test_heads_are_those_of_pymilvus_and_differ_from_call_to_call(program: str, recorded: Path) -> None:
    heads: list[dict[str, str | bytes]] = []

    class Noting(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc carries no types
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            heads.append(dict(handler_call_details.invocation_metadata))
            return grpc.unary_unary_rpc_method_handler(answer)

    async def answer(_request: bytes, _context: object) -> bytes:
        return cluster_answers.answers()["Search"]

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Noting(),))
    peer = Peer("noting", f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", token="reader:Kite-ward-1")
    await server.start()
    try:
        await asyncio.to_thread(Ends(program, recorded).load, peer, SIZE)
    finally:
        await server.stop(None)
    assert {head["authorization"] for head in heads} == {authorization(peer.token)}
    assert {head["dbname"] for head in heads} == {"default"}
    assert len({head["client-request-id"] for head in heads}) == SIZE.calls
    assert all(int(head["client-request-unixmsec"]) > 1_700_000_000_000 for head in heads)
