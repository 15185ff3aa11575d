"""docs/asvs.md has every requirement of two chapters of OWASP ASVS 5.0.0 once, and the tests that it names exist."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "asvs.md"

LEVELS = {
    "9.1": "111",
    "9.2": "1222",
    "10.1": "22",
    "10.2": "223",
    "10.3": "22223",
    "10.4": "1111122222233333",
    "10.5": "22222",
    "10.6": "22",
    "10.7": "222",
}
"""Section -> the levels of its requirements, the first one first, as the standard has them."""

RESULTS = {"met", "not met", "does not apply"}
PARTS = {"RS", "client", "issuer", "none"}

_NUMBER = re.compile(r"\d+\.\d+\.\d+")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_MODULE = re.compile(r"`([a-z_]+(?:/[a-z0-9_]+)+\.py)`")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A row of the table."""

    number: str
    level: str
    words: str
    parts: frozenset[str]
    result: str
    how: str
    tests: str


def requirements() -> Iterator[Requirement]:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if _NUMBER.fullmatch(cells[0]):
            assert len(cells) in (6, 7), line
            number, level, words, parts, result, how, *tests = cells
            yield Requirement(
                number, level, words, frozenset(parts.split(", ")), result, how.rstrip(" |"), "".join(tests)
            )


@cache
def defined_in(file: str) -> frozenset[str]:
    """Return the names of the tests that a file defines, as pytest collects them."""
    tree = ast.parse((PROJECT / file).read_text(encoding="utf-8"))
    functions = (each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(each.name for each in functions if each.name.startswith("test_"))


def test_every_requirement_is_there_once_with_its_level() -> None:
    expected = [
        (f"{section}.{number}", level) for section, levels in LEVELS.items() for number, level in enumerate(levels, 1)
    ]
    assert [(each.number, each.level) for each in requirements()] == expected


@pytest.mark.parametrize("row", list(requirements()), ids=lambda row: row.number)
def test_a_row_is_complete_and_what_is_met_is_proved(row: Requirement) -> None:
    assert row.words
    assert row.how
    assert row.result in RESULTS
    assert row.parts <= PARTS
    modules = _MODULE.findall(row.how)
    assert all((PROJECT / "src" / "kiteward" / module).is_file() for module in modules), modules
    if row.result != "does not apply":
        assert _TEST.search(row.tests), "it names no test"
        assert modules, "it names no module"
    assert re.sub(_TEST, "", row.tests).strip(" ,|") == "", "it names something else than tests"


def test_every_test_that_the_page_names_exists() -> None:
    named = _TEST.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > len(list(requirements()))
    missing = [f"{file}::{name}" for file, name in named if name not in defined_in(file)]
    assert missing == []
    assert all(Path(file).name.startswith("test_") for file, _ in named)


def test_the_summary_counts_what_is_not_met() -> None:
    not_met = [each for each in requirements() if each.result == "not met"]
    assert {each.level for each in not_met} == {"3"}
    assert len(not_met) == 3
    assert "Of level 3, three are **not met**" in PAGE.read_text(encoding="utf-8")
