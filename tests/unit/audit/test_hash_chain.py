"""One event, one line: ASCII without control characters, bounded, and the whole of it under the chain."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.audit_lines import whole_details

from kiteward.audit import hash_chain
from kiteward.audit.events import LONGEST_TEXT, TEXTS, AuditEvent, Event, Outcome, shortened
from kiteward.audit.hash_chain import BEGINNING, LONGEST_DETAILS, chain_of, decode, encode, moment, parts_of


def event(**parts: Any) -> AuditEvent:
    return AuditEvent(Event.DATA_WRITE, 1_795_780_800.000001, Outcome.SUCCEEDED, **parts)


def test_line_holds_what_happened_and_nothing_empty() -> None:
    line, chain = encode(event(principal="alice", resources=("docs",), duration=0.0123456), 7, BEGINNING)
    assert json.loads(line) == {
        "seq": 7,
        "time": "2026-11-27T12:00:00.000001Z",
        "kind": "data",
        "code": 5002,
        "outcome": "succeeded",
        "principal": "alice",
        "resources": ["docs"],
        "duration_ms": 12.346,
        "chain": chain,
    }


def test_line_names_the_service_that_acted_after_the_user() -> None:
    line, _ = encode(event(principal="alice", actor="svc"), 7, BEGINNING)
    assert b'"principal":"alice","actor":"svc"' in line


@given(text=st.text(st.characters(), max_size=60), name=st.text(max_size=10))
def test_nothing_a_caller_chooses_breaks_out_of_its_line(text: str, name: str) -> None:
    line, chain = encode(event(presented_user=text, client=text, details={"user": [text], "x": name}), 1, BEGINNING)
    assert line.endswith(b'"}\n')
    assert all(32 <= byte < 127 for byte in line[:-1])
    read = decode(line[:-1])
    assert read is not None
    assert (read.seq, read.chain) == (1, chain)
    assert chain_of(read.body, BEGINNING) == chain
    assert json.loads(line)["details"]["user"] == [text.encode("utf-8", "replace").decode()]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\U0001f985 \ud83e", "\x7f\x85\u2028"])
def test_half_a_character_and_invisible_ones_leave_the_line_readable(text: str) -> None:
    line, chain = encode(event(client=text), 1, BEGINNING)
    assert line[:-1].isascii()
    read = decode(line[:-1])
    assert read is not None
    assert chain_of(read.body, BEGINNING) == chain


def test_value_that_looks_like_the_end_of_a_line_does_not_end_it() -> None:
    line, chain = encode(event(reason=f'","chain":"{"0" * 64}"}}'), 1, BEGINNING)
    read = decode(line[:-1])
    assert read is not None
    assert read.chain == chain


def test_long_values_and_long_lists_are_shortened_and_say_so() -> None:
    cut, _ = shortened(event(principal="x" * 1000, resources=tuple(map(str, range(100)))))
    assert cut.principal == "x" * LONGEST_TEXT + "… (1000 characters)"
    assert cut.resources == (*map(str, range(32)), "… (100 in all)")


def test_short_event_is_one_line() -> None:
    short = event(details={"roles": ["a"] * 100, "empty": [], "nothing": {}})
    assert [*parts_of(short)] == [short]


@pytest.mark.slow
@settings(max_examples=settings().max_examples // 4)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.recursive(
            st.text(max_size=20) | st.lists(st.text(max_size=20), max_size=30) | st.integers() | st.none(),
            lambda below: st.dictionaries(st.text(min_size=1, max_size=5), below, max_size=5),
            max_leaves=20,
        ),
        max_size=8,
    )
)
def test_parts_of_an_event_hold_its_details_whole_and_in_their_order(details: dict[str, Any]) -> None:
    long = event(details=details, principal="alice")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_chain, "LONGEST_DETAILS", 300)
        parts = parts_of(long)
    assert whole_details({"details": part.details} for part in parts) == details
    if len(parts) > 1:
        assert [(part.part, part.parts) for part in parts] == [(n + 1, len(parts)) for n in range(len(parts))]
    assert {part.principal for part in parts} == {"alice"}


def test_parts_are_of_about_the_size_that_is_set() -> None:
    long = event(details={"names": [f"name {number}" for number in range(20_000)]})
    sizes = [len(encode(part, 1, BEGINNING)[0]) for part in parts_of(long)]
    assert max(sizes) < LONGEST_DETAILS + 1000
    assert sum(sizes) > 200_000


@pytest.mark.parametrize("raw", [b"", b"{}", b"x" * 200, b'{"a":1,"chain":"' + b"0" * 64 + b'"}'])
def test_what_is_not_a_line_is_none(raw: bytes) -> None:
    assert decode(raw) is None


def test_codes_are_told_apart() -> None:
    codes = [each.code for each in Event]
    assert len(codes) == len(set(codes))


def test_every_text_of_an_event_is_written_under_its_own_name() -> None:
    texts: dict[str, Any] = {name: f"of {name}" for name in TEXTS}
    event = AuditEvent(Event.DATA_READ, 1.5, Outcome.SUCCEEDED)._replace(**texts)
    line, _ = encode(event, 7, BEGINNING)
    written = json.loads(line)
    assert {name: text for name, text in written.items() if name in texts} == texts
    assert list(written) == ["seq", "time", "kind", "code", "outcome", *TEXTS, "chain"]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1764374400.25, "2025-11-29T00:00:00.250000Z"),
        (1764374399.9999999, "2025-11-29T00:00:00.000000Z"),
        (1764374399.999999, "2025-11-28T23:59:59.999999Z"),
    ],
)
def test_moment_is_utc_with_microseconds(seconds: float, written: str) -> None:
    assert moment(seconds) == written
