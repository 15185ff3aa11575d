"""Takes the pictures of docs/walkthrough.md and writes what they show: `make pictures`.

Beside the pictures, docs/console/pictures.json has the names of what each of them shows: headings, table heads, links,
buttons and labels, as far as they are texts of the console. tests/docs/test_walkthrough.py holds the document against
that file, and the file against the pages as they are.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from unittest.mock import patch

from playwright.sync_api import Browser, Page
from tests.console.conftest import Console, console_at, opened_browser
from tests.console.example import ADMINISTRATOR, PASSWORD, Example
from tests.support import server_in_thread

from kiteward.api.console.language import catalogues
from kiteward.bootstrap import activity
from kiteward.engine.embedded.supervisor import EmbeddedEngine
from kiteward.telemetry.activity import Activity

DIRECTORY: Final = Path(__file__).resolve().parents[2] / "docs/console"
RECORD: Final = DIRECTORY / "pictures.json"
WIDTH: Final = 1280
TALLEST: Final = 900

_MINUTES: Final = 58
_SAMPLE: Final = 0.05
_NAMED: Final = """() => [...document.querySelectorAll("h1,h2,h3,th[scope=col],a,button,label,summary,legend")]
    .filter((each) => each.checkVisibility())
    .flatMap((each) => {
        const texts = document.createTreeWalker(each, NodeFilter.SHOW_TEXT), found = [];
        while (texts.nextNode()) found.push(texts.currentNode.data.trim());
        return found;
    })"""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Attributes:
        name: of its file, without the suffix.
        path: of the page, below `/console/`.
        then: what is done on the page before the picture is taken, if anything.
        theme: light or dark.
        untouched: whether it shows a server on which nothing was made, to root; the others show the example.
    """

    name: str
    path: str
    then: Callable[[Page], None] | None = None
    theme: str = "light"
    untouched: bool = False


def _choose(page: Page) -> None:
    page.get_by_label("Insert, default.articles").check()
    page.get_by_label("Search, default.manuals").check()


def _preview(page: Page) -> None:
    _choose(page)
    page.get_by_role("button", name="Preview changes").click()
    page.get_by_role("button", name="Apply changes").wait_for()


def _newest(page: Page) -> None:
    page.locator("table.trail-lines td a").first.click()
    page.wait_for_url("**/audit/lines/*")


PICTURES: Final = (
    Picture("first-steps", "first-steps", untouched=True),
    Picture("overview", "overview"),
    Picture("users", "users"),
    Picture("matrix", "matrix?role=support_reader&columns=Collection", _choose),
    Picture("preview", "matrix?role=support_reader&columns=Collection", _preview),
    Picture("explain", "explain?user=lars&privilege=Delete&collection=articles"),
    Picture("rows", "collections/default/articles/rows?view_as=lars"),
    Picture("search", "collections/default/articles/search?field=vector&like=7", theme="dark"),
    Picture("line", "audit?user=lars&operation=Delete&outcome=refused", _newest),
)


class Morning:
    """The time of the overview's charts: an hour of requests passes in a minute.

    Attributes:
        behind: how many seconds the charts are behind the clock.
    """

    def __init__(self) -> None:
        self.behind = 0.0

    def now(self) -> float:
        """Return the time of the charts."""
        return time.time() - self.behind

    def pass_with(self, example: Example) -> None:
        """Let an hour pass, and send the requests of its minutes."""
        for number in range(_MINUTES):
            self.behind = 60.0 * (_MINUTES - number)
            example.minute(number)
            time.sleep(3 * _SAMPLE)  # several samples, so that the requests are counted in this minute
        self.behind = 0.0


@contextmanager
def shown(browser: Browser, *, busy: bool) -> Iterator[Iterator[tuple[Picture, Page]]]:
    """Yield each picture with the page that it shows.

    Args:
        browser: opens the pages.
        busy: whether the server has been busy for an hour, which takes half a minute.
    """
    morning = Morning()
    morning.behind = 60.0 * _MINUTES if busy else 0.0
    counting = patch.multiple(activity, Activity=partial(Activity, clock=morning.now), _SAMPLE_SECONDS=_SAMPLE)
    with (
        tempfile.TemporaryDirectory() as data,
        counting,
        server_in_thread.running(Path(data), start_engine=EmbeddedEngine.start) as (uri, _),
    ):
        yield _pages(console_at(uri, browser), morning if busy else None)


def _pages(console: Console, morning: Morning | None) -> Iterator[tuple[Picture, Page]]:
    example = Example(console.server.uri)
    yield from _opened(console, "root", [each for each in PICTURES if each.untouched])
    with example.client:
        example.fill()
        if morning:
            morning.pass_with(example)
        example.refused()
    yield from _opened(console, ADMINISTRATOR, [each for each in PICTURES if not each.untouched], PASSWORD)


def _opened(
    console: Console, user: str, pictures: list[Picture], password: str | None = None
) -> Iterator[tuple[Picture, Page]]:
    options = {"viewport": {"width": WIDTH, "height": 720}, "reduced_motion": "reduce"}
    with console.signed_in(user, password, new=True, **options) as page:
        for picture in pictures:
            page.emulate_media(color_scheme="dark" if picture.theme == "dark" else "light")
            page.goto(f"{console.address}{picture.path}")
            if picture.then:
                picture.then(page)
            yield picture, page


def names_on(page: Page) -> list[str]:
    """Return the texts of the console in headings, table heads, links, buttons and labels of a page, in order."""
    texts = set(catalogues()["en"].texts.values())
    return sorted(texts.intersection(page.evaluate(_NAMED)))


def main() -> int:
    """Take the pictures and write what they show."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    record = {}
    with opened_browser() as browser, shown(browser, busy=True) as pages:
        for picture, page in pages:
            record[picture.name] = names_on(page)
            page.mouse.move(0, 0)
            height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
            page.set_viewport_size({"width": WIDTH, "height": height})
            page.screenshot(path=DIRECTORY / f"{picture.name}.png")
            page.set_viewport_size({"width": WIDTH, "height": 720})
    RECORD.write_text(f"{json.dumps(record, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
    print(f"{len(record)} pictures in {DIRECTORY}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
