"""Which passwords are guessed first: common ones, words of the context, repetitions, sequences, and what adds to them.

A rule of NIST SP 800-63B-4 (3.1.1.2) and OWASP ASVS 5 (6.2): a new password is compared with a list of common passwords
and words of the context. The whole password is judged: a long phrase of ordinary words is welcome.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

CONTEXT_WORDS: Final = frozenset(
    {"milvus", "kiteward", "zilliz", "root", "admin", "administrator", "public", "vector", "database", "password"}
)
"""Words that somebody who attacks this service tries first."""

_SEQUENCES: Final = tuple(
    way
    for sequence in (
        "abcdefghijklmnopqrstuvwxyz",
        "01234567890",
        "qwertyuiop",
        "asdfghjkl",
        "zxcvbnm",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
        "!@#$%^&*()",
    )
    for way in (sequence, sequence[::-1])
)
_SHORTEST_RUN: Final = 3
_LEAST_OF_ITS_OWN: Final = 6
"""Characters that must be left of a password when the words, digits and sequences in it are taken away."""

_SHORTEST_NAME: Final = 3
_LOOK_ALIKES: Final = str.maketrans("@4301$57", "aaeolsst")


def guessable(text: str, user_name: str) -> list[str]:
    """Return why a password is guessed soon, one reason for each rule it breaks; nothing of the password is in them.

    Args:
        text: the password.
        user_name: whose it is to be; a word of the context.
    """
    folded = _folded(text)
    unit = _unit(folded)
    reasons = []
    if len(unit) < len(folded):
        reasons.append("it must not repeat one shorter text")
    if len(_without_runs(folded)) < _LEAST_OF_ITS_OWN:
        reasons.append("it must not be a sequence such as 123456 or qwerty")
    if any(_built_on_common(each) for each in (folded, unit)):
        reasons.append("it must not be a common password, nor one with digits or signs around it")
    if _built_on_context(folded, user_name):
        reasons.append("it must not be made of the user name or words of this service")
    return reasons


def _folded(text: str) -> str:
    """Return the form in which texts are compared: compatible characters and upper and lower case are one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@cache
def common_passwords() -> frozenset[str]:
    """Return the common passwords, in the form in which they are compared."""
    lines = resources.files("kiteward.authn").joinpath("common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(_folded(line) for line in lines if line and not line.startswith("#"))


def _unit(text: str) -> str:
    """Return the shortest text that repeated, the last time perhaps in part, is at least twice the whole."""
    for size in range(1, len(text) // 2 + 1):
        if text[size:] == text[:-size]:
            return text[:size]
    return text


def _without_runs(text: str) -> str:
    """Return what is left without runs along the alphabet, the digits and the rows of a keyboard."""
    left, at = [], 0
    while at < len(text):
        length = max(_run_length(text, at, sequence) for sequence in _SEQUENCES)
        if length < _SHORTEST_RUN:
            left.append(text[at])
            length = 1
        at += length
    return "".join(left)


def _run_length(text: str, at: int, sequence: str) -> int:
    """Return how many characters from `at` on follow the sequence, wherever in it they begin."""
    place, length = sequence.find(text[at]), 0
    while (
        place >= 0
        and place + length < len(sequence)
        and text[at + length : at + length + 1] == sequence[place + length]
    ):
        length += 1
    return length


def _cores(text: str) -> Iterable[str]:
    """Return a text, and what is left of it as digits and signs are taken off its ends; each with a letter."""
    yield text
    letters = [place for place, character in enumerate(text) if character.isalpha()]
    if letters:
        first, last = letters[0], letters[-1] + 1
        yield from (text[start:end] for start in range(first + 1) for end in range(last, len(text) + 1))


def _spellings(text: str) -> Iterable[str]:
    """Return a text and what it stands for with digits and signs read as the letters they look like."""
    return text, text.translate(_LOOK_ALIKES), text.translate(_LOOK_ALIKES | {ord("1"): "i"})


def _built_on_common(text: str) -> bool:
    common = common_passwords()
    return any(spelling in common for core in _cores(text) for spelling in _spellings(core))


def _built_on_context(text: str, user_name: str) -> bool:
    """Tell whether hardly anything but words of the context is in a password that has one."""
    name = _folded(user_name)
    words = CONTEXT_WORDS | ({name} if len(name) >= _SHORTEST_NAME else set())
    for spelling in _spellings(text):
        left = spelling
        for word in sorted(words, key=len, reverse=True):
            left = left.replace(word, " ")
        own = "".join(character for character in _without_runs(left) if character.isalpha())
        if left != spelling and len(own) < _LEAST_OF_ITS_OWN:
            return True
    return False
