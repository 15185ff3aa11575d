"""Policies are read from YAML without guessing, and with the lines of everything."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from kiteward.cli import policy_yaml
from kiteward.cli.policy_yaml import LARGEST, read, write

FILE = """\
version: 1
users:
  alice:
    description: no
    tags: {team: "12", site: on, floor: 12}
    roles:
      - reader
      - writer
  no: {enabled: true}
"""


def test_text_stays_text_and_every_place_has_its_line() -> None:
    file = read(FILE)
    assert file.faults == ()
    assert file.values["users"]["alice"]["tags"] == {"team": "12", "site": "on", "floor": 12}
    assert file.values["users"]["alice"]["description"] == "no"
    assert file.values["users"]["no"] == {"enabled": True}
    assert file.line_of(("users", "alice", "roles", 1)) == 8
    assert file.line_of(("users", "no")) == 9
    assert file.line_of(("users", "alice", "limits", "burst")) == 3
    assert file.line_of(("elsewhere",)) == 1


@pytest.mark.parametrize("parser", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("version: 1\na: !!str x", 2, "tags of YAML are not read: leave `!` out, or put the text in quotes"),
        ("a: &x 1\nb: *x", 1, "anchors and aliases of YAML are not read: write it out"),
        ("a: 1\nb: 2\na: 3", 3, "`a` is here twice: it is in line 1 already"),
        ("a: 1\n---\nb: 2", 1, "a policy is one document that begins with `version: 1`"),
        ("", 1, "a policy is one document that begins with `version: 1`"),
        ("a:\n  ? [1]\n  : 2", 2, "a key must be text"),
        ("a: 1\nb: -1e400", 2, "this number is larger than any in a policy"),
        ("[" * 30, 1, "this is nested deeper than any policy"),
        ("x" * (LARGEST + 1), 1, "the file is larger than 8 MiB"),
    ],
)
def test_what_a_policy_has_not_is_refused_with_its_line(
    monkeypatch: pytest.MonkeyPatch, parser: str, text: str, line: int, message: str
) -> None:
    monkeypatch.setattr(policy_yaml, "_Loader", getattr(yaml, parser))
    assert [(fault.line, fault.message) for fault in read(text).faults] == [(line, message)]


def test_what_is_not_yaml_is_refused_with_its_line() -> None:
    (fault,) = read("a: 1\nb: [1\nc: 2").faults
    assert fault.line == 3
    assert fault.message.startswith("this is not YAML: ")


VALUES = st.recursive(
    st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
    max_leaves=12,
)


@example(values={"no": {"\x85": False, "a\u2028b": "a\u2029\x85 b"}})
@given(values=st.dictionaries(st.sampled_from(["no", "1", "1e3", "a b", "null", "ü"]), VALUES, min_size=1))
def test_what_is_written_is_read_as_the_same(values: dict[str, object]) -> None:
    file = read(write(values))
    assert file.faults == ()
    assert file.values == values
