"""Texts that are made to harm: refused as wrong filters, in time that grows with their length, at a bounded depth."""

import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiteward.domain.errors import FilterSyntaxError
from kiteward.filters import MAX_LENGTH, Dialect, parse, write

PAYLOADS: Final = (
    *(
        "1 == 1) or (1 == 1",
        'x" or "a" == "a',
        "x' or 'a' == 'a",
        ") or true or (",
        "n == 1) or true --",
        "n == 1 or true #",
    ),
    *('n == 1" or "', "n == 1 /* ) */ or true", "n == 1; drop collection c", "n == 1 union select 1", '"" or ""==""'),
    *('\\") or ("', "'; return true; var x='", '{"$ne": null}', '{"$gt": ""}', "$where: true", "{{7*7}}", "${7*7}"),
    *(
        "n == 1 && this.constructor",
        "n in (select 1)",
        "n == 1 or sleep(5)",
        "n == `x`",
        "%' or '1'='1",
        "n == 1 or 1=1",
    ),
    *(
        "n == 1\0) or (true",
        "n == 1\u2028) or (true",
        "n\uff1d\uff1d1",
        "n == 1 \uff09 or \uff08 true",
        "n == 1\u202e) or (b",
    ),
    *(
        "n == $current_principal",
        "$current_principal_tags['k'] == s",
        "random_sample(0.5)",
        "udf(n)",
        "n == 1 ) (",
        "][",
    ),
    *(
        "((n == 1)",
        "(n == 1))",
        "n == [1]",
        "n in [[1]]",
        's like "%" or',
        "not",
        "exists",
        "and",
        "'",
        '"',
        "\\",
        "\ufeffn == 1",
    ),
)

FAMILIES: Final[dict[str, Callable[[int], str]]] = {
    "parentheses": lambda size: "(" * size,
    "brackets": lambda size: "n in " + "[" * size,
    "negations": lambda size: "not " * (size // 4),
    "signs": lambda size: "-" * size,
    "quotation marks": lambda size: '"' * size,
    "escapes": lambda size: '"' + '\\"' * (size // 2),
    "an open string": lambda size: "s == '" + "x" * size,
    "digits": lambda size: "n == " + "9" * size,
    "dots": lambda size: "n == " + "1." * (size // 2),
    "exponents": lambda size: "n == " + "1e+" * (size // 3),
    "a name": lambda size: "x" * size + " == 1",
    "names": lambda size: "n " * (size // 2),
    "blanks": lambda size: " " * size,
    "braces": lambda size: "n == " + "{ " * (size // 2),
    "dollars": lambda size: "$" * size,
    "a path": lambda size: "j" + "[0]" * (size // 3) + " == 1",
    "comparisons": lambda size: "n < " * (size // 4) + "1",
    "sums": lambda size: "n" + "+1" * (size // 2) + " == 1",
    "conditions": lambda size: "n == 1" + " and n == 1" * (size // 11),
    "alternatives": lambda size: "n == 1" + " or (n == 1)" * (size // 12),
    "negated conditions": lambda size: "not (n == 1)" + " and not (n == 1)" * (size // 17),
    "a list": lambda size: "n in [" + "1," * (size // 2) + "]",
    "a list of strings": lambda size: "s in ['a'" + ",'a'" * (size // 4) + "]",
    "surrogates": lambda size: "\ud800" * size,
}


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("text", PAYLOADS)
def test_injection_is_refused(text: str, dialect: Dialect) -> None:
    if dialect is Dialect.POLICY and "current_principal" in text:
        return
    with pytest.raises(FilterSyntaxError):
        parse(text, dialect)


@given(st.text(), st.sampled_from(Dialect))
def test_any_text_is_read_or_refused(text: str, dialect: Dialect) -> None:
    with suppress(FilterSyntaxError):
        parse(text, dialect)


@given(st.text(alphabet="n1 ()[]\"'\\,=<>!-+*/%&|$.{}eatdornisulk\n\0\u00a0", max_size=60), st.sampled_from(Dialect))
def test_any_text_of_tokens_is_read_or_refused_and_what_is_read_can_be_written(text: str, dialect: Dialect) -> None:
    with suppress(FilterSyntaxError):
        tree = parse(text, dialect)
        if "{" not in text:
            assert parse(write(tree, dialect), dialect) == tree


@pytest.mark.parametrize("dialect", [Dialect.EMBEDDED, Dialect.MILVUS])
@pytest.mark.parametrize("family", FAMILIES)
def test_work_grows_with_the_length_and_depth_is_bounded(family: str, dialect: Dialect) -> None:
    small, depth = _work(FAMILIES[family](2_000), dialect)
    large, deeper = _work(FAMILIES[family](8_000), dialect)
    assert large <= 4.2 * small + 100
    assert max(depth, deeper) < 500


@pytest.mark.parametrize("family", ["parentheses", "negations", "signs", "brackets", "sums", "a path", "comparisons"])
def test_text_of_a_megabyte_is_refused_at_its_first_fault(family: str) -> None:
    work, _ = _work(FAMILIES[family](MAX_LENGTH - 100), Dialect.EMBEDDED)
    assert work < 20_000


def _work(text: str, dialect: Dialect) -> tuple[int, int]:
    """Return how many functions are called to read and write a filter, and how deep the calls are."""
    calls = deepest = depth = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls, deepest, depth
        calls += event in ("call", "c_call")
        depth += (event == "call") - (event == "return")
        deepest = max(deepest, depth)

    sys.setprofile(count)
    try:
        write(parse(text, dialect), dialect)
    except FilterSyntaxError:
        pass
    finally:
        sys.setprofile(None)
    return calls, deepest
