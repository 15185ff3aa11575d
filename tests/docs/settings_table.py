"""The table of settings in docs/configuration.md, made from the rows of `kiteward.config.keys`.

`make settings-table` writes it; `tests/unit/test_config.py` fails where it is not written.
"""

from pathlib import Path
from typing import Final

from kiteward.config.keys import KEYS
from kiteward.config.sources import shown_as, variable_of

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
HEADING: Final = "## Settings\n"


def table() -> str:
    """Return the table in Markdown, one line for each key."""
    lines = ["| key | variable | takes | default | meaning |", "| --- | --- | --- | --- | --- |"]
    for key in KEYS:
        default = key.unset or shown_as(key.default) or "none"
        cells = (f"`{key.name}`", f"`{variable_of(key.name)}`", key.kind.takes, default, key.meaning)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """Return a page with its last section, `Settings`, replaced by the table."""
    before, heading, _ = page.partition(HEADING)
    assert heading, "the page has no section `Settings`"
    return before + heading + table()


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
