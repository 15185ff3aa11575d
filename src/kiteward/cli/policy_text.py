"""Writes what a policy as code changes, for people."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TextIO

from kiteward.cli.output import printable

_SIGNS: Final = {"add": "+", "change": "~", "remove": "-"}
_COLOURS: Final = {"add": "\x1b[32m", "change": "\x1b[33m", "remove": "\x1b[31m"}
_PLAIN: Final = "\x1b[0m"
_KINDS: Final = {
    "privilegeGroup": "privilege group",
    "role": "role",
    "user": "user",
    "rowPolicies": "row policies of",
    "groupRole": "group role",
}


def has_colours(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that shows colours; `NO_COLOR` says that it is none."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def lines_of(changes: Sequence[Mapping[str, Any]], *, coloured: bool, allow_deletions: bool) -> Iterator[str]:
    """Yield the lines of a plan: an object each, with what differs below it.

    Args:
        changes: the changes of `PlanPolicy` or `ApplyPolicy`.
        coloured: whether additions, changes and removals have colours.
        allow_deletions: whether deletions are allowed; if not, they are marked.
    """
    for change in changes:
        note = "" if allow_deletions or not change["deletion"] else "  (needs --allow-deletions)"
        yield _line(change["action"], f"{_KINDS[change['kind']]} {change['name']}{note}", coloured=coloured)
        for each in change["differences"]:
            yield "    " + _line(each["action"], _difference(each), coloured=coloured)


def summary(changes: Sequence[Mapping[str, Any]], *, done: bool) -> str:
    """Return how many objects are added, changed and removed, or will be."""
    counts = Counter(change["action"] for change in changes)
    words = ("added", "changed", "removed") if done else ("to add", "to change", "to remove")
    told = ", ".join(f"{counts[action]} {word}" for action, word in zip(_SIGNS, words, strict=True))
    return f"{len(changes)} {'change' if len(changes) == 1 else 'changes'}: {told}"


def _difference(each: Mapping[str, Any]) -> str:
    match each["before"], each["after"]:
        case "", "":
            return str(each["what"])
        case "", after:
            return f"{each['what']}: {after}"
        case before, "":
            return f"{each['what']}: {before}"
        case before, after:
            return f"{each['what']}: {before} -> {after}"


def _line(action: str, text: str, *, coloured: bool) -> str:
    shown = f"{_SIGNS[action]} {printable(text)}"
    return f"{_COLOURS[action]}{shown}{_PLAIN}" if coloured else shown
