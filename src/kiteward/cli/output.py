"""What commands print: JSON, tables as wide as the terminal, and lines."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

_NARROWEST: Final = 6
"""The fewest characters of a cell that is cut."""

_GAP: Final = "  "


def print_json(answer: Any) -> None:
    """Print one JSON document."""
    print(json_of(answer))


def json_of(answer: Any) -> str:
    """Return one JSON document. Its texts are as they are, but for characters that control a terminal."""
    text = json.dumps(answer, indent=2, ensure_ascii=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(each if each == "\n" or each.isprintable() else json.dumps(each)[1:-1] for each in text)


def say(*lines: str) -> None:
    """Print lines for people: what a command answers. What one has in it neither controls the terminal nor ends it."""
    print("\n".join(map(printable, lines)))


def note(text: str) -> None:
    """Print a line for people, beside what a command answers."""
    print(printable(text), file=sys.stderr, flush=True)


def spelled_out(answer: Any) -> Any:
    """Return a response for people: none of its texts controls a terminal, and none has a line of its own.

    Names and descriptions are chosen by others, also in requests that were refused. Lines are written by what puts the
    texts together.
    """
    match answer:
        case str():
            return printable(answer)
        case dict():
            return type(answer)((printable(name), spelled_out(value)) for name, value in answer.items())
        case list():
            return list(map(spelled_out, answer))
        case _:
            return answer


def text_of(answer: Any, *, columns: Sequence[str] = (), whole: bool = False) -> str:
    """Return a response as text: a line for each member, or a table.

    Args:
        answer: the response.
        columns: the columns of a table; empty for all.
        whole: whether a table may be wider than the terminal.
    """
    if isinstance(answer, list):
        rows = [row if isinstance(row, dict) else {"name": row} for row in answer]
        return table([{name: row[name] for name in columns or row} for row in rows], whole=whole)
    return "\n".join(f"{_words(name)}: {_cell(value)}" for name, value in answer.items() if value is not None) or "done"


def table(rows: Sequence[Mapping[str, Any]], *, whole: bool = False) -> str:
    """Return rows as a table; `none` without any. On a terminal, its widest cells are cut to fit, unless `whole`."""
    if not rows:
        return "none"
    lines = [list(map(_words, rows[0])), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    if sys.stdout.isatty() and not whole:
        widths = _fitting(widths, shutil.get_terminal_size().columns)
    return "\n".join(_GAP.join(map(_cut, line, widths)).rstrip() for line in lines)


def _fitting(widths: list[int], room: int) -> list[int]:
    """Return the widths of columns, of which the widest are cut until the table fits, as far as that makes sense.

    Args:
        widths: how wide the columns want to be.
        room: how wide the table may be.
    """
    widths = list(widths)
    left = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    while left > 0 and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
        left -= 1
    return widths


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _words(name: str) -> str:
    return printable("".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name))


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{printable(key)}={_cell(each)}" for key, each in value.items()) or "none"
        case list():
            mark = "; " if value and isinstance(value[0], dict) else ", "
            return mark.join(map(_cell, value)) or "none"
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """Return a text without characters that control a terminal; they are shown as JSON shows them."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() and each not in '"\\' else json.dumps(each)[1:-1] for each in text)
