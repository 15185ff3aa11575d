"""The tables of settings in docs/configuration.md and docs/single-sign-on.md, made from their rows.

`make settings-table` writes it; `tests/unit/test_config.py` fails where it is not written.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kiteward.config.keys import KEYS
from kiteward.config.oidc_keys import ENTRY_KEYS
from kiteward.config.sources import shown_as, variable_of

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
HEADING: Final = "## Settings\n"


ENTRY_PAGE: Final = PAGE.parent / "single-sign-on.md"
BEGIN: Final = "<!-- entry keys: begin -->\n"
END: Final = "<!-- entry keys: end -->\n"


def entry_table() -> str:
    """Return the table of the keys of an identity provider in Markdown."""
    rows = [
        (f"`{key.name}`", key.kind.takes, key.unset or shown_as(key.default) or "none", key.meaning)
        for key in ENTRY_KEYS
    ]
    return _lines(("key", "takes", "default", "meaning"), rows)


def with_entry_table(page: str) -> str:
    """Return a page with its table of the keys of an identity provider."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, "the page has no place for the table"
    assert end, "the place for the table has no end"
    return before + begin + entry_table() + end + after


def _lines(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def table() -> str:
    """Return the table in Markdown, one line for each key."""
    rows = [
        (
            f"`{key.name}`",
            f"`{variable_of(key.name)}`",
            key.kind.takes,
            key.unset or shown_as(key.default) or "none",
            key.meaning,
        )
        for key in KEYS
    ]
    return _lines(("key", "variable", "takes", "default", "meaning"), rows)


def with_table(page: str) -> str:
    """Return a page with its last section, `Settings`, replaced by the table."""
    before, heading, _ = page.partition(HEADING)
    assert heading, "the page has no section `Settings`"
    return before + heading + table()


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
    ENTRY_PAGE.write_text(with_entry_table(ENTRY_PAGE.read_text("utf-8")), "utf-8")
