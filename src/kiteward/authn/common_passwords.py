"""Recognises passwords that guessers try first: common ones, what the service is about, and either of them stretched.

For policies without a composition rule (NIST SP 800-63B-4, 3.1.1.2: compare with a block-list of common, expected and
compromised values; OWASP ASVS 5, 6.2.4 and 6.2.11: at least 3,000 common and context words). The common ones are the
30,000 passwords that zxcvbn carries, in order of frequency.
"""

import functools
import itertools
import unicodedata
from collections.abc import Iterable
from typing import Final

from zxcvbn.frequency_lists import FREQUENCY_LISTS

CONTEXT: Final = ("kiteward", "milvus", "zilliz", "vector", "database", "password", "admin", "root")
"""What anybody expects in a password of this service; the user's own name comes to it."""

_FEWEST: Final = 8
"""Characters that must be left of a password when its context words are taken out."""

_SHORT: Final = 4
"""Units of this length and below make no password, however often they are repeated."""


def is_common(password: str, context: Iterable[str] = ()) -> bool:
    """Tell whether a password is one of those that guessers try first.

    Args:
        password: what was chosen.
        context: further words that a guesser knows, such as the user name.
    """
    text = _folded(password)
    letters = "".join(character for character in text if character.isalpha())
    words = [word for word in map(_folded, (*CONTEXT, *context)) if len(word) >= _SHORT]
    return any(_is_blocked(each) for each in (text, letters) if each) or _mostly(text, words) or _is_run(text)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_blocked(text: str) -> bool:
    """Tell whether a text is a blocked word, or one that is repeated."""
    unit = _unit(text)
    return unit in _blocked() or (unit != text and len(unit) <= _SHORT)


def _unit(text: str) -> str:
    """Return the shortest text of which this one is a repetition, the last time perhaps cut short."""
    for length in range(1, len(text) // 2 + 1):
        if all(text[position] == text[position % length] for position in range(length, len(text))):
            return text[:length]
    return text


def _mostly(text: str, words: list[str]) -> bool:
    left = text
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, "")
    return left != text and len(left) < _FEWEST


def _is_run(text: str) -> bool:
    """Tell whether each character follows the one before it in the same distance: zyxwvu…, 1234567890123…."""
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(text)}
    if text.isascii() and text.isdecimal():
        steps = {step % 10 for step in steps}
    return len(steps) == 1


@functools.cache
def _blocked() -> frozenset[str]:
    return frozenset(_folded(word) for word in FREQUENCY_LISTS["passwords"]) | frozenset(CONTEXT)
