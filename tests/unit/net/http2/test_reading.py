"""Frames come out as they were sent, however they were cut, and bytes that are not a frame end the connection."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from kiteward.net.http2 import frames
from kiteward.net.http2.frames import ConnectionFault
from kiteward.net.http2.reading import FrameReader, require_priority, unpadded

BLOCK_LIMIT = 1_000
SETTINGS = frames.settings({})


@dataclass(frozen=True)
class Taken:
    kind: int
    stream: int
    flags: int
    payload: bytes


def reader(*, greeted: bool = True) -> tuple[FrameReader, list[Taken]]:
    """Return a reader, and where its frames go."""
    taken: list[Taken] = []
    made = FrameReader(lambda *frame: taken.append(Taken(*frame)), block_limit=BLOCK_LIMIT)
    if greeted:
        made.feed(SETTINGS)
        taken.clear()
    return made, taken


def read(data: bytes) -> list[Taken]:
    made, taken = reader()
    made.feed(data)
    return taken


def fault(data: bytes, *, greeted: bool = True) -> int:
    """Return the code of the error that these bytes are."""
    made, taken = reader(greeted=greeted)
    with pytest.raises(ConnectionFault) as raised:
        made.feed(data)
    assert not taken
    return raised.value.code


# However they are cut

bodies = st.binary(max_size=60)
streams = st.integers(1, 9)


def _headers(stream: int, pieces: list[bytes], padding: int, *, priority: bool) -> bytes:
    first = HeadersFrame(stream, data=pieces[0], pad_length=padding, flags=["END_STREAM"])
    if padding:
        first.flags.add("PADDED")
    if priority:
        first.flags.add("PRIORITY")
        first.depends_on, first.stream_weight = stream + 2, 7
    written: list[HeadersFrame | ContinuationFrame] = [first]
    written += [ContinuationFrame(stream, data=piece) for piece in pieces[1:]]
    written[-1].flags.add("END_HEADERS")
    return b"".join(frame.serialize() for frame in written)


pieces_of_sections = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5)
sections = st.builds(_headers, streams, pieces_of_sections, st.integers(0, 20), priority=st.booleans())
others = st.one_of(
    st.builds(lambda stream, data: DataFrame(stream, data=data), streams, bodies),
    st.builds(
        lambda stream, data, size: DataFrame(stream, data=data, pad_length=size, flags=["PADDED"]),
        streams,
        bodies,
        st.integers(0, 255),
    ),
    st.builds(lambda data: PingFrame(0, opaque_data=data), st.binary(min_size=8, max_size=8)),
    st.builds(
        lambda stream, amount: WindowUpdateFrame(stream, window_increment=amount), streams, st.integers(1, 2**31 - 1)
    ),
    st.builds(lambda stream: RstStreamFrame(stream, error_code=8), streams),
    st.builds(lambda stream: PriorityFrame(stream, depends_on=0), streams),
    st.builds(lambda size: SettingsFrame(0, settings={4: size}), st.integers(0, 2**31 - 1)),
).map(Frame.serialize)
unknown = st.builds(lambda kind, data: frames.frame(kind, 0xFF, 1, data), st.integers(10, 255), bodies)


@given(st.lists(sections | others | unknown, max_size=8), st.data())
def test_frames_are_the_same_however_they_are_cut(written: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(written)
    expected = read(whole)
    assert len(expected) == len(written)
    made, taken = reader()
    position = 0
    for cut in sorted({*data.draw(st.lists(st.integers(0, len(whole)), max_size=20)), len(whole)}):
        before = len(taken)
        ended = made.feed(whole[position:cut])
        assert ended or len(taken) == before
        position = cut
    assert taken == expected
    assert not made.halfway


def test_one_byte_after_another_makes_the_same_frames() -> None:
    whole = _headers(1, [b"a" * 9, b"b" * 9], 3, priority=True) + DataFrame(1, data=b"body").serialize()
    made, taken = reader()
    for number in range(len(whole)):
        made.feed(whole[number : number + 1])
    assert taken == read(whole)


def test_a_frame_is_taken_with_its_type_stream_flags_and_payload() -> None:
    assert read(frames.frame(0xBE, 0x5A, 77, b"payload")) == [Taken(0xBE, 77, 0x5A, b"payload")]


def test_the_reserved_bit_of_a_stream_is_nothing() -> None:
    assert read(frames.frame(frames.DATA, 0, 2**31 + 5, b"x")) == [Taken(frames.DATA, 5, 0, b"x")]


@pytest.mark.parametrize("size", [0, 1, frames.FRAME_LIMIT])
def test_a_frame_may_be_as_large_as_every_end_takes(size: int) -> None:
    assert len(read(frames.frame(frames.DATA, 0, 1, b"x" * size))[0].payload) == size


def test_a_larger_frame_is_refused_before_it_has_come() -> None:
    assert fault(frames.head(frames.FRAME_LIMIT + 1, frames.DATA, 0, 1)) == frames.FRAME_SIZE_ERROR


# The first frame


@pytest.mark.parametrize(
    "first",
    [
        frames.SETTINGS_ACK,
        PingFrame(0).serialize(),
        _headers(1, [b"x"], 0, priority=False),
        frames.frame(99, 0, 0, b""),
    ],
)
def test_the_first_frame_must_be_settings(first: bytes) -> None:
    assert fault(first, greeted=False) == frames.PROTOCOL_ERROR


def test_a_client_has_greeted_with_its_first_settings() -> None:
    made, taken = reader(greeted=False)
    greeted = []
    for part in (SETTINGS[:-1], SETTINGS[-1:]):
        greeted.append(made.greeted)
        made.feed(part)
    assert [*greeted, made.greeted] == [False, False, True]
    assert [frame.kind for frame in taken] == [frames.SETTINGS]


# Field sections


def test_a_section_in_pieces_is_taken_whole() -> None:
    taken = read(_headers(3, [b"one ", b"two ", b"three"], 0, priority=False))
    assert [(frame.kind, frame.stream, frame.payload) for frame in taken] == [(frames.HEADERS, 3, b"one two three")]
    assert taken[0].flags & frames.END_STREAM


def test_padding_and_priority_are_not_of_the_section() -> None:
    assert read(_headers(3, [b"one ", b"two"], 9, priority=True))[0].payload == b"one two"


BEGUN = HeadersFrame(1, data=b"begun").serialize()


@pytest.mark.parametrize(
    "interruption",
    [
        ContinuationFrame(3, data=b"x", flags=["END_HEADERS"]).serialize(),
        DataFrame(1, data=b"x").serialize(),
        HeadersFrame(3, data=b"x", flags=["END_HEADERS"]).serialize(),
        PingFrame(0).serialize(),
        SETTINGS,
        frames.frame(99, 0, 1, b""),
    ],
)
def test_nothing_may_come_between_the_pieces_of_a_section(interruption: bytes) -> None:
    assert fault(BEGUN + interruption) == frames.PROTOCOL_ERROR


def test_a_piece_of_a_section_that_has_not_begun_is_refused() -> None:
    piece = ContinuationFrame(1, data=b"x", flags=["END_HEADERS"]).serialize()
    assert fault(piece) == frames.PROTOCOL_ERROR
    made, _ = reader()
    made.feed(_headers(1, [b"a", b"b"], 0, priority=False))
    with pytest.raises(ConnectionFault):
        made.feed(piece)


def test_a_section_without_end_is_refused() -> None:
    made, taken = reader()
    made.feed(HeadersFrame(1, data=b"x" * BLOCK_LIMIT).serialize())
    with pytest.raises(ConnectionFault) as refused:
        made.feed(ContinuationFrame(1, data=b"x").serialize())
    assert refused.value.code == frames.ENHANCE_YOUR_CALM
    assert not taken


def test_an_empty_piece_that_does_not_end_a_section_is_refused() -> None:
    assert fault(BEGUN + ContinuationFrame(1).serialize()) == frames.ENHANCE_YOUR_CALM


def test_an_empty_piece_may_end_a_section() -> None:
    assert read(BEGUN + ContinuationFrame(1, flags=["END_HEADERS"]).serialize())[0].payload == b"begun"


# What has begun and not ended


def test_a_reader_knows_whether_something_has_begun() -> None:
    made, _ = reader()
    halfway = [made.halfway]
    # The second ends the frame, and not its section.
    for part in (BEGUN[:3], BEGUN[3:], ContinuationFrame(1, flags=["END_HEADERS"]).serialize()):
        made.feed(part)
        halfway.append(made.halfway)
    assert halfway == [False, True, True, False]


# Padding and priorities


@pytest.mark.parametrize(
    ("payload", "expected"), [(b"\x00", b""), (b"\x00abc", b"abc"), (b"\x02abc\0\0", b"abc"), (b"\x03\0\0\0", b"")]
)
def test_padding_is_taken_off(payload: bytes, expected: bytes) -> None:
    assert unpadded(frames.PADDED, payload) == expected


def test_what_is_not_padded_is_taken_as_it_is() -> None:
    assert unpadded(0xFF & ~frames.PADDED, b"\x02abc") == b"\x02abc"


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x04abc", b"\xff" + b"a" * 254])
def test_more_padding_than_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(ConnectionFault) as refused:
        unpadded(frames.PADDED, payload)
    assert refused.value.code == frames.PROTOCOL_ERROR
    flags = frames.PADDED | frames.END_HEADERS
    assert fault(frames.frame(frames.HEADERS, flags, 1, payload)) == frames.PROTOCOL_ERROR


def _on_itself(exclusive: int) -> bytes:
    return frames.NUMBER.pack(exclusive << 31 | 5) + b"\x10"


@pytest.mark.parametrize(
    ("priority", "code"),
    [
        (b"", frames.FRAME_SIZE_ERROR),
        (b"\0" * 4, frames.FRAME_SIZE_ERROR),
        (b"\0" * 6, frames.FRAME_SIZE_ERROR),
        (_on_itself(0), frames.PROTOCOL_ERROR),
        (_on_itself(1), frames.PROTOCOL_ERROR),
    ],
)
def test_a_priority_that_a_stream_cannot_have_is_refused(priority: bytes, code: int) -> None:
    refuse: list[Callable[[], object]] = [lambda: require_priority(5, priority)]
    if len(priority) <= 5:
        flags = frames.WITH_PRIORITY | frames.END_HEADERS
        refuse.append(lambda: read(frames.frame(frames.HEADERS, flags, 5, priority)))
    for refused in refuse:
        with pytest.raises(ConnectionFault) as raised:
            refused()
        assert raised.value.code == code


def test_a_priority_that_depends_on_another_stream_is_taken() -> None:
    require_priority(3, _on_itself(1))
