import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.engine.embedded.frames import (
    LARGEST_HEAD,
    Frame,
    FrameReader,
    Kind,
    MalformedFrame,
    UnfitHead,
    answer_frame,
    call_frame,
    call_head,
    cancel_frame,
    read_head,
    refusal_frame,
)
from kiteward.milvus.limits import MAX_MESSAGE_BYTES

HEADER = struct.Struct("=BBIIQd")
NUMBERS = st.integers(1, 2**64 - 1)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)

CALLS = st.builds(
    lambda number, head, payload, deadline: (
        b"".join(call_frame(number, head, payload, deadline=deadline)),
        Frame(Kind.CALL, 0, number, deadline, head, payload),
    ),
    NUMBERS,
    st.builds(call_head, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3)),
    st.binary(max_size=300),
    st.floats(0, 1e9),
)
ANSWERS = st.builds(
    lambda number, payload: (b"".join(answer_frame(number, payload)), Frame(Kind.ANSWER, 0, number, 0, b"", payload)),
    NUMBERS,
    st.binary(max_size=300),
)
REFUSALS = st.builds(
    lambda number, code: (b"".join(refusal_frame(number, code)), Frame(Kind.ANSWER, code, number, 0, b"", b"")),
    NUMBERS,
    st.integers(1, 16),
)
CANCELLATIONS = st.builds(
    lambda number: (b"".join(cancel_frame(number)), Frame(Kind.CANCEL, 0, number, 0, b"", b"")), NUMBERS
)


@given(st.lists(CALLS | ANSWERS | REFUSALS | CANCELLATIONS, max_size=6), st.randoms(use_true_random=False))
def test_frames_come_out_as_they_were_written_however_they_are_cut(
    written: list[tuple[bytes, Frame]], cuts: random.Random
) -> None:
    rest = b"".join(data for data, _ in written)
    reader, read = FrameReader(Kind), []
    while rest:
        size = cuts.choice([1, 2, 30, 400])
        read += reader.read(rest[:size])
        rest = rest[size:]
    assert read == [frame for _, frame in written]


@given(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=4))
def test_head_holds_method_and_metadata(method: str, metadata: dict[str, str]) -> None:
    assert read_head(call_head(method, metadata)) == (method, tuple(metadata.items()))


def test_call_without_metadata_has_none() -> None:
    assert read_head(call_head("Search", {})) == ("Search", ())


@pytest.mark.parametrize("value", ["a\0b", "é", "x" * LARGEST_HEAD])
def test_metadata_that_no_head_can_carry_is_refused(value: str) -> None:
    with pytest.raises(UnfitHead):
        call_head("Search", {"dbname": value})


@pytest.mark.parametrize("head", [b"Search\0dbname", b"Search\0dbname\0\xff"])
def test_head_that_is_not_method_and_pairs_is_malformed(head: bytes) -> None:
    with pytest.raises(MalformedFrame):
        read_head(head)


@pytest.mark.parametrize(
    "header",
    [
        HEADER.pack(9, 0, 0, 0, 1, 0),
        HEADER.pack(Kind.ANSWER, 0, 0, 0, 1, 0),
        HEADER.pack(Kind.CALL, 0, LARGEST_HEAD + 1, 0, 1, 0),
        HEADER.pack(Kind.CALL, 0, 0, MAX_MESSAGE_BYTES + 1, 1, 0),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n    ",
    ],
    ids=["unknown kind", "kind of the other end", "head too large", "payload too large", "another protocol"],
)
def test_other_bytes_are_malformed_as_soon_as_their_header_is_read(header: bytes) -> None:
    with pytest.raises(MalformedFrame):
        FrameReader([Kind.CALL, Kind.CANCEL]).read(header)


def test_payload_of_one_piece_is_not_copied_into_the_frame() -> None:
    payload = bytes(1024)
    assert call_frame(1, call_head("Insert", {}), payload, deadline=0)[-1] is payload
    assert answer_frame(1, payload)[-1] is payload
