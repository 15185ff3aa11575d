"""How a filter is refused: where, what is wrong there, and what would be right."""

from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import FilterSyntaxError

_SHOWN: Final = 40
"""Most characters of a filter that a message repeats."""


def refusal(problem: str, position: int = 0, *, right: str = "") -> FilterSyntaxError:
    """Return the error to raise for a filter.

    Args:
        problem: what is wrong.
        position: the offset of the character at fault; 0 too if the filter as a whole is at fault.
        right: what would be right, if `problem` does not say it.
    """
    character = position + 1
    sentence = f"{problem}; {right}" if right else problem
    return FilterSyntaxError(
        f"the filter is not valid at character {character}: {sentence}",
        ErrorDetail(ErrorCode.FILTER_INVALID, {"position": character}, quoted=sentence),
        field="filter",
        position=position,
    )


def shown(text: str) -> str:
    """Return a part of a filter as a message repeats it: on one line, shortened, in backticks."""
    if not text:
        return "end of the filter"
    printable = "".join(each if each.isprintable() else f"\\u{{{ord(each):x}}}" for each in text[:_SHOWN])
    return f"`{printable}{'…' if len(text) > _SHOWN else ''}`"
