"""One call: when its message is read, unpacked and answered, and what ends it before."""

import asyncio
import gzip
import logging
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from urllib.parse import unquote

import pytest
from tests.support.memory import measured

from kiteward.api.grpc import protocol, unary_call
from kiteward.api.grpc.unary_call import Refusal, UnaryCall, UnreadCall
from kiteward.engine.statuses import StatusCode
from kiteward.milvus.limits import MAX_MESSAGE_BYTES
from kiteward.net.budget import Budget, ByteLimits, Claim
from kiteward.net.http2.session import Header
from kiteward.net.http2.streams import Stream

PATIENCE = 30.0
STRANGER = Refusal(StatusCode.UNAUTHENTICATED, "who are you?")


class Wire:
    """The connection of a stream, which records. Implements `streams.Owner`.

    Attributes:
        answers: the fields of each answer, its trailers included, and its body.
        admitted_up_to: the size up to which each body was accepted.
        answered: set by an answer.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.address, self.source = "192.0.2.1:4000", "192.0.2.1"
        self.answers: list[tuple[dict[str, str], bytes]] = []
        self.admitted_up_to: list[int] = []
        self.answered = asyncio.Event()

    def respond(
        self,
        stream: Stream,  # noqa: ARG002  the only one
        head: Sequence[Header],
        body: tuple[bytes, ...],
        trailers: Sequence[Header],
    ) -> None:
        fields = {name.decode(): value.decode() for name, value in (*head, *trailers)}
        self.answers.append((fields, b"".join(body)))
        self.answered.set()

    def admit(self, stream: Stream, size: int) -> None:  # noqa: ARG002  the only one
        self.admitted_up_to.append(size)


class CallHandler:
    """Answers with the message backwards, and records. Implements `exchange.CallHandler`.

    Attributes:
        done: what was asked for, in its order: "admit", and messages.
        known: cleared, it keeps callers waiting to be admitted.
        ready: cleared, it keeps messages waiting for their answers.
        cancelled: whether something was ended before its end.
        refusal: what admission ends with, or None.
        failure: what every message ends with, or None.
        budget: what its messages are counted by.
    """

    def __init__(self) -> None:
        self.budget = Budget()
        self.done: list[object] = []
        self.known, self.ready = asyncio.Event(), asyncio.Event()
        self.known.set()
        self.ready.set()
        self.cancelled = False
        self.refusal: Refusal | None = None
        self.failure: Exception | None = None

    async def admit(self) -> Claim:
        self.done.append("admit")
        await self._wait_for(self.known)
        if self.refusal is not None:
            raise self.refusal
        return self.budget.of_user("alice", "192.0.2.1")

    async def run(self, message: bytes) -> bytes:
        self.done.append(message)
        await self._wait_for(self.ready)
        if self.failure is not None:
            raise self.failure
        return message[::-1]

    async def _wait_for(self, event: asyncio.Event) -> None:
        try:
            await event.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class Caller:
    """Makes one call, and sees what comes of it."""

    def __init__(
        self, *, timeout: float | None = None, encoding: str = "identity", kind: type[UnaryCall] = UnaryCall
    ) -> None:
        self.wire, self.work = Wire(), CallHandler()
        self.stream = Stream(self.wire, 1, since=0.0)
        self.call = kind(self.stream, self.work, timeout=timeout, encoding=encoding)

    async def outcome(self) -> tuple[StatusCode, str]:
        """Return the status and the text, or the message, of the answer, of which there must be but one."""
        async with asyncio.timeout(PATIENCE):
            await self.wire.answered.wait()
        await until_idle()
        ((fields, body),) = self.wire.answers
        assert (fields[":status"], fields["content-type"]) == ("200", "application/grpc")
        code = next(code for code in StatusCode if str(code.value) == fields["grpc-status"])
        if code is not StatusCode.OK:
            assert body == b""
            return code, unquote(fields["grpc-message"])
        assert body[: protocol.PREFIX_SIZE] == protocol.prefix(body[protocol.PREFIX_SIZE :])
        return code, body[protocol.PREFIX_SIZE :].decode()

    async def refused(self) -> StatusCode:
        code, _ = await self.outcome()
        return code


async def until_idle() -> None:
    """Run the event loop until only the test can continue."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """See that no call leaves work behind."""
    yield
    await until_idle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def framed(message: bytes, *, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(message).to_bytes(4, "big") + message


# One message, in one piece or many


async def test_a_message_in_one_piece_is_answered_at_its_end_and_not_before() -> None:
    caller = Caller()
    caller.call.received(framed(b"kite"))
    await until_idle()
    assert caller.work.done == []
    caller.call.ended()
    assert await caller.outcome() == (StatusCode.OK, "etik")
    assert caller.work.done == [b"kite"]


async def test_an_empty_message_is_a_message() -> None:
    caller = Caller()
    caller.call.received(framed(b""))
    caller.call.ended()
    assert await caller.outcome() == (StatusCode.OK, "")


@pytest.mark.parametrize("size", range(1, 10))
async def test_a_message_in_pieces_is_put_together(size: int) -> None:
    caller, whole = Caller(), framed(b"kiteward")
    for position in range(0, len(whole), size):
        caller.call.received(whole[position : position + size])
        await until_idle()
    caller.call.ended()
    assert await caller.outcome() == (StatusCode.OK, "drawetik")
    assert caller.work.done == ["admit", b"kiteward"]


async def test_pieces_that_come_all_at_once_are_put_together() -> None:
    caller = Caller()
    for byte in framed(b"kiteward"):
        caller.call.received(bytes((byte,)))
    caller.call.ended()
    assert await caller.outcome() == (StatusCode.OK, "drawetik")


@pytest.mark.parametrize("came", [b"", b"\0", b"\0\0\0\0", framed(b"kite")[:-1]])
async def test_a_call_that_ends_before_its_message_is_whole_is_refused(came: bytes) -> None:
    caller = Caller()
    if came:
        caller.call.received(came)
    caller.call.ended()
    assert await caller.refused() is StatusCode.INVALID_ARGUMENT
    assert caller.work.done in ([], ["admit"])


@pytest.mark.parametrize(
    "pieces", [(framed(b"a") + framed(b"b"),), (framed(b"a"), framed(b"b")), (framed(b"a"), b"\0")]
)
async def test_a_second_message_is_refused(pieces: tuple[bytes, ...]) -> None:
    caller = Caller()
    for piece in pieces:
        caller.call.received(piece)
    assert await caller.refused() is StatusCode.INVALID_ARGUMENT
    assert caller.work.done == []


async def test_a_second_message_behind_one_in_pieces_ends_the_work() -> None:
    caller = Caller()
    caller.work.known.clear()
    caller.call.received(framed(b"kite")[:7])
    await until(lambda: caller.work.done)
    caller.call.received(framed(b"kite")[7:] + framed(b"ward"))
    assert await caller.refused() is StatusCode.INVALID_ARGUMENT
    assert caller.work.cancelled


# Authentication before the body


async def test_no_more_than_the_first_piece_is_read_before_the_sender_is_authenticated() -> None:
    caller = Caller()
    caller.work.known.clear()
    caller.call.received(framed(bytes(100_000))[:16_384])
    await until(lambda: caller.work.done)
    assert caller.wire.admitted_up_to == []
    caller.work.known.set()
    await until(lambda: caller.wire.admitted_up_to)
    assert caller.wire.admitted_up_to == [protocol.PREFIX_SIZE + 100_000]
    caller.call.lost()


async def test_an_unauthenticated_caller_is_notified_before_the_message_has_come() -> None:
    caller = Caller()
    caller.work.refusal = STRANGER
    caller.call.received(framed(bytes(100_000))[:16_384])
    assert await caller.outcome() == (StatusCode.UNAUTHENTICATED, "who are you?")
    assert caller.work.done == ["admit"]
    assert caller.wire.admitted_up_to == []


async def test_an_unauthenticated_caller_whose_message_came_meanwhile_is_notified_too() -> None:
    caller = Caller()
    caller.work.known.clear()
    caller.work.refusal = STRANGER
    caller.call.received(framed(b"kite")[:7])
    caller.call.received(framed(b"kite")[7:])
    caller.call.ended()
    caller.work.known.set()
    assert await caller.refused() is StatusCode.UNAUTHENTICATED
    assert caller.work.done == ["admit"]


async def test_nothing_is_unpacked_for_an_unauthenticated_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "decompressed", None)
    caller = Caller(encoding="gzip")
    caller.work.refusal = STRANGER
    caller.call.received(framed(gzip.compress(b"kite"), flag=1))
    caller.call.ended()
    assert await caller.refused() is StatusCode.UNAUTHENTICATED
    assert caller.work.done == ["admit"]


async def test_nobody_is_accepted_before_the_length_is_known() -> None:
    caller = Caller()
    for position in range(4):
        caller.call.received(framed(b"kite")[position : position + 1])
    await until_idle()
    assert caller.work.done == []
    caller.call.received(framed(b"kite")[4:5])
    await until(lambda: caller.wire.admitted_up_to)
    assert caller.wire.admitted_up_to == [len(framed(b"kite"))]
    caller.call.lost()


# How much is held


async def test_a_message_is_held_until_its_call_is_answered() -> None:
    caller = Caller()
    caller.work.ready.clear()
    caller.call.received(framed(bytes(100))[:50])
    caller.call.received(framed(bytes(100))[50:])
    caller.call.ended()
    await until(lambda: len(caller.work.done) == 2)
    assert caller.work.budget.authenticated.held == len(framed(bytes(100)))
    caller.work.ready.set()
    await caller.outcome()
    assert caller.work.budget.authenticated.held == 0


async def test_a_message_is_read_on_only_when_there_is_room_for_it() -> None:
    caller = Caller()
    other = caller.work.budget.of_user("alice", "192.0.2.2")
    assert other.take(caller.work.budget.limits.user - 10)
    caller.call.received(framed(bytes(100))[:50])
    await until_idle()
    assert caller.work.done == ["admit"]
    assert caller.wire.admitted_up_to == []
    other.close()
    await until(lambda: caller.wire.admitted_up_to)
    caller.call.lost()
    assert caller.work.budget.authenticated.held == 0


async def test_a_message_for_which_there_is_no_room_in_time_is_refused() -> None:
    caller = Caller()
    caller.work.budget = Budget(ByteLimits(user=100, wait=0.01))
    other = caller.work.budget.of_user("alice", "192.0.2.2")
    assert other.take(90)
    caller.call.received(framed(bytes(50))[:20])
    code, text = await caller.outcome()
    assert code is StatusCode.RESOURCE_EXHAUSTED
    assert "try again later" in text
    assert caller.wire.admitted_up_to == []


async def test_a_message_that_is_larger_than_its_sender_may_hold_is_refused_at_once() -> None:
    caller = Caller()
    caller.work.budget = Budget(ByteLimits(user=100, wait=60))
    caller.call.received(framed(bytes(200))[:20])
    assert await caller.refused() is StatusCode.RESOURCE_EXHAUSTED


async def test_what_a_message_unpacks_to_is_held_too() -> None:
    packed = gzip.compress(bytes(10_000))
    caller = Caller(encoding="gzip")
    caller.work.ready.clear()
    caller.call.received(framed(packed, flag=1))
    caller.call.ended()
    await until(lambda: len(caller.work.done) == 2)
    assert caller.work.budget.authenticated.held == 10_000
    caller.call.lost()
    assert caller.work.budget.authenticated.held == 0


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_nothing_is_unpacked_without_room_for_it(
    encoding: str, compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "decompressed", None)
    caller = Caller(encoding=encoding)
    caller.work.budget = Budget(ByteLimits(user=5_000, wait=60))
    caller.call.received(framed(compress(bytes(10_000)), flag=1))
    caller.call.ended()
    assert await caller.refused() is StatusCode.RESOURCE_EXHAUSTED
    assert caller.work.budget.authenticated.held == 0


async def test_a_message_that_tells_a_smaller_size_than_it_has_is_not_unpacked_beyond_it() -> None:
    packed = gzip.compress(bytes(10_000))[:-4] + (10).to_bytes(4, "little")
    caller = Caller(encoding="gzip")
    caller.call.received(framed(packed, flag=1))
    caller.call.ended()
    assert await caller.refused() in {StatusCode.RESOURCE_EXHAUSTED, StatusCode.INVALID_ARGUMENT}


async def test_what_is_being_unpacked_is_held_until_the_thread_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(*_: object) -> bytes:
        begun.set()
        assert go_on.wait(PATIENCE)
        return b"kite"

    monkeypatch.setattr(protocol, "decompressed", slowly)
    caller = Caller(encoding="gzip")
    caller.call.received(framed(gzip.compress(bytes(10_000)), flag=1))
    caller.call.ended()
    await until(begun.is_set)
    caller.call.lost()
    await until_idle()
    assert caller.work.budget.authenticated.held >= 10_000
    go_on.set()
    await until(lambda: not caller.work.budget.authenticated.held)


async def test_a_message_in_crumbs_takes_little_more_memory_than_it_has_bytes() -> None:
    caller = Caller()
    caller.work.known.clear()
    crumbs = bytes(2)
    with measured() as taken:
        caller.call.received(framed(bytes(60_000))[: protocol.PREFIX_SIZE])
        for _ in range(25_000):
            caller.call.received(bytes(bytearray(crumbs)))
    assert taken.bytes < 3 * 50_000
    caller.call.lost()


# How large


@pytest.mark.parametrize("pieces", [1, 5])
async def test_a_message_announced_as_too_large_is_refused_before_any_of_it(pieces: int) -> None:
    caller = Caller()
    start = b"\0" + (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big")
    for position in range(0, len(start), len(start) // pieces):
        caller.call.received(start[position : position + len(start) // pieces])
    code, text = await caller.outcome()
    assert code is StatusCode.RESOURCE_EXHAUSTED
    assert str(MAX_MESSAGE_BYTES) in text
    assert caller.work.done == []


async def test_the_largest_message_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unary_call, "MAX_MESSAGE_BYTES", 4)
    caller = Caller()
    caller.call.received(framed(b"kite"))
    caller.call.ended()
    assert await caller.outcome() == (StatusCode.OK, "etik")


# Compressed messages


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_message_is_unpacked_once_its_sender_is_authenticated(
    encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    caller = Caller(encoding=encoding)
    caller.call.received(framed(compress(b"kite"), flag=1))
    caller.call.ended()
    assert await caller.outcome() == (StatusCode.OK, "etik")
    assert caller.work.done == ["admit", b"kite"]


async def test_a_message_need_not_be_compressed_where_it_may_be() -> None:
    caller = Caller(encoding="gzip")
    caller.call.received(framed(b"kite"))
    caller.call.ended()
    assert await caller.outcome() == (StatusCode.OK, "etik")


@pytest.mark.parametrize(
    "message",
    [b"", b"kite", gzip.compress(b"kite", mtime=0)[:-1], zlib.compress(b"kite")],
    ids=["nothing", "plain", "cut short", "otherwise"],
)
async def test_a_message_that_cannot_be_unpacked_is_refused(message: bytes) -> None:
    caller = Caller(encoding="gzip")
    caller.call.received(framed(message, flag=1))
    caller.call.ended()
    assert await caller.refused() is StatusCode.INVALID_ARGUMENT
    assert caller.work.done == ["admit"]


async def test_a_bomb_is_refused_as_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unary_call, "MAX_MESSAGE_BYTES", 10_000)
    caller = Caller(encoding="gzip")
    caller.call.received(framed(gzip.compress(bytes(5_000_000)), flag=1))
    caller.call.ended()
    assert await caller.refused() is StatusCode.RESOURCE_EXHAUSTED
    assert caller.work.done == ["admit"]


@pytest.mark.parametrize(("flag", "encoding"), [(1, "identity"), (2, "gzip"), (255, "gzip"), (2, "identity")])
async def test_a_message_that_does_not_say_how_it_is_compressed_is_refused(flag: int, encoding: str) -> None:
    caller = Caller(encoding=encoding)
    caller.call.received(framed(b"kite", flag=flag))
    assert await caller.refused() is StatusCode.INVALID_ARGUMENT
    assert caller.work.done == []


# What ends a call before its answer


async def test_a_call_whose_message_does_not_come_in_time_is_answered() -> None:
    caller = Caller(timeout=0.01)
    assert await caller.refused() is StatusCode.DEADLINE_EXCEEDED
    assert caller.work.done == []


async def test_work_ends_with_the_deadline() -> None:
    caller = Caller(timeout=0.01)
    caller.work.ready.clear()
    caller.call.received(framed(b"kite"))
    caller.call.ended()
    assert await caller.refused() is StatusCode.DEADLINE_EXCEEDED
    assert caller.work.done == [b"kite"]
    assert caller.work.cancelled


async def test_admission_ends_with_the_deadline() -> None:
    caller = Caller(timeout=0.01)
    caller.work.known.clear()
    caller.call.received(framed(b"kite")[:7])
    assert await caller.refused() is StatusCode.DEADLINE_EXCEEDED
    assert caller.work.cancelled


async def test_a_call_that_was_answered_has_no_deadline_any_more() -> None:
    caller = Caller(timeout=0.05)
    caller.call.received(framed(b"kite"))
    caller.call.ended()
    assert await caller.outcome() == (StatusCode.OK, "etik")
    await asyncio.sleep(0.1)  # what must not happen cannot be awaited
    assert len(caller.wire.answers) == 1


@pytest.mark.parametrize("asked", ["known", "ready"])
async def test_work_ends_when_nobody_waits_for_it(asked: str) -> None:
    caller = Caller(timeout=60)
    getattr(caller.work, asked).clear()
    caller.call.received(framed(b"kite")[:7])
    caller.call.received(framed(b"kite")[7:])
    caller.call.ended()
    await until(lambda: len(caller.work.done) == (1 if asked == "known" else 2))
    caller.call.lost()
    await until_idle()
    assert caller.work.cancelled
    assert caller.wire.answers == []


async def test_a_message_whose_rest_never_comes_is_released_when_the_stream_is() -> None:
    caller = Caller()
    caller.call.received(framed(b"kite")[:7])
    await until(lambda: caller.wire.admitted_up_to)
    caller.call.lost()
    await until_idle()
    assert caller.work.done == ["admit"]


async def test_a_refusal_is_reported_as_it_is() -> None:
    caller = Caller()
    caller.work.failure = Refusal(StatusCode.PERMISSION_DENIED, "no 100 %: `日記`")
    caller.call.received(framed(b"kite"))
    caller.call.ended()
    assert await caller.outcome() == (StatusCode.PERMISSION_DENIED, "no 100 %: `日記`")


async def test_work_that_fails_unexpectedly_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caller = Caller()
    caller.work.failure = RuntimeError("inner detail")
    caller.call.received(framed(b"kite"))
    caller.call.ended()
    with caplog.at_level(logging.ERROR, "kiteward.grpc"):
        code, text = await caller.outcome()
    assert code is StatusCode.UNKNOWN
    assert "inner detail" not in text
    (record,) = caplog.records
    assert record.exc_info is not None


# Calls that are not read


async def test_a_call_that_is_not_read_is_answered_at_once_and_only_once() -> None:
    caller = Caller(kind=UnreadCall, timeout=60)
    caller.work.failure = Refusal(StatusCode.UNIMPLEMENTED, "not offered here")
    assert await caller.outcome() == (StatusCode.UNIMPLEMENTED, "not offered here")
    caller.call.received(framed(b"kite") + framed(b"ward"))
    caller.call.ended()
    await until_idle()
    assert caller.work.done == [b""]
    assert len(caller.wire.answers) == 1


async def test_a_call_that_is_not_read_ends_when_nobody_waits_for_it() -> None:
    caller = Caller(kind=UnreadCall)
    caller.work.ready.clear()
    await until(lambda: caller.work.done)
    caller.call.lost()
    await until_idle()
    assert caller.work.cancelled
