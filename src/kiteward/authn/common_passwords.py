"""Detects passwords that guessers try first: common ones, words about the service, and repetitions of either.

For policies without a composition rule (NIST SP 800-63B-4, 3.1.1.2: compare with a block-list of common, expected and
compromised values; OWASP ASVS 5, 6.2.4 and 6.2.11: at least 3,000 common and context words). The common ones are the
30,000 passwords that zxcvbn carries, in order of frequency.
"""

import functools
import itertools
import unicodedata
from typing import Final

CONTEXT: Final = ("kiteward", "milvus", "zilliz", "vector", "database", "password", "admin", "root")
"""Words that are expected in a password of this service; the user's own name is added."""

_FEWEST: Final = 8
"""Characters that must be left of a password when its context words are taken out."""

_SHORT: Final = 4
"""Units of this length and below do not make a password, however often they are repeated."""


GUESSED_FIRST: Final = (
    "it is a common password, possibly repeated, with digits and punctuation in between, or with look-alike characters"
)
SERVICE_WORDS: Final = "it consists mainly of words of this service, such as milvus or database"
USER_NAME: Final = "it consists mainly of the user name"
IN_A_ROW: Final = "it is a sequence of characters, or of neighbouring keys"
"""The faults of a password, in words for its user."""

_LOOK_ALIKE: Final = tuple(str.maketrans("@4301$57+!", f"aaeo{one}sstt{one}") for one in "li")
_ROWS: Final = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop")
_NEIGHBOURS: Final = frozenset(
    pair for row in _ROWS for one, next_one in itertools.pairwise(row) for pair in (one + next_one, next_one + one)
)
_KEYS_IN_A_ROW: Final = 5
"""Average length of runs of neighbouring keys from which a password counts as a keyboard row."""


def faults(password: str, user_name: str = "") -> tuple[str, ...]:
    """Return the reasons for which guessers would try a password early; empty where there are none.

    Args:
        password: the new password.
        user_name: the user who is to have it; guessers know the name.
    """
    text = _folded(password)
    spellings = {text, *(text.translate(table) for table in _LOOK_ALIKE)}
    letters = {"".join(character for character in each if character.isalpha()) for each in spellings}
    service = [word for word in CONTEXT if len(word) >= _SHORT]
    user = [word for word in [_folded(user_name)] if len(word) >= _SHORT]
    by_service, by_user = (any(_mostly(each, words) for each in spellings) for words in (service, user))
    # Neither alone, but both together are most of it.
    by_service |= not by_user and any(_mostly(each, service + user) for each in spellings)
    rules = {
        GUESSED_FIRST: any(_is_blocked(each) for each in spellings | letters if each),
        SERVICE_WORDS: by_service,
        USER_NAME: by_user,
        IN_A_ROW: _is_run(text) or _is_row(text),
    }
    return tuple(rule for rule, broken in rules.items() if broken)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _is_blocked(text: str) -> bool:
    """Return whether a text is a blocked word or a repetition of one."""
    unit = _unit(text)
    return unit in _blocked() or (unit != text and len(unit) <= _SHORT)


def _unit(text: str) -> str:
    """Return the shortest text of which this one is a repetition. The last repetition may be incomplete."""
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
    """Return whether all characters follow each other at the same distance: zyxwvu…, 1234567890123…."""
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(text)}
    if text.isascii() and text.isdecimal():
        steps = {step % 10 for step in steps}
    return len(steps) == 1


def _is_row(text: str) -> bool:
    """Return whether a text is mostly made of neighbouring keys: qwertyuiopasdfg, poiuytrewq12345."""
    keys = "".join(character for character in text if character.isalnum())
    breaks = sum(one + after not in _NEIGHBOURS for one, after in itertools.pairwise(keys))
    return len(keys) >= _FEWEST and (breaks + 1) * _KEYS_IN_A_ROW <= len(keys)


@functools.cache
def _blocked() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415  only a new password needs the lists

    return frozenset(_folded(word) for word in FREQUENCY_LISTS["passwords"]) | frozenset(CONTEXT)
