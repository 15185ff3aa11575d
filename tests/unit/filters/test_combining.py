import pytest

from kiteward.domain.errors import FilterSyntaxError
from kiteward.filters import (
    And,
    Comparison,
    Constant,
    Dialect,
    Field,
    ListOf,
    Literal,
    Membership,
    Or,
    TemplateValue,
    conjoin,
    fields_of,
    fill,
    parse,
    write,
)

POLICY = Comparison("==", Field("owner"), Literal("ann"))
FILTER = Comparison("<", Field("n"), Literal(1))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("true", set()),
        ("a == 1 and not (b in [1] or c like 'd')", {"a", "b", "c"}),
        ("1 < a + b * 2 <= c", {"a", "b", "c"}),
        ("j['k'][0] == 1 or exists $meta['x'] or s is null", {"j", "$meta", "s"}),
        ("array_contains(a, 1) and array_length(b) == 1 and text_match(c, 'd')", {"a", "b", "c"}),
    ],
)
def test_fields_that_a_filter_reads_are_named(text: str, fields: set[str]) -> None:
    assert fields_of(parse(text, Dialect.EMBEDDED)) == fields


def test_policy_and_filter_are_joined() -> None:
    assert conjoin(POLICY, FILTER) == And((POLICY, FILTER))
    assert conjoin(Or((POLICY, FILTER)), FILTER) == And((Or((POLICY, FILTER)), FILTER))
    assert conjoin(And((POLICY, FILTER)), And((FILTER, POLICY))) == And((POLICY, FILTER, FILTER, POLICY))


def test_constant_policy_decides_alone() -> None:
    assert conjoin(Constant(True), FILTER) == FILTER
    assert conjoin(Constant(True), None) == Constant(True)
    assert conjoin(Constant(False), FILTER) == conjoin(Constant(False), None) == Constant(False)


def test_without_a_filter_the_policy_is_the_filter() -> None:
    assert conjoin(POLICY, None) == POLICY
    keys = Membership(Field("id"), ListOf((Literal(1),)))
    assert conjoin(keys, None) == And((keys, Constant(True)))


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("n == {x}", {"x": 1}, "n == 1"),
        ("n == { x }", {"x": -1.5, "unused": None}, "n == -1.5"),
        ("b == {x}", {"x": True}, "b == true"),
        ("s == {x}", {"x": '") or ("'}, r's == "\") or (\""'),
        ("n in {x}", {"x": [1, 2]}, "n in [1, 2]"),
        ("n not in {x}", {"x": []}, "n not in []"),
        ("n in [1, {x}]", {"x": 2}, "n in [1, 2]"),
        ("{x} < n <= {y}", {"x": 1, "y": 2}, "1 < n <= 2"),
        ("n % {x} == 1", {"x": 3}, "n % 3 == 1"),
        ("json_contains(j['k'], {x})", {"x": "a"}, "json_contains(j['k'], \"a\")"),
        ("json_contains_any(j, {x})", {"x": ["a"]}, 'json_contains_any(j, ["a"])'),
        ("not (s == '{x}')", {}, "not (s == '{x}')"),
        ("s == 'a' and n in {x}", {"x": [1]}, "s == 'a' and n in [1]"),
    ],
)
def test_templates_get_their_values(text: str, values: dict[str, TemplateValue], filled: str) -> None:
    for dialect in (Dialect.EMBEDDED, Dialect.MILVUS):
        assert write(fill(parse(text, dialect), values), dialect) == filled


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n in {x}", 1),
        ("n == {x}", [1]),
        ("n in [{x}]", [1]),
        ("n + {x} == 1", [1]),
        ("{x} < n < 2", [1]),
        ("array_contains(a, {x})", [1]),
        ("array_contains_any(a, {x})", 1),
        ("array_contains_any(a, {x})", []),
        ("n == {x}", 2**63),
        ("n == {x}", float("nan")),
        ("n in {x}", [float("inf")]),
        ("s == {x}", "\ud800"),
        ("s == {x}", b"bytes"),
        ("n in {x}", b"bytes"),
        ("n in {x}", [[1]]),
        ("s == {x}", None),
        ("n == {y}", 1),
    ],
)
def test_value_that_does_not_fit_its_template_is_refused(text: str, value: TemplateValue) -> None:
    with pytest.raises(FilterSyntaxError):
        fill(parse(text, Dialect.EMBEDDED), {"x": value})
