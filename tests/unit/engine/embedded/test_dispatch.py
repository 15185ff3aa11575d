"""A read that waits for a thread ends with its caller; it is not begun afterwards."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from pymilvus.grpc_gen import milvus_pb2
from tests.unit.engine.embedded.conftest import OpenDatabase

from kiteward.engine.embedded.dispatch import Dispatcher, Operation
from kiteward.engine.embedded.operations import served_rpcs
from kiteward.engine.embedded.servicer import EngineServicer
from kiteward.gateway.operations import ENGINE_RPCS
from kiteward.milvus.messages import SERVICE


async def test_waiting_read_whose_caller_has_given_up_takes_no_thread(open_at: OpenDatabase) -> None:
    dispatcher = Dispatcher(open_at("none"), (), read_threads=1, write_threads=1)
    begun, free, read = threading.Event(), threading.Event(), []

    def execute(request: Any, _context: Any) -> Any:
        read.append(request.collection_name)
        begun.set()
        free.wait(10)
        return milvus_pb2.QueryResults()

    answer = dispatcher._reading(Operation("Query", milvus_pb2.QueryRequest, execute))
    context: Any = SimpleNamespace(invocation_metadata=lambda: ())
    reads = {
        name: asyncio.ensure_future(answer(milvus_pb2.QueryRequest(collection_name=name).SerializeToString(), context))
        for name in ("first", "given up", "last")
    }
    await asyncio.to_thread(begun.wait, 10)
    reads["given up"].cancel()
    await asyncio.wait([reads["given up"]])
    free.set()
    await asyncio.gather(reads["first"], reads["last"])
    await asyncio.to_thread(dispatcher.drain)
    assert read == ["first", "last"]


async def test_read_on_the_loop_waits_for_no_thread_and_no_lock(open_at: OpenDatabase) -> None:
    database = open_at("none")
    database.resolve_collection_name("docs")  # the aliases of a database are read once, under the lock
    rpcs = served_rpcs(EngineServicer, ENGINE_RPCS)
    dispatcher = Dispatcher(database, rpcs, read_threads=1, write_threads=1)
    free = threading.Event()
    dispatcher._readers.submit(free.wait, 10)
    context: Any = SimpleNamespace(invocation_metadata=lambda: (("dbname", "default"),))
    requests = {
        "AllocTimestamp": milvus_pb2.AllocTimestampRequest(),
        "HasCollection": milvus_pb2.HasCollectionRequest(collection_name="docs"),
    }
    assert requests.keys() == {rpc.name for rpc in rpcs if rpc.on_the_loop}
    try:
        with ThreadPoolExecutor(1) as others:
            assert others.submit(database._catalogue.acquire).result()
            for name, request in requests.items():
                handler: Any = dispatcher.service(SimpleNamespace(method=f"/{SERVICE}/{name}"))
                answer = asyncio.ensure_future(handler.unary_unary(request.SerializeToString(), context))
                done, _ = await asyncio.wait([answer], timeout=5)
                assert done, name
            others.submit(database._catalogue.release).result()
    finally:
        free.set()
        await asyncio.to_thread(dispatcher.drain)
