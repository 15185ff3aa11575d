"""Suggestions for misspelt keys."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

_MOST: Final = 2
"""Letters that may be wrong: put in, left out, replaced, or swapped with their neighbour."""

_OF_SHORT_KEYS: Final = 8
"""In a key of fewer letters, one may be wrong."""


def closest(given: str, known: Iterable[str]) -> str | None:
    """Return the known key of which a key is probably a misspelling, or None.

    Args:
        given: the key, which is none of the known ones.
        known: the known keys.
    """
    most = 1 if len(given) < _OF_SHORT_KEYS else _MOST
    near = [each for each in known if abs(len(each) - len(given)) <= most]
    ranked = sorted((_distance(given.lower(), each.lower()), each) for each in near)
    return ranked[0][1] if ranked and ranked[0][0] <= most else None


def misspelt(document: Mapping[Any, object], known: frozenset[str], sections: frozenset[str]) -> Mapping[str, str]:
    """Return the keys of Milvus's sections that are probably misspellings of keys that are read, and of which.

    Most keys of a `milvus.yaml` are not read here, so that an unknown one is no error.

    Args:
        document: the sections of a configuration file.
        known: the dotted keys that are read.
        sections: the names of the sections that a `milvus.yaml` may have.
    """
    found = {}
    for section, content in document.items():
        if section in sections:
            near = frozenset(key for key in known if key.partition(".")[0] == section)
            doubtful = (key for key in dotted(content, f"{section}.") if key not in near)
            found.update({key: meant for key in doubtful if (meant := closest(key, near))})
        elif isinstance(section, str) and (meant := closest(section, sections)):
            found[section] = meant
    return found


def dotted(section: object, prefix: str = "") -> list[str]:
    """Return the dotted keys of the values in a section."""
    if not isinstance(section, dict):
        return [prefix.rstrip(".")] if prefix else []
    return [key for name, value in section.items() for key in dotted(value, f"{prefix}{name}.")]


def _distance(one: str, other: str) -> int:
    """Return how many letters differ, with two neighbours that are swapped counted as one."""
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1]
