"""Reads and mutations wait for threads and locks, begin, and end whether or not their caller still waits."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from pymilvus.grpc_gen import milvus_pb2
from tests.unit.engine.embedded import lite
from tests.unit.engine.embedded.conftest import OpenDatabase
from tests.unit.engine.samples import until

from kiteward.domain.errors import EngineDeadlineExceeded, EngineLacksOperation, EngineRejected
from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.client import EngineConnection
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.dispatch import Dispatcher, current_request
from kiteward.engine.embedded.operations import Rpc, served_rpcs
from kiteward.engine.embedded.server import EngineServer
from kiteward.engine.embedded.servicer import EngineServicer
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS

Execute = Callable[[Any, CallContext], Message]


@dataclass(frozen=True, slots=True)
class Running:
    """A dispatcher behind its socket, with one thread of each kind.

    Attributes:
        replace: puts another method in the place of one of the servicer.
    """

    database: ServedDatabase
    rpcs: Mapping[str, Rpc]
    dispatcher: Dispatcher
    connection: EngineConnection
    replace: Callable[[str, Execute], None]

    def call(
        self, method: str, request: Message, *, timeout: float | None = 10, **metadata: str
    ) -> "asyncio.Task[bytes]":
        """Call an RPC."""
        carried = {key.replace("_", "-"): value for key, value in metadata.items()}
        return asyncio.create_task(
            self.connection.call(method, request.SerializeToString(), metadata=carried, timeout=timeout)
        )


@pytest.fixture
async def running(open_at: OpenDatabase, tmp_path: Path) -> AsyncIterator[Running]:
    database = open_at("none")
    rpcs = {rpc.name: rpc for rpc in served_rpcs(EngineServicer, ENGINE_RPCS)}
    dispatcher = Dispatcher(database, rpcs.values(), read_threads=1, write_threads=1)

    def replace(name: str, execute: Execute) -> None:
        setattr(dispatcher._servicer, name, execute)
        dispatcher._begin[name] = dispatcher._handler(rpcs[name])

    server = await EngineServer.listen(str(tmp_path / "s"), dispatcher.begin)
    connection = await EngineConnection.open(tmp_path / "s")
    yield Running(database, rpcs, dispatcher, connection, replace)
    connection.close()
    await server.stop(0)
    await asyncio.to_thread(dispatcher.drain)


class Gate:
    """A method that notes what it is asked, and waits until it is freed."""

    def __init__(self, response: Message) -> None:
        self._response = response
        self._begun = threading.Event()
        self.free = threading.Event()
        self.asked: list[str] = []

    def __call__(self, request: Any, _context: CallContext) -> Message:
        self.asked.append(request.collection_name)
        self._begun.set()
        self.free.wait(10)
        return self._response

    async def begun(self) -> None:
        """Wait until the first call is worked on."""
        await asyncio.to_thread(self._begun.wait, 10)


def query(name: str) -> milvus_pb2.QueryRequest:
    return milvus_pb2.QueryRequest(collection_name=name)


def delete(name: str) -> milvus_pb2.DeleteRequest:
    return milvus_pb2.DeleteRequest(collection_name=name)


async def test_waiting_read_whose_caller_has_given_up_is_not_begun(running: Running) -> None:
    gate = Gate(milvus_pb2.QueryResults())
    running.replace("Query", gate)
    reads = {name: running.call("Query", query(name)) for name in ("first", "given up", "last")}
    await gate.begun()
    reads["given up"].cancel()
    with pytest.raises(EngineDeadlineExceeded):
        await running.call("Query", query("too late"), timeout=0.05)
    gate.free.set()
    await asyncio.gather(reads["first"], reads["last"])
    assert gate.asked == ["first", "last"]


async def test_read_on_the_loop_waits_for_no_thread_and_no_lock(running: Running) -> None:
    database = running.database
    database.resolve_collection_name("docs")  # the aliases of a database are read once, under the lock
    free = threading.Event()
    running.dispatcher._readers.submit(free.wait, 10)
    requests = {
        "AllocTimestamp": milvus_pb2.AllocTimestampRequest(),
        "HasCollection": milvus_pb2.HasCollectionRequest(collection_name="docs"),
    }
    assert requests.keys() == {rpc.name for rpc in running.rpcs.values() if rpc.on_the_loop}
    try:
        with ThreadPoolExecutor(1) as others:
            assert others.submit(database._catalogue.acquire).result()
            for name, request in requests.items():
                done, _ = await asyncio.wait([running.call(name, request, dbname="default")], timeout=5)
                assert done, name
            others.submit(database._catalogue.release).result()
    finally:
        free.set()


async def test_abandoned_mutation_keeps_its_lock_and_ends_while_one_that_waits_for_it_is_not_begun(
    running: Running,
) -> None:
    running.database.create_collection("docs", lite.schema())
    gate = Gate(milvus_pb2.MutationResult())
    running.replace("Delete", gate)
    abandoned = running.call("Delete", delete("docs"))
    await gate.begun()
    abandoned.cancel()
    waiting, given_up = running.call("Delete", delete("docs")), running.call("Delete", delete("docs"))
    elsewhere = running.call("Delete", delete("more"))
    locks = running.dispatcher._locks
    await until(lambda: locks._users.get(("default", "docs")) == 3)
    given_up.cancel()
    await until(lambda: locks._users.get(("default", "docs")) == 2)
    assert gate.asked == ["docs"]
    gate.free.set()
    await asyncio.gather(waiting, elsewhere)
    assert sorted(gate.asked) == ["docs", "docs", "more"]
    await until(lambda: len(locks) == 0)


async def test_mutation_given_up_before_its_first_step_leaves_no_lock(running: Running) -> None:
    running.replace("Delete", lambda _request, _context: milvus_pb2.MutationResult())
    for _ in range(20):
        given_up = running.call("Delete", delete("docs"))
        await asyncio.sleep(0)
        given_up.cancel()
    await running.call("Delete", delete("docs"))
    await until(lambda: len(running.dispatcher._locks) == 0 and not running.dispatcher._mutations)


@pytest.mark.parametrize("method", ["Query", "Delete", "HasCollection"])
async def test_request_that_is_no_message_is_refused(running: Running, method: str) -> None:
    with pytest.raises(EngineRejected, match="cannot read"):
        await running.connection.call(method, b"\xff\xff", metadata={}, timeout=10)


async def test_rpc_that_is_not_there_is_named(running: Running) -> None:
    for method in ("CreateCredential", "LoadPartitions"):
        with pytest.raises(EngineLacksOperation, match=method):
            await running.connection.call(method, b"", metadata={}, timeout=10)


@pytest.mark.parametrize("method", ["Query", "Delete", "HasCollection"])
async def test_failure_of_the_servicer_is_logged_with_its_request_and_answered(
    running: Running, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    requests = []

    def fail(_request: Any, _context: CallContext) -> Message:
        requests.append(current_request())
        raise ZeroDivisionError

    caplog.set_level(logging.ERROR)
    running.replace(method, fail)
    with pytest.raises(EngineRejected, match="failed to execute"):
        await running.call(method, query("docs"), kiteward_request_id="r-1")
    assert requests == ["r-1"]
    assert f"an RPC failed: {method}" in caplog.text
    assert current_request() == ""
