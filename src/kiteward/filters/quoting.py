"""The only place where a value becomes text of a filter, and where the text of a string becomes its value."""

import math
import re
from collections.abc import Mapping
from typing import Final

from kiteward.filters.refusals import refusal, shown

LEAST_INTEGER: Final = -(2**63)
MOST_INTEGER: Final = 2**63 - 1

_ESCAPED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
"""The escapes that both engines have. Both take every other character as it is."""

_UNESCAPED: Final[Mapping[str, str]] = {'"': '"', "'": "'", "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def quote(value: bool | int | float | str) -> str:
    """Return the text of a value, which both engines read as exactly this value.

    Args:
        value: a boolean, a whole number of 64 bits, a finite number, or a string.

    Raises:
        FilterSyntaxError: no filter can hold the value: NaN, an infinity, a number beyond 64 bits, or half of a
            surrogate pair, which is not a character and has no UTF-8.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not LEAST_INTEGER <= value <= MOST_INTEGER:
            raise refusal("a whole number is beyond 64 bits", right="they are from -2^63 to 2^63-1")
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise refusal("a number is NaN or infinite", right="a filter holds finite numbers")
        return repr(value)
    check_characters(value)
    return f'"{value.translate(_ESCAPED)}"'


def check_characters(text: str) -> None:
    """Refuse a text that has no UTF-8.

    Raises:
        FilterSyntaxError: it has half of a surrogate pair.
    """
    found = _SURROGATE.search(text)
    if found:
        raise refusal("half of a surrogate pair is not a character", found.start(), right="U+D800 to U+DFFF are not")


def unquoted(spelling: str, position: int) -> str:
    r"""Return the value of a string as a filter spells it.

    Args:
        spelling: the text with its quotes.
        position: the offset of the text in the filter, for the message.

    Raises:
        FilterSyntaxError: it has an escape other than \" \' \\ \n \r \t, which not every engine reads.
    """

    def character(found: re.Match[str]) -> str:
        if found[1] not in _UNESCAPED:
            raise refusal(
                f"a string has the escape {shown(found[0])}",
                position + found.start() + 1,
                right=r"""write \" \' \\ \n \r \t, or the character itself""",
            )
        return _UNESCAPED[found[1]]

    return _ESCAPE.sub(character, spelling[1:-1]) if "\\" in spelling else spelling[1:-1]
