"""No filter that is written for Milvus divides by what its processor has no result for."""

import pytest

from kiteward.domain.errors import FilterSyntaxError
from kiteward.filters import (
    Arithmetic,
    Comparison,
    Dialect,
    Expression,
    Field,
    Literal,
    conjoin,
    fill,
    parse,
    write,
)

NO_RESULT = ("0", "-0", "00", "0x0", "0b0", "0.0", "0e5", "1e-300", "0.5", "-0.5", "-1", "-1.0", "-0x1")


@pytest.mark.parametrize("operator", "/%")
@pytest.mark.parametrize("divisor", NO_RESULT)
@pytest.mark.parametrize(
    "text",
    [
        "n {} == 1",
        "1 == n {}",
        'j["k"] {} == 1',
        '$meta["k"] {} > 1',
        "a[0] {} != 1",
        "array_length(a) {} == 1",
        "1 {} == n",
        "(n {}) + 1 == 1",
        "n * 2 {} == 1",
        "not (n {} == 1)",
        "m == 1 and (n == 2 or n {} == 1)",
        "0 < n {} < 5",
    ],
)
def test_divisor_without_a_result_is_refused_where_it_is(operator: str, divisor: str, text: str) -> None:
    written = text.format(f"{operator} {divisor}")
    with pytest.raises(FilterSyntaxError) as refused:
        parse(written, Dialect.MILVUS)
    if "divide by" in str(refused.value):
        assert refused.value.position == written.index(divisor, written.index(operator))


@pytest.mark.parametrize("operator", "/%")
@pytest.mark.parametrize("divisor", NO_RESULT)
def test_sentence_says_what_would_be_right(operator: str, divisor: str) -> None:
    with pytest.raises(FilterSyntaxError, match=r"Milvus cannot divide by .*; divide by a number above 1"):
        parse(f"n {operator} {divisor} == 1", Dialect.MILVUS)


@pytest.mark.parametrize("divisor", ["m", 'j["k"]', '$meta["k"]', "(1 - 1)", "(m + 1)", "(2 * 3)", "array_length(a)"])
@pytest.mark.parametrize("operator", "/%")
def test_milvus_is_not_asked_to_divide_by_what_is_stored_or_computed(operator: str, divisor: str) -> None:
    with pytest.raises(FilterSyntaxError):
        parse(f"n {operator} {divisor} == 1", Dialect.MILVUS)


@pytest.mark.parametrize("value", [0, 0.0, -0.0, -1, 0.25, True, "0"])
@pytest.mark.parametrize("operator", "/%")
def test_value_of_a_template_is_no_way_around(operator: str, value: int | float | bool | str) -> None:
    tree = fill(parse(f"n {operator} {{by}} == 1", Dialect.MILVUS), {"by": value})
    with pytest.raises(FilterSyntaxError):
        write(conjoin(parse("owner == 'ann'", Dialect.POLICY), tree), Dialect.MILVUS)


def test_writer_refuses_a_tree_that_no_text_was_read_for() -> None:
    tree: Expression = Comparison("==", Arithmetic("%", Field("n"), Literal(0)), Literal(1))
    with pytest.raises(FilterSyntaxError, match="cannot divide by 0"):
        write(tree, Dialect.MILVUS)


@pytest.mark.parametrize("divisor", ["2", "-2", "1", "1.5", "-7", "0x10", "9223372036854775807", "1e300"])
@pytest.mark.parametrize("operator", "/%")
def test_other_numbers_divide(operator: str, divisor: str) -> None:
    text = f"n {operator} {divisor} == 1"
    assert write(parse(text, Dialect.MILVUS), Dialect.MILVUS) == text


@pytest.mark.parametrize("text", ["n / 0 == 1", "n % 0 == 1", "n % -1 == 0", "n / m == 1", "n % (m - m) == 0"])
def test_embedded_engine_has_a_result_for_each(text: str) -> None:
    parse(text, Dialect.EMBEDDED)


def test_sums_and_products_take_any_number() -> None:
    for text in ("n + 0 == 1", "n - 0 == 1", "n * 0 == 0", "n * -1 == 1", "n + m == 1"):
        parse(text, Dialect.MILVUS)
