"""The settings of what requests may hold."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

Providers = frozenset[tuple[str, str]]
"""Names of providers, each with an address that a request may name; `""`: a request names the provider only."""

_ENTRY: Final = re.compile(r"([a-z0-9_]+)(?:=(https?://[^\s/?#@\\]+(?:/[^\s?#\\]*)?))?")


class UnknownParameters(StrEnum):
    """What happens to parameters with names that are not known, and not protected."""

    FORWARD = "forward"
    REFUSE = "refuse"

    __hash__ = str.__hash__


def providers_in(entries: Iterable[str]) -> Providers:
    """Return the providers of a list of entries: `openai`, or `tei=https://tei.example:8080`.

    Raises:
        ValueError: an entry is not written so. The message completes a sentence that begins with the name of the
            setting, and does not contain the entry.
    """
    found = set()
    for entry in entries:
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(
                "must list providers in small letters, as openai, or with the address that requests may name, as "
                "tei=https://tei.example:8080, which has no user, query or fragment"
            )
        found.add((match[1], match[2] or ""))
    return frozenset(found)
