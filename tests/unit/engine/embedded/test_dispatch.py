"""A read that waits for a thread ends with its caller; it is not begun afterwards."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

from pymilvus.grpc_gen import milvus_pb2
from tests.unit.engine.embedded.conftest import OpenDatabase

from kiteward.engine.embedded.dispatch import Dispatcher, Operation


async def test_waiting_read_whose_caller_has_given_up_takes_no_thread(open_at: OpenDatabase) -> None:
    dispatcher = Dispatcher(open_at("none"), read_threads=1, write_threads=1)
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
