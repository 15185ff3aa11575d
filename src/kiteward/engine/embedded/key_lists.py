"""Filters that are a list of primary keys, read without Milvus Lite's parser, which takes microseconds for each."""

import re
from typing import Final

_NAME: Final = r"\s*+([A-Za-z_]\w*+) in \["
_NUMBER: Final = r"\s*+-?\d{1,19}+"
_TEXT: Final = r'\s*+"[^"\\\r\n]*+"'

_NUMBERS: Final = re.compile(rf"{_NAME}({_NUMBER}(?:,{_NUMBER})*+)\s*+\]\s*+", re.ASCII)
_TEXTS: Final = re.compile(rf"{_NAME}({_TEXT}(?:,{_TEXT})*+)\s*+\]\s*+", re.ASCII)
_BEYOND: Final = 1 << 63
_QUOTED: Final = re.compile(r'"([^"]*+)"')


def keys_in(expr: str, primary_key: str) -> list[int | str] | None:
    """Return the keys of a filter such as `id in [1, 2]` or `id in ["a"]`.

    Args:
        expr: the filter.
        primary_key: the name of the primary key.

    Returns:
        The keys in order; None for every other filter, also for one that is a list of keys in another spelling. Milvus
        Lite takes a list with a negative number for another filter; it finds the same rows, in a different order.
    """
    if (found := _NUMBERS.fullmatch(expr)) and found[1] == primary_key:
        numbers = [int(number) for number in found[2].split(",")]
        return [*numbers] if min(numbers) >= -_BEYOND and max(numbers) < _BEYOND else None
    if (found := _TEXTS.fullmatch(expr)) and found[1] == primary_key:
        return list(_QUOTED.findall(found[2]))
    return None
