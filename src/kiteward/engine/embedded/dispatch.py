"""Passes calls to the servicer: reads run concurrently, mutations of one collection one after another."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError, Message

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.frames import Metadata
from kiteward.engine.embedded.locks import NamedLocks
from kiteward.engine.embedded.operations import LockKey, LockRule, Rpc
from kiteward.engine.embedded.read_view import reading
from kiteward.engine.embedded.server import Outcome, ServedCall
from kiteward.engine.embedded.servicer import EngineServicer
from kiteward.engine.metadata import REQUEST_ID
from kiteward.engine.statuses import StatusCode

# Larger requests are parsed on a thread, so that a bulk insert does not stop the loop.
_PARSED_ON_LOOP_BYTES = 64 * 1024

# The server's clock may be a moment behind; it takes this for the same as its own deadline.
_GIVEN_UP: Final[Outcome] = (StatusCode.DEADLINE_EXCEEDED, b"")

logger = logging.getLogger(__name__)

_request: Final[ContextVar[str]] = ContextVar("request", default="")


def current_request() -> str:
    """Return the id of the server's request that is worked on in this context, or empty."""
    return _request.get()


def _request_id(metadata: Metadata) -> str:
    """Return which of the server's requests is worked on."""
    return next((value for key, value in metadata if key == REQUEST_ID), "")


Begin = Callable[[ServedCall], None]
"""Begins the work on a call; its outcome comes later or at once."""


class Refused(Exception):
    """A request that is answered with a status instead of a message."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


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
            raise Refused(StatusCode.INVALID_ARGUMENT) from None
        return request

    def outcome(self, call: ServedCall, request: Message | None = None) -> Outcome:
        """Execute a call and return its outcome; one that was given up is not executed.

        Args:
            call: the call.
            request: its request, if it is parsed already.
        """
        # A thread works on one call after another, so that each call sets its request.
        working_for = _request.set(_request_id(call.metadata))
        try:
            if call.given_up:
                return _GIVEN_UP
            return StatusCode.OK, self._answer(self.parse(call.payload) if request is None else request, call.metadata)
        except Refused as refusal:
            return refusal.code, b""
        except Exception:
            logger.exception("an RPC failed: %s", self.name)
            return StatusCode.INTERNAL, b""
        finally:
            _request.reset(working_for)

    def _answer(self, request: Message, metadata: Metadata) -> bytes:
        """Return the serialised response.

        Raises:
            Refused: the servicer does not support what is asked.
        """
        context = CallContext(metadata)
        response = self.execute(request, context)
        if context.code is not None:
            raise Refused(context.code.value[0])
        return bytes(response.SerializeToString())


class Dispatcher:
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
        self._mutations: set[asyncio.Task[None]] = set()
        self._begin = {rpc.name: self._handler(rpc) for rpc in rpcs}

    def begin(self, call: ServedCall) -> None:
        """Begin the work on a call. It is finished when its work has ended, also if it is given up meanwhile."""
        begin = self._begin.get(call.method)
        if begin is None:
            call.finish((StatusCode.UNIMPLEMENTED, b""))
        else:
            begin(call)

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

    def _handler(self, rpc: Rpc) -> Begin:
        operation = Operation(rpc.name, rpc.request_type, getattr(self._servicer, rpc.name))
        if rpc.locks is not None:
            return self._mutating(operation, rpc.locks)
        return self._looking(operation) if rpc.on_the_loop else self._reading(operation)

    def _looking(self, operation: Operation) -> Begin:
        def begin(call: ServedCall) -> None:
            call.finish(operation.outcome(call))

        return begin

    def _reading(self, operation: Operation) -> Begin:
        def read(call: ServedCall) -> None:
            call.wait_until_read()
            with reading():
                outcome = operation.outcome(call)
            call.finish_soon(outcome)

        def begin(call: ServedCall) -> None:
            self._readers.submit(read, call)

        return begin

    def _mutating(self, operation: Operation, locks: LockRule) -> Begin:
        def begin(call: ServedCall) -> None:
            def end(mutation: "asyncio.Task[None]") -> None:
                self._mutations.discard(mutation)
                if mutation.cancelled():
                    call.finish(_GIVEN_UP)

            mutation = asyncio.get_running_loop().create_task(self._mutate(operation, locks, call))
            self._mutations.add(mutation)
            mutation.add_done_callback(end)
            call.on_give_up = mutation.cancel

        return begin

    async def _mutate(self, operation: Operation, locks: LockRule, call: ServedCall) -> None:
        """Begin a mutation once it holds its locks; until then it can be given up."""
        _request.set(_request_id(call.metadata))
        try:
            request = await self._parsed(operation, call.payload)
            held = await self._hold(request, call.metadata, locks)
        except Refused as refusal:
            call.finish((refusal.code, b""))
        except Exception:
            logger.exception("an RPC failed: %s", operation.name)
            call.finish((StatusCode.INTERNAL, b""))
        else:
            work = asyncio.get_running_loop().run_in_executor(self._writers, operation.outcome, call, request)
            # INVARIANT: the locks are released when the work is done, not when its caller gives up: a thread cannot be
            # stopped midway.
            work.add_done_callback(lambda _: self._locks.release(held))
            work.add_done_callback(lambda done: call.finish(done.result()))

    async def _parsed(self, operation: Operation, payload: bytes) -> Message:
        if len(payload) <= _PARSED_ON_LOOP_BYTES:
            return operation.parse(payload)
        return await asyncio.get_running_loop().run_in_executor(self._readers, operation.parse, payload)

    async def _hold(self, request: Message, metadata: Metadata, locks: LockRule) -> list[LockKey]:
        """Acquire a mutation's locks. If an alias has moved meanwhile, release them and acquire the right ones."""
        name = self._servicer.database_name(request, CallContext(metadata))
        while True:
            wanted = locks.keys(self._database, name, request)
            held = await self._locks.acquire(wanted)
            if locks.keys(self._database, name, request) == wanted:
                return held
            self._locks.release(held)
