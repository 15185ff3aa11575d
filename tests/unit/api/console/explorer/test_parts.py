"""The parts that pages of a collection share: tabs, of which one is the current one."""

import re

from tests.unit.api.console.explorer.exploring import HERE, exploring

from kiteward.api.console.pages import PAGES

_COLLECTION = "collections/{database}/{name}"
_NAMES = {"{policy}": "own", "{alias}": "other", "{partition}": "p"}


def paths() -> list[str]:
    """Return the paths of all pages of a collection."""
    found = []
    for page in PAGES:
        if page.path == _COLLECTION or page.path.startswith(f"{_COLLECTION}/"):
            path = page.path.replace(_COLLECTION, HERE)
            for placeholder, name in _NAMES.items():
                path = path.replace(placeholder, name)
            found.append(path)
    return found


async def test_every_page_with_tabs_marks_one_of_them_as_the_one_that_it_belongs_to() -> None:
    current = {}
    async with exploring("Query", "Search", "Delete", "Insert", "ManageRLS") as browser:
        for path in paths():
            query = "?key=1" if path.startswith(f"{HERE}/row") else ""
            pages = [await browser.open(f"{path}{query}"), await browser.send(path, selected="1", vector="[")]
            for page in pages:
                for tabs in re.findall(r'<ul class="explorer-tabs".*?</ul>', page.text, re.DOTALL):
                    (current[path.removeprefix(HERE)],) = re.findall(r'aria-current="\w+">([^<]*)', tabs)
    assert current == {
        "": "Schema",
        "/rows": "Rows",
        "/row": "Rows",
        "/rows/delete": "Rows",
        "/search": "Vector search",
    }
