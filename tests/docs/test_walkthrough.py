"""The pictures of the console are those of its pages, and the walk-through names only what they show."""

import json
import re
import struct
from pathlib import Path
from typing import Final

import pytest
from tests.console.conftest import opened_browser
from tests.console.pictures import DIRECTORY, PICTURES, RECORD, WIDTH, names_on, shown

ROOT: Final = Path(__file__).resolve().parents[2]
WALKTHROUGH: Final = ROOT / "docs/walkthrough.md"
LARGEST: Final = 150 * 1024
PICTURE: Final = re.compile(r"!\[[^\]]+\]\(([^)]+\.png)\)")


def recorded() -> dict[str, list[str]]:
    """Return the names that each picture showed when it was taken."""
    found: dict[str, list[str]] = json.loads(RECORD.read_text("utf-8"))
    return found


def shown_by(document: Path) -> set[Path]:
    """Return the pictures of a document."""
    return {(document.parent / path).resolve() for path in PICTURE.findall(document.read_text("utf-8"))}


def test_every_picture_is_taken_by_the_command_and_shown_by_the_walk_through() -> None:
    taken = {DIRECTORY / f"{each.name}.png" for each in PICTURES}
    assert taken == set(DIRECTORY.glob("*.png")) == shown_by(WALKTHROUGH)
    assert set(recorded()) == {each.name for each in PICTURES}


@pytest.mark.parametrize("document", ["README.md", "docs/console.md"])
def test_other_documents_show_some_of_these_pictures(document: str) -> None:
    pictures = shown_by(ROOT / document)
    assert pictures
    assert pictures < shown_by(WALKTHROUGH)


def test_pictures_are_small_and_of_one_width() -> None:
    for path in DIRECTORY.glob("*.png"):
        content = path.read_bytes()
        assert len(content) <= LARGEST, path
        assert struct.unpack(">I", content[16:20]) == (WIDTH,), path


def test_what_the_walk_through_names_is_in_the_pictures_of_its_section() -> None:
    sections = WALKTHROUGH.read_text("utf-8").split("\n## ")[1:]
    assert len(sections) > 5
    for section in sections:
        names = set(re.findall(r"\*\*(.+?)\*\*", section))
        assert names, f"nothing is named in: {section}"
        there = {name for path in PICTURE.findall(section) for name in recorded()[Path(path).stem]}
        assert names <= there, section.partition("\n")[0]


def test_pages_still_show_what_the_pictures_do() -> None:
    with opened_browser() as browser, shown(browser, busy=False) as pages:
        now = {picture.name: names_on(page) for picture, page in pages}
    assert now == recorded(), "the pages have changed: `make pictures`, then read docs/walkthrough.md again"
