from collections.abc import Mapping
from typing import Final

import pytest

from kiteward.filters import (
    And,
    Comparison,
    Constant,
    Dialect,
    Expression,
    Field,
    ListOf,
    Literal,
    Membership,
    Not,
    Or,
    Principal,
    Tag,
    Value,
    matches,
    parse,
)

ROW: Final[Mapping[str, Value]] = {
    "s": "ann",
    "n": 5,
    "f": 0.5,
    "b": True,
    "a": ["x", "y"],
    "i": [1, 2],
    "none": None,
    "empty": [],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("s == 'ann'", True),
        ("s == 'Ann'", False),
        ("n == 5", True),
        ("n == 6", False),
        ("b == true", True),
        ("b == false", False),
        ("s in ['bob', 'ann']", True),
        ("s in []", False),
        ("n in [1, 5]", True),
        ("array_contains(a, 'x')", True),
        ("array_contains(a, 'z')", False),
        ("array_contains_all(a, ['x', 'y'])", True),
        ("array_contains_all(a, ['x', 'z'])", False),
        ("array_contains_any(i, [3, 2])", True),
        ("array_contains_any(i, [3])", False),
        ("array_contains(empty, 'x')", False),
        ("s == 'ann' and n == 6", False),
        ("s == 'bob' or n == 5", True),
        # Another type, no value, or no field: not matched.
        ("n == '5'", False),
        ("s == 5", False),
        ("b == 1", False),
        ("n == true", False),
        ("none == 'x'", False),
        ("none in ['x']", False),
        ("array_contains(none, 'x')", False),
        ("absent == 'x'", False),
        ("array_contains(absent, 'x')", False),
        ("array_contains(s, 'a')", False),
        ("array_contains(i, true)", False),
        ("a == 'x'", False),
        ("s == $current_principal", False),
        ("s in [$current_principal_tags['k'], 'ann']", True),
        ("$current_principal == 'ann'", False),
        ("array_contains_all(a, ['x', $current_principal])", False),
        ("array_contains_any(a, ['x', $current_principal])", True),
    ],
)
def test_row_matches_a_policy_by_value_and_type(text: str, expected: bool) -> None:
    assert matches(parse(text, Dialect.POLICY), ROW) is expected


@pytest.mark.parametrize(
    "tree",
    [
        Not(Constant(False)),
        Comparison("!=", Field("n"), Literal(1)),
        Comparison("<", Field("n"), Literal(9)),
        Membership(Field("n"), ListOf((Literal(1),)), negated=True),
        Comparison("==", Field("absent"), Principal()),
        Comparison("==", Tag("k"), Tag("k")),
        Comparison("==", Field("none"), Field("none")),
        Constant(False),
        Or(()),
    ],
)
def test_what_policies_cannot_say_is_not_matched(tree: Expression) -> None:
    assert not matches(tree, ROW)


def test_all_conditions_of_a_conjunction_are_needed() -> None:
    is_ann = parse("s == 'ann'", Dialect.POLICY)
    assert matches(And((is_ann, Constant(True))), ROW)
    assert not matches(And((is_ann, Constant(False))), ROW)


def test_whole_numbers_and_fractions_are_equal_by_value() -> None:
    assert matches(Comparison("==", Field("f"), Literal(0.5)), ROW)
    assert matches(Comparison("==", Field("n"), Literal(5.0)), ROW)
    assert not matches(Comparison("==", Field("f"), Literal(float("nan"))), {"f": float("nan")})
