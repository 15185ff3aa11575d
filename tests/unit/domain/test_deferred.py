"""Tests for `kiteward.domain.deferred`."""

from kiteward.domain.deferred import Deferred


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
