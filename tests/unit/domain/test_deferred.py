"""Tests for `kiteward.domain.deferred`."""

import pytest

from kiteward.domain.deferred import Deferred, DeferredParts


def test_a_mapping_is_made_by_the_first_look_and_only_once() -> None:
    made: list[dict[str, int]] = []

    def make() -> dict[str, int]:
        made.append({"one": 1})
        return made[-1]

    mapping = Deferred(make)
    assert made == []
    assert mapping["one"] == 1
    assert len(made) == 1
    assert dict(mapping) == {"one": 1}
    assert (len(mapping), "one" in mapping, "two" in mapping) == (1, True, False)
    assert (mapping.get("one"), mapping.get("two"), mapping.get("two", 2)) == (1, None, 2)
    assert len(made) == 1


PARTS = {"numbers": {"one": 1, "two": 2}, "letters": {"a": 3}}
OF = {"one": "numbers", "two": "numbers", "absent": "numbers", "a": "letters"}


@pytest.fixture
def made() -> list[str]:
    return []


@pytest.fixture
def parts(made: list[str]) -> DeferredParts[str, int]:
    def make(part: str) -> dict[str, int]:
        made.append(part)
        return PARTS[part]

    return DeferredParts(PARTS, OF.get, make)


def test_a_part_is_made_by_the_first_look_for_one_of_its_keys_and_only_once(
    parts: DeferredParts[str, int], made: list[str]
) -> None:
    assert (parts.get("strange"), "strange" in parts, parts.get("strange", 4), made) == (None, False, 4, [])
    assert (parts["two"], parts.get("one"), "one" in parts, made) == (2, 1, True, ["numbers"])
    assert (parts.get("a"), made) == (3, ["numbers", "letters"])


def test_a_key_that_its_part_lacks_is_missing(parts: DeferredParts[str, int]) -> None:
    assert parts.get("absent") is None
    with pytest.raises(KeyError):
        parts["absent"]


def test_whoever_lists_or_counts_has_all_parts_made(parts: DeferredParts[str, int], made: list[str]) -> None:
    assert (dict(parts), len(parts), made) == ({"one": 1, "two": 2, "a": 3}, 3, ["numbers", "letters"])


def test_a_key_in_two_parts_is_refused() -> None:
    parts = DeferredParts(("first", "second"), {"a": "first", "b": "second"}.get, lambda part: {"a": len(part)})
    with pytest.raises(ValueError, match="`a` is in the table twice"):
        len(parts)
