"""Input is cut at whole frames and whole header blocks, however it comes, and what is held back is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import http2_frames as frames
from tests.support.http2 import data, headers

from kiteward.net.http2.framing import ConnectionFault, FrameScanner, frames_in

MANY = 10**9


def scanner(header_block: int = 64 * 1024) -> FrameScanner:
    return FrameScanner(header_block=header_block)


def take(into: FrameScanner, sent: bytes, *, most: int = MANY, control: int = MANY) -> bytes:
    return bytes(into.take(sent, frames=most, control_frames=control))


def begun(stream: int, piece: bytes = b"a") -> bytes:
    """Return a HEADERS frame whose block goes on."""
    return frames.frame(frames.HEADERS, 0, stream, piece)


def more(stream: int, piece: bytes = b"a", *, end: bool = False) -> bytes:
    return frames.frame(frames.CONTINUATION, frames.END_HEADERS if end else 0, stream, piece)


kinds = st.integers(0, 8).map(lambda kind: frames.frame(kind, frames.END_HEADERS, 1, bytes(5)))
bodies = st.binary(max_size=300).map(lambda body: data(1, body))
blocks = st.lists(st.binary(max_size=40), min_size=1, max_size=7).map(
    lambda pieces: begun(1) + b"".join(more(1, piece) for piece in pieces) + more(1, end=True)
)


@given(st.lists(st.one_of(kinds, bodies, blocks), max_size=12), st.data())
def test_the_same_frames_are_taken_however_they_are_cut(units: list[bytes], drawn: st.DataObject) -> None:
    sent = b"".join(units)
    into = scanner()
    taken, at = b"", 0
    while at < len(sent):
        size = drawn.draw(st.integers(1, len(sent) - at))
        taken += take(into, sent[at : at + size])
        at += size
        assert any(taken == b"".join(units[:number]) for number in range(len(units) + 1))
        assert into.pending == at - len(taken)
    assert taken == sent


def test_a_frame_that_has_not_ended_waits() -> None:
    into = scanner()
    sent = headers(1, end=True)
    assert take(into, sent[:-1]) == b""
    assert into.pending == len(sent) - 1
    assert take(into, sent[-1:]) == sent
    assert into.pending == 0


def test_a_header_block_waits_for_its_end() -> None:
    into = scanner()
    assert take(into, data(1, b"x") + begun(3) + more(3)) == data(1, b"x")
    assert take(into, more(3, end=True)) == begun(3) + more(3) + more(3, end=True)
    assert into.header_blocks == 1


@pytest.mark.parametrize(
    "between", [data(1, b"x"), begun(5), frames.frame(0xEE, 0, 0, b""), frames.window_update(0, 1)]
)
def test_what_interrupts_a_header_block_is_for_the_session_to_refuse(between: bytes) -> None:
    sent = begun(3) + between + more(3, end=True)
    assert take(scanner(), sent).startswith(begun(3) + between)


def test_a_header_block_in_too_many_frames_is_for_the_session_to_refuse() -> None:
    sent = begun(1) + more(1) * 8
    assert take(scanner(), begun(1) + more(1) * 7) == b""
    assert take(scanner(), sent) == sent


def test_a_header_block_that_is_too_long_is_a_fault() -> None:
    into = scanner(header_block=1_000)
    assert take(into, begun(1, bytes(500))) == b""
    with pytest.raises(ConnectionFault) as refused:
        take(into, more(1, bytes(500)))
    assert refused.value.code == frames.ENHANCE_YOUR_CALM


def test_a_frame_that_is_too_large_is_not_waited_for() -> None:
    sent = frames.head(frames.FRAME_LIMIT + 1, frames.DATA, 0, 1) + b"x"
    assert take(scanner(), sent) == sent
    whole = data(1, bytes(frames.FRAME_LIMIT))
    assert take(scanner(), whole[:-1]) == b""


def test_a_turn_has_a_number_of_frames() -> None:
    into = scanner()
    units = [headers(number, end=True) for number in (1, 3, 5)]
    assert take(into, b"".join(units), most=2) == units[0] + units[1]
    assert into.waiting
    assert take(into, b"", most=2) == units[2]
    assert not into.waiting


def test_a_header_block_is_one_of_a_turn() -> None:
    into = scanner()
    block = begun(1) + more(1) * 5 + more(1, end=True)
    assert take(into, block * 2, most=1) == block
    assert into.waiting


def test_a_frame_that_has_not_ended_does_not_wait_for_a_turn() -> None:
    into = scanner()
    assert take(into, headers(1, end=True) + b"\0", most=2) == headers(1, end=True)
    assert not into.waiting


@pytest.mark.parametrize(
    ("sent", "number"),
    [
        (frames.settings({}) + frames.SETTINGS_ACK, 2),
        (frames.reset(1, 8), 1),
        (frames.frame(frames.PING, 0, 0, bytes(8)), 1),
        (frames.frame(frames.PRIORITY, 0, 1, bytes(5)), 1),
        (frames.goaway(0, 0), 1),
        (frames.frame(0xEE, 0, 0, b""), 1),
        (more(1), 1),
        (headers(1) + data(1, b"x") + frames.window_update(1, 1), 0),
    ],
)
def test_control_frames_are_counted(sent: bytes, number: int) -> None:
    into = scanner()
    take(into, sent)
    assert into.control_frames == number


def test_nothing_is_taken_behind_one_control_frame_too_many() -> None:
    into = scanner()
    ping = frames.frame(frames.PING, 0, 0, bytes(8))
    assert take(into, ping * 5, control=2) == ping * 3
    assert into.waiting
    assert into.control_frames == 3


def test_frames_with_requests_are_counted_each_time_anew() -> None:
    into = scanner()
    take(into, headers(1) + data(1, b"x") + data(1, b"", end=True))
    assert (into.header_blocks, into.data_frames) == (1, 2)
    take(into, data(1, b"x"))
    assert (into.header_blocks, into.data_frames) == (0, 1)


@pytest.mark.parametrize("priority", [(0, bytes(5)), (3, b"\0\0\0\3\0"), (3, b"\x80\0\0\3\0")])
def test_a_priority_that_no_stream_can_have_is_a_fault(priority: tuple[int, bytes]) -> None:
    stream, payload = priority
    with pytest.raises(ConnectionFault) as refused:
        take(scanner(), frames.frame(frames.PRIORITY, 0, stream, payload))
    assert refused.value.code == frames.PROTOCOL_ERROR


def test_frames_are_listed_with_type_stream_and_length() -> None:
    sent = data(1, b"xy") + frames.frame(frames.PING, 0, 0, bytes(8))
    assert list(frames_in(sent)) == [(frames.DATA, 1, 2), (frames.PING, 0, 8)]
    assert list(frames_in(memoryview(sent))) == list(frames_in(sent))
