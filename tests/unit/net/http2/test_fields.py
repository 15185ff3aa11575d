"""Field sections are read as the library reads them, and only a well-formed request makes a head."""

import hpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kiteward.net.http2.fields import (
    FORGET_TABLE,
    Field,
    FieldDecoder,
    Head,
    encoded,
    require_well_formed,
)
from kiteward.net.http2.frames import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    PROTOCOL_ERROR,
    ConnectionFault,
    StreamFault,
)

NO_LIMIT = 2**30
OVERHEAD = 32

REQUEST: list[Field] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/a.Service/Method"),
    (":authority", "kiteward"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


def theirs(decoder: hpack.Decoder, block: bytes) -> list[Field]:
    """Return what the library alone reads."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in decoder.decode(block, raw=True)]


def library_decoder() -> hpack.Decoder:
    return hpack.Decoder(max_header_list_size=NO_LIMIT)


def head_of(fields: list[Field]) -> Head:
    return FieldDecoder(NO_LIMIT).head(encoded(fields))


# Reading

texts = st.binary(max_size=40) | st.sampled_from([b"", b":path", b"authorization", b"x" * 130, b"y" * 5000])
fields_of_a_section = st.lists(st.tuples(texts, texts, st.booleans()), max_size=8)
"""Name, value, and whether no table may remember it."""

sections = st.lists(
    st.tuples(
        fields_of_a_section,
        st.booleans(),
        st.none() | st.sampled_from([0, 31, 32, 100, 1_000, 4_096]),
    ),
    max_size=8,
)
"""For each: its fields, whether they are Huffman coded, and a new size of the table."""


@given(sections)
def test_sections_of_one_connection_are_read_as_they_were_written(
    written: list[tuple[list[tuple[bytes, bytes, bool]], bool, int | None]],
) -> None:
    encoder, decoder = hpack.Encoder(), FieldDecoder(NO_LIMIT)
    for fields, huffman, table in written:
        if table is not None:
            encoder.header_table_size = table
        block = encoder.encode(fields, huffman=huffman)
        expected = [(name.decode("latin-1"), value.decode("latin-1")) for name, value, _ in fields]
        assert decoder.fields(block) == expected


@st.composite
def damaged(draw: st.DrawFn) -> list[bytes]:
    """Return sections as an encoder writes them, some of whose bytes are others."""
    encoder = hpack.Encoder()
    blocks = []
    for fields, huffman, table in draw(sections):
        if table is not None:
            encoder.header_table_size = table
        block = bytearray(encoder.encode(fields, huffman=huffman))
        for _ in range(draw(st.integers(0, 2)) if block else 0):
            block[draw(st.integers(0, len(block) - 1))] = draw(st.integers(0, 255))
        blocks.append(bytes(block[: draw(st.integers(0, len(block)))] if draw(st.booleans()) else block))
    return blocks


@given(st.lists(st.binary(max_size=60), max_size=6) | damaged())
@example([b"\x80"])  # entry 0
@example([b"\xbe"])  # an entry of an empty table
@example([b"\x82\x20"])  # a change of the table behind a field
@example([b"\x20\x3f\xe1\x1f", b"\x3f\xe2\x1f"])  # the table as large as was offered, and larger
@example([b"\x00\x85\xff\xff\xff\xff\xff\x00"])  # Huffman's end of text
@example([b"\x00\x81\x00\x00"])  # Huffman padding that is not all ones
@example([b"\x7f\x80\x00\x01a", b"\x40\x7f\x80\x80\x80\x00"])  # numbers longer than they need be
def test_whatever_bytes_come_are_read_or_are_a_fault_of_the_connection(blocks: list[bytes]) -> None:
    decoder = FieldDecoder(NO_LIMIT)
    for block in blocks:
        try:
            decoder.fields(block)
        except ConnectionFault as fault:
            assert fault.code == COMPRESSION_ERROR
            return


def test_what_cannot_be_read_says_nothing_of_what_it_was() -> None:
    with pytest.raises(ConnectionFault) as refused:
        FieldDecoder(NO_LIMIT).fields(b"\x00\x01a\x09hunter2")
    assert "hunter2" not in str(refused.value)


# How much is read


def test_the_head_of_a_request_beyond_the_limit_says_so() -> None:
    fields = [*REQUEST, ("a", "b" * 1_000)]
    head = FieldDecoder(1_000).head(encoded(fields))
    assert head.too_large
    assert not FieldDecoder(2_000).head(encoded(fields)).too_large


@pytest.mark.parametrize("references", [20, 60_000])
def test_a_section_of_nothing_but_references_to_a_large_field_is_the_end(references: int) -> None:
    decoder = FieldDecoder(16_384)
    with pytest.raises(ConnectionFault) as refused:
        decoder.fields(b"\x40\x01a\x7f\x81\x1e" + b"b" * 3_968 + b"\xbe" * references)
    assert refused.value.code == ENHANCE_YOUR_CALM


# Heads


def test_a_request_has_its_method_its_path_and_its_other_fields_in_their_order() -> None:
    head = head_of([*REQUEST, ("b", "1"), ("a", "2"), ("b", ""), ("content-length", "12")])
    assert (head.method, head.path, head.length, head.too_large) == ("POST", "/a.Service/Method", 12, False)
    assert head.fields == (*REQUEST[4:], ("b", "1"), ("a", "2"), ("b", ""), ("content-length", "12"))


@pytest.mark.parametrize("value", ["", " ", " a", "a\t", "a  b"])
def test_space_in_a_value_is_kept_for_whoever_reads_it(value: str) -> None:
    assert head_of([*REQUEST, ("a", value)]).fields[-1] == ("a", value)


def test_bytes_beyond_ascii_in_a_value_are_kept() -> None:
    assert head_of([*REQUEST, ("a", "\xff\x80 \t!")]).fields[-1] == ("a", "\xff\x80 \t!")


@pytest.mark.parametrize("lengths", [("7",), ("7", "7"), ("0",), ("9" * 15,)])
def test_an_announced_length_may_be_said_twice_if_it_is_the_same(lengths: tuple[str, ...]) -> None:
    head = head_of([*REQUEST, *(("content-length", length) for length in lengths)])
    assert head.length == int(lengths[0])


def without(name: str) -> list[Field]:
    return [field for field in REQUEST if field[0] != name]


def having(name: str, value: str) -> list[Field]:
    return [(name, value) if field[0] == name else field for field in REQUEST]


MALFORMED: dict[str, list[Field]] = {
    "no field at all": [],
    "an empty name": [*REQUEST, ("", "a")],
    "a capital": [*REQUEST, ("Authorization", "a")],
    "a space in a name": [*REQUEST, ("a b", "c")],
    "a line break behind a name": [*REQUEST, ("a\n", "b")],
    "a line break in a name": [*REQUEST, ("a\nb", "c")],
    "NUL in a name": [*REQUEST, ("a\0", "b")],
    "a colon in a name": [*REQUEST, ("a:b", "c")],
    "a name beyond ascii": [*REQUEST, ("\xe4", "b")],
    "DEL in a name": [*REQUEST, ("a\x7f", "b")],
    "NUL in a value": [*REQUEST, ("a", "b\0c")],
    "CR in a value": [*REQUEST, ("a", "b\rc")],
    "LF in a value": [*REQUEST, ("a", "b\nc")],
    "LF behind a value": [*REQUEST, ("a", "b\n")],
    "a value of LF": [*REQUEST, ("a", "\n")],
    "LF in one value for the lack of another": [*REQUEST, ("a", "b\nc"), ("d", "")],
    "ESC in a value": [*REQUEST, ("a", "b\x1b[31mc")],
    "DEL in a value": [*REQUEST, ("a", "b\x7f")],
    "LF in a path": having(":path", "/a\nb"),
    "a pseudo-header field of answers": [(":status", "200"), *REQUEST],
    "a pseudo-header field that nobody knows": [(":secret", "a"), *REQUEST],
    "a pseudo-header field without a name": [(":", "a"), *REQUEST],
    "a pseudo-header field behind others": [*without(":authority"), (":authority", "kiteward")],
    "a pseudo-header field twice": [(":path", "/b"), *REQUEST],
    "a pseudo-header field twice the same": [(":path", "/a.Service/Method"), *REQUEST],
    "no method": without(":method"),
    "no scheme": without(":scheme"),
    "no path": without(":path"),
    "an empty method": having(":method", ""),
    "an empty scheme": having(":scheme", ""),
    "an empty path": having(":path", ""),
    "CONNECT, which has neither scheme nor path": [(":method", "CONNECT"), (":authority", "kiteward:1")],
    "connection": [*REQUEST, ("connection", "close")],
    "proxy-connection": [*REQUEST, ("proxy-connection", "close")],
    "keep-alive": [*REQUEST, ("keep-alive", "1")],
    "transfer-encoding": [*REQUEST, ("transfer-encoding", "chunked")],
    "upgrade": [*REQUEST, ("upgrade", "websocket")],
    "te of something else": having("te", "gzip"),
    "te of more": having("te", "trailers, gzip"),
    "te twice": [*REQUEST, ("te", "deflate")],
    "two lengths": [*REQUEST, ("content-length", "1"), ("content-length", "2")],
    "two lengths in one": [*REQUEST, ("content-length", "1, 1")],
    "a length below nothing": [*REQUEST, ("content-length", "-1")],
    "a length with a sign": [*REQUEST, ("content-length", "+1")],
    "an empty length": [*REQUEST, ("content-length", "")],
    "a length in other digits": [*REQUEST, ("content-length", "\xb2")],
    "an endless length": [*REQUEST, ("content-length", "1" * 5_000)],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_refused(fields: list[Field]) -> None:
    for huffman in (False, True):
        block = hpack.Encoder().encode([(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields])
        for attempt in (encoded(fields), block):
            with pytest.raises(StreamFault) as refused:
                FieldDecoder(NO_LIMIT).head(attempt)
            assert refused.value.code == PROTOCOL_ERROR, huffman


MALFORMED_TRAILERS: dict[str, list[Field]] = {
    "a pseudo-header field": [("a", "b"), (":path", "/")],
    "a capital": [("A", "b")],
    "an empty name": [("", "b")],
    "a line break": [("a", "b\nc")],
    "NUL": [("a", "\0")],
    "a field of the connection": [("transfer-encoding", "chunked")],
}


@pytest.mark.parametrize("fields", MALFORMED_TRAILERS.values(), ids=MALFORMED_TRAILERS.keys())
def test_malformed_trailers_are_refused(fields: list[Field]) -> None:
    with pytest.raises(StreamFault) as refused:
        require_well_formed(fields)
    assert refused.value.code == PROTOCOL_ERROR


@pytest.mark.parametrize("fields", [[], [("a", "")], [("grpc-status", "0"), ("x-checksum", "a b")]])
def test_well_formed_trailers_are_taken(fields: list[Field]) -> None:
    require_well_formed(fields)


def test_the_representation_of_a_head_shows_no_value() -> None:
    head = head_of([*REQUEST, ("authorization", "cm9vdDpNaWx2dXM=")])
    head.kept = "cm9vdDpNaWx2dXM="
    assert "cm9vdDpNaWx2dXM=" not in repr(head)
    assert "kiteward" not in repr(head)


# Heads that are remembered

_START = b"\x83\x86\x84"
"""`:method: POST`, `:scheme: http`, `:path: /`, all of the table that never changes."""

_PIECES = [
    b"\xbe",  # the newest entry of the dynamic table
    b"\xbf",  # the one before it
    b"\x40\x01a\x011",  # `a: 1`, to be remembered
    b"\x40\x01b\x012",
    b"\x41\x01c",  # `:authority: c`, to be remembered
    b"\x00\x01a\x013",  # not to be remembered
    b"\x00\x01A\x01x",  # malformed
]
_UPDATES = [b"", b"", b"", b"\x20", b"\x3f\x11", b"\x3f\xe1\x1f"]

_ADDING = [_START + b"\x40\x01a\x011", _START + b"\x40\x01b\x012"]
_REFERRING = [_START + b"\xbe", _START + b"\xbf", _START + b"\xbf\xbe"]
_RESIZING = [b"\x20\x3f\xe1\x1f" + _START, b"\x3f\x11" + _START]

repeating_blocks = st.lists(
    # Adding and referring often enough that what they say is remembered, and then changed.
    st.sampled_from([*_ADDING, *_REFERRING, *_REFERRING, *_RESIZING])
    | st.builds(
        lambda update, pieces: update + _START + b"".join(pieces),
        st.sampled_from(_UPDATES),
        st.lists(st.sampled_from(_PIECES), max_size=2),
    ),
    max_size=20,
).map(lambda blocks: [_ADDING[0], _ADDING[1], *blocks])


@given(repeating_blocks)
def test_a_remembered_head_is_what_would_have_been_read(blocks: list[bytes]) -> None:
    library, ours = library_decoder(), FieldDecoder(NO_LIMIT)
    for block in blocks:
        try:
            fields = theirs(library, block)
        except hpack.HPACKError:
            with pytest.raises(ConnectionFault):
                ours.head(block)
            return
        try:
            expected = FieldDecoder(NO_LIMIT).head(encoded(fields))
        except StreamFault:
            with pytest.raises(StreamFault):
                ours.head(block)
        else:
            assert ours.head(block) == expected


def test_the_same_bytes_are_read_once() -> None:
    decoder = FieldDecoder(NO_LIMIT)
    assert decoder.head(_START) is decoder.head(_START)


def test_a_section_that_changes_the_table_makes_other_heads_forgotten() -> None:
    decoder = FieldDecoder(NO_LIMIT)
    first = decoder.head(_START + b"\x40\x01a\x011")
    known = decoder.head(_START + b"\xbe")
    assert known.fields == first.fields == (("a", "1"),)
    decoder.fields(b"\x40\x01b\x012")  # trailers
    assert decoder.head(_START + b"\xbe").fields == (("b", "2"),)


def test_a_smaller_table_makes_other_heads_forgotten() -> None:
    decoder = FieldDecoder(NO_LIMIT)
    decoder.head(_START + b"\x40\x01a\x011")
    decoder.head(_START + b"\xbe")
    decoder.head(b"\x20" + _START)
    with pytest.raises(ConnectionFault):
        decoder.head(_START + b"\xbe")


def test_what_is_remembered_of_a_connection_is_bounded() -> None:
    decoder = FieldDecoder(16_384)
    heads = []
    for number in range(200):
        block = _START + encoded([("a", f"{number:06}" + "b" * 8_000)])
        heads.append((block, decoder.head(block)))
    kept = sum(len(block) for block, head in heads if decoder.head(block) is head)
    assert kept <= 128 * 1024


def test_many_small_heads_are_remembered() -> None:
    decoder = FieldDecoder(16_384)
    blocks = [_START + encoded([("a", str(number))]) for number in range(50)]
    heads = [decoder.head(block) for block in blocks]
    assert all(decoder.head(block) is head for block, head in zip(blocks, heads, strict=True))


# Writing


@given(
    st.lists(
        st.tuples(st.text("abc-", min_size=1), st.text(st.characters(max_codepoint=255), max_size=300)), max_size=5
    )
)
@example([("a", "b" * size) for size in (126, 127, 128, 254, 255, 16_383, 16_384, 16_510, 16_511, 70_000)])
@example([("n" * 127, ""), ("n" * 16_600, "v")])
def test_what_is_written_is_read_back(fields: list[Field]) -> None:
    library = library_decoder()
    assert theirs(library, encoded(fields)) == fields
    assert library.header_table.dynamic_entries == type(library.header_table.dynamic_entries)()


def test_forgetting_the_table_is_an_instruction_of_its_own() -> None:
    library = library_decoder()
    library.max_allowed_table_size = 0
    assert theirs(library, FORGET_TABLE + encoded([("a", "b")])) == [("a", "b")]
