"""What is wrong with how pages look: to assistive technology, in both themes, and on screens of every width."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page
from tests.console.conftest import Console

NARROW: Final = 360
WIDTHS: Final = (390, 1280, 1920)

_MEASURE: Final = Path(__file__).with_name("layout.js").read_text("utf-8")

_EVERY_RULE: Final[dict[str, Any]] = {"resultTypes": ["violations"]}
_RULES_OF_COLOURS: Final[dict[str, Any]] = {**_EVERY_RULE, "runOnly": ["color-contrast", "link-in-text-block"]}

_FOUND: Final = """async (options) => (await axe.run(options)).violations
    .map((each) => `${each.id}: ${each.nodes[0].html.slice(0, 150)}`)"""
"""Returns a line for each rule that is broken: all that axe has looked at would be megabytes."""


def some_and_all(paths: Sequence[str]) -> pytest.MarkDecorator:
    """Give a test the argument `paths`: every fourth page as a short form, and all of them where heavy tests run.

    axe takes about a second of a core for a page.
    """
    every = pytest.param(paths, id="all", marks=[pytest.mark.heavy, pytest.mark.timeout(900)])
    return pytest.mark.parametrize("paths", [pytest.param(paths[::4], id="some"), every])


def violations(page: Page) -> list[str]:
    """Return what axe finds in the light theme, and in the dark one, from which only colours differ."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    page.emulate_media(color_scheme="light")
    found = page.evaluate(_FOUND, _EVERY_RULE)
    page.emulate_media(color_scheme="dark")
    found += page.evaluate(_FOUND, _RULES_OF_COLOURS)
    return [f"{page.url}: {each}" for each in found]


@contextmanager
def of_width(page: Page, width: int) -> Iterator[None]:
    """Give a page a screen of another width for as long as the block lasts."""
    usual = page.viewport_size
    assert usual is not None
    page.set_viewport_size({"width": width, "height": 740})
    yield
    page.set_viewport_size(usual)


def is_too_wide(page: Page) -> bool:
    """Return whether a page is wider than a narrow screen; the page has its own screen again behind it."""
    with of_width(page, NARROW):
        width: int = page.evaluate("document.documentElement.scrollWidth")
    return width > NARROW


def laid_out_wrong(page: Page, widths: Sequence[int] = WIDTHS) -> list[str]:
    """Return what layout.js measures on screens of several widths: labels, baselines, fields and tables."""
    found = []
    for width in widths:
        with of_width(page, width):
            found += [f"{page.url} at {width} px: {each}" for each in page.evaluate(_MEASURE)]
    return found


def looks_wrong(console: Console, page: Page, paths: Sequence[str]) -> list[str]:
    """Return what axe finds on pages, which of them are wider than a narrow screen, and how they are laid out wrong."""
    found = []
    for path in paths:
        page.goto(f"{console.address}{path}")
        found += violations(page)
        if is_too_wide(page):
            found.append(f"{path} is too wide")
        found += laid_out_wrong(page)
    return found
