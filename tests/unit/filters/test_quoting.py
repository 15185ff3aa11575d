import pytest
from hypothesis import given
from hypothesis import strategies as st
from milvus_lite.search.filter.parser import parse_expr

from kiteward.domain.errors import FilterSyntaxError
from kiteward.filters import Comparison, Dialect, Field, Literal, parse, quote, write


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-5, "-5"),
        (2**63 - 1, "9223372036854775807"),
        (-(2**63), "-9223372036854775808"),
        (1.0, "1.0"),
        (-1e-7, "-1e-07"),
        ("", '""'),
        ('a"b', r'"a\"b"'),
        ("a\\", r'"a\\"'),
        ('\\"\') or true or ("', r'''"\\\"') or true or (\""'''),
        ("\n\r\t", r'"\n\r\t"'),
        ("\0\x1f\x7f\u2028\ufeff", '"\0\x1f\x7f\u2028\ufeff"'),
        ("it's {x} % _ 中 😀", '"it\'s {x} % _ 中 😀"'),
    ],
)
def test_values_are_written_as_both_engines_read_them(value: bool | int | float | str, text: str) -> None:
    assert quote(value) == text


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 2**63, -(2**63) - 1, "\ud800", "a\udfffb"]
)
def test_value_that_no_filter_holds_is_refused(value: bool | int | float | str) -> None:
    with pytest.raises(FilterSyntaxError):
        quote(value)


@given(st.text() | st.integers(0, 2**63 - 1) | st.floats(0, allow_nan=False, allow_infinity=False) | st.booleans())
def test_written_value_is_read_as_the_same_by_milvus_lite_and_here(value: bool | int | float | str) -> None:
    read = parse_expr(f"x == {quote(value)}").right.value
    assert (type(read), read) == (type(value), value)
    assert parse(f"x == {quote(value)}", Dialect.MILVUS) == Comparison("==", Field("x"), Literal(value))


@given(st.text())
def test_string_cannot_end_its_quotes(value: str) -> None:
    tree = Comparison("==", Field("x"), Literal(value))
    assert parse(write(tree, Dialect.EMBEDDED), Dialect.EMBEDDED) == tree


@pytest.mark.parametrize("value", ["\U00020041", "a\U0002f800", "\U00031350"])
def test_string_that_milvus_would_cut_to_another_is_refused_for_it(value: str) -> None:
    tree = Comparison("==", Field("owner"), Literal(value))
    assert write(tree, Dialect.EMBEDDED) == f'owner == "{value}"'
    with pytest.raises(FilterSyntaxError, match="beyond U"):
        write(tree, Dialect.MILVUS)


def test_string_of_a_user_keeps_its_spelling() -> None:
    tree = parse(r"s == 'a\'b\\'", Dialect.MILVUS)
    assert tree == Comparison("==", Field("s"), Literal("a'b\\"))
    assert write(tree, Dialect.MILVUS) == r"s == 'a\'b\\'"
