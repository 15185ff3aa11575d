"""Passes calls from gRPC to the servicer: reads run concurrently, mutations of one collection one after another."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.locks import NamedLocks
from kiteward.engine.embedded.operations import LockKey, LockRule, Rpc
from kiteward.engine.embedded.read_view import reading
from kiteward.engine.embedded.servicer import EngineServicer
from kiteward.engine.metadata import REQUEST_ID
from kiteward.milvus.messages import SERVICE

# Larger requests are parsed on a thread, so that a bulk insert does not stop the loop.
_PARSED_ON_LOOP_BYTES = 64 * 1024

logger = logging.getLogger(__name__)

_request: Final[ContextVar[str]] = ContextVar("request", default="")

Metadata = tuple[tuple[str, str], ...]


def current_request() -> str:
    """Return the id of the server's request that is worked on in this context, or empty."""
    return _request.get()


def _work_for(metadata: Metadata) -> None:
    """Set in this context which of the server's requests is worked on."""
    _request.set(next((value for key, value in metadata if key == REQUEST_ID), ""))


_Handler = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


class Refused(Exception):
    """A request that is answered with a gRPC status instead of a message."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


@dataclass(frozen=True, slots=True)
class Operation:
    """One RPC.

    Attributes:
        name: its name in the Milvus service.
        request_type: the generated message class.
        execute: the servicer's method.
    """

    name: str
    request_type: type[Message]
    execute: Callable[[Message, CallContext], Message]

    def parse(self, payload: bytes) -> Message:
        """Return the request message.

        Raises:
            Refused: the bytes are not such a message.
        """
        request = self.request_type()
        try:
            request.ParseFromString(payload)
        except DecodeError:
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT, f"not a readable {self.request_type.DESCRIPTOR.name}"
            ) from None
        return request

    def answer(self, request: Message, metadata: Metadata) -> bytes:
        """Execute a request and return the serialised response.

        Raises:
            Refused: the servicer does not support what is asked.
        """
        # A thread works on one call after another, so that each call sets its request.
        _work_for(metadata)
        context = CallContext(metadata)
        response = self.execute(request, context)
        if context.code is not None:
            raise Refused(context.code, context.details)
        return bytes(response.SerializeToString())


class Dispatcher(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc carries no types
    """Routes the RPCs that are served; the others are UNIMPLEMENTED."""

    def __init__(self, database: ServedDatabase, rpcs: Iterable[Rpc], *, read_threads: int, write_threads: int) -> None:
        """Prepare the threads; nothing runs before the first call.

        Args:
            database: what is served.
            rpcs: the RPCs that are served.
            read_threads: how many reads run at once.
            write_threads: how many mutations, of different collections, run at once.
        """
        self._database = database
        self._servicer = EngineServicer(database)
        self._locks: NamedLocks[LockKey] = NamedLocks()
        self._readers = ThreadPoolExecutor(read_threads, thread_name_prefix="engine-read")
        self._writers = ThreadPoolExecutor(write_threads, thread_name_prefix="engine-write")
        self._handlers = {f"/{SERVICE}/{rpc.name}": self._handler(rpc) for rpc in rpcs}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of an RPC, None if the engine lacks it."""
        return self._handlers.get(handler_call_details.method)

    def warm_up(self) -> None:
        """Start to load the collections that were loaded before the last stop, one by one, while calls are served."""
        self._readers.submit(self._load_marked)

    def drain(self) -> None:
        """Wait for work that outlived its call, such as a mutation whose caller gave up. Blocks."""
        self._writers.shutdown(wait=True)
        self._readers.shutdown(wait=True, cancel_futures=True)

    def _load_marked(self) -> None:
        for database, name in self._database.marked_loaded():
            try:
                self._database.get_collection(name, database_name=database)
            except Exception:
                logger.exception("a collection cannot be opened")

    def _handler(self, rpc: Rpc) -> grpc.RpcMethodHandler:
        operation = Operation(rpc.name, rpc.request_type, getattr(self._servicer, rpc.name))
        if rpc.locks is not None:
            answer = self._mutating(operation, rpc.locks)
        else:
            answer = self._looking(operation) if rpc.on_the_loop else self._reading(operation)

        async def handle(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
            _work_for(context.invocation_metadata())
            try:
                return await answer(payload, context)
            except Refused as refusal:
                await context.abort(refusal.code, refusal.details)
            except Exception:
                logger.exception("an RPC failed: %s", operation.name)
                await context.abort(grpc.StatusCode.INTERNAL, "the engine failed")
            raise AssertionError("unreachable: abort raises")

        return grpc.unary_unary_rpc_method_handler(handle)

    def _looking(self, operation: Operation) -> _Handler:
        async def answer(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
            return operation.answer(operation.parse(payload), context.invocation_metadata())

        return answer

    def _reading(self, operation: Operation) -> _Handler:
        def read(payload: bytes, metadata: Metadata) -> bytes:
            with reading():
                return operation.answer(operation.parse(payload), metadata)

        async def answer(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._readers, read, payload, context.invocation_metadata())

        return answer

    def _mutating(self, operation: Operation, locks: LockRule) -> _Handler:
        async def answer(payload: bytes, context: grpc.aio.ServicerContext) -> bytes:
            loop = asyncio.get_running_loop()
            metadata = context.invocation_metadata()
            if len(payload) > _PARSED_ON_LOOP_BYTES:
                request = await loop.run_in_executor(self._readers, operation.parse, payload)
            else:
                request = operation.parse(payload)
            held = await self._hold(request, metadata, locks)
            work = loop.run_in_executor(self._writers, operation.answer, request, metadata)
            # INVARIANT: the locks are released when the work is done, not when its caller gives up: a thread cannot be
            # stopped midway.
            work.add_done_callback(lambda _: self._locks.release(held))
            work.add_done_callback(_retrieve)
            return await asyncio.shield(work)

        return answer

    async def _hold(self, request: Message, metadata: Metadata, locks: LockRule) -> list[LockKey]:
        """Acquire a mutation's locks. If an alias has moved meanwhile, release them and acquire the right ones."""
        name = self._servicer.database_name(request, CallContext(metadata))
        while True:
            wanted = locks.keys(self._database, name, request)
            held = await self._locks.acquire(wanted)
            if locks.keys(self._database, name, request) == wanted:
                return held
            self._locks.release(held)


def _retrieve(work: "asyncio.Future[bytes]") -> None:
    """Retrieve the outcome, so that asyncio does not report an error that nobody waits for any more."""
    if not work.cancelled():
        work.exception()
