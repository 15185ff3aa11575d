"""Events: bounded where nobody waits for them, and weighed as they are."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiteward.audit.events import (
    LONGEST_TEXT,
    MOST_VALUES,
    TEXTS,
    AuditEvent,
    Event,
    Outcome,
    shortened,
    shortened_details,
    weight,
    weight_of,
)

_details = st.recursive(
    st.text(max_size=600) | st.integers() | st.none(),
    lambda below: st.lists(below, max_size=50) | st.dictionaries(st.text(max_size=5), below, max_size=5),
    max_leaves=80,
)


def event(**parts: Any) -> AuditEvent:
    return AuditEvent(Event.DATA_WRITE, 1.0, Outcome.SUCCEEDED, **parts)


def test_event_within_the_bounds_stays_itself() -> None:
    short = event(principal="alice", resources=("docs",), reason="x" * LONGEST_TEXT)
    assert shortened(short)[0] is short


def test_every_text_is_bounded() -> None:
    cut, _ = shortened(event(**dict.fromkeys(TEXTS, "x" * 10_000)))
    assert {getattr(cut, name) for name in TEXTS} == {f"{'x' * LONGEST_TEXT}… (10000 characters)"}


def test_resources_are_bounded_in_number_and_length() -> None:
    cut, _ = shortened(event(resources=tuple("x" * 1000 for _ in range(100))))
    assert len(cut.resources) == MOST_VALUES + 1
    assert max(map(len, cut.resources)) < LONGEST_TEXT + 30
    assert isinstance(cut.resources, tuple)


@pytest.mark.slow
@settings(max_examples=settings().max_examples // 4)
@given(st.dictionaries(st.text(max_size=5), _details, max_size=5))
def test_shortened_details_weigh_no_more_and_are_bounded_at_every_depth(details: dict[str, Any]) -> None:
    def bounded(value: Any) -> bool:
        if isinstance(value, str):
            return len(value) < LONGEST_TEXT + 30
        if isinstance(value, dict):
            return all(map(bounded, value.values()))
        return not isinstance(value, list) or (len(value) <= MOST_VALUES + 1 and all(map(bounded, value)))

    assert bounded(shortened_details(details))


@settings(max_examples=settings().max_examples // 4)
@given(st.dictionaries(st.text(max_size=5), _details, max_size=5))
def test_shortened_event_comes_with_its_weight(details: dict[str, Any]) -> None:
    cut, size = shortened(event(principal="x" * 300, resources=("docs", "ж" * 300), roles=("reader",), details=details))
    assert size == weight_of(cut)


def test_weight_is_about_what_an_event_takes() -> None:
    assert 500 < weight_of(event()) < 2_000
    assert weight_of(event(database="x" * 10_000)) - weight_of(event()) == 10_000
    assert weight_of(event(resources=("x" * 10_000,))) > 10_000
    assert weight_of(event(details={"a": ["x" * 10_000]})) > 10_000
    assert weight("\U0001f985" * 1000) > 4_000
