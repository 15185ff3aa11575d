"""Sections of documents that tests write: they hold what was found, and a run that finds something else fails."""

from pathlib import Path
from typing import Final

import pytest

_END: Final = "<!-- up to here -->"


def demand(document: Path, writer: str, found: str) -> None:
    """Demand that a document says what was found, and write it there if it said something else.

    Args:
        document: a Markdown file that names the writer in a comment, at the beginning of its part.
        writer: path of the tests that write it, below the repository.
        found: the part, without a newline at its end.
    """
    begin = f"<!-- written by {writer} -->"
    text = document.read_text(encoding="utf-8")
    head, mark, rest = text.partition(begin)
    assert mark, f"{document.name} has no part of {writer}"
    _, _, tail = rest.partition(_END)
    anew = f"{head}{begin}\n{found}\n{_END}{tail}"
    if anew != text:
        document.write_text(anew, encoding="utf-8")
        pytest.fail(f"{document.name} said something else; it has been written again, to be read and committed")
