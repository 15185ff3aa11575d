"""Privileges in forms: by level, each once, by one helper."""

import html
import re
from pathlib import Path
from typing import Final

import pytest
from tests.unit.api.console.test_app import Browser, browsing

import kiteward.api.console
from kiteward.api.console.language import Language, catalogues
from kiteward.api.console.privilege_choices import privileges_by_level
from kiteward.authz.privileges import PRIVILEGES, Level

LEVELS: Final = ["Cluster privileges", "Database privileges", "Collection privileges"]


@pytest.mark.parametrize("language", catalogues().values(), ids=catalogues())
def test_every_privilege_is_offered_once_at_its_level(language: Language) -> None:
    levels = privileges_by_level(language)
    assert sorted(name for _, names in levels for name in names) == sorted(PRIVILEGES)
    assert [{PRIVILEGES[name].level for name in names} for _, names in levels] == [{level} for level in Level]


async def test_a_question_and_a_group_offer_privileges_by_level() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await _offers(browser, "explain?privilege=Search", r'<optgroup label="([^"]*)">', "<option selected>Search")
        section = r'<p class="section">([^<]*)</p>'
        await _offers(browser, "new-group", section, 'name="privileges" value="Search">')
        await browser.harness.succeed("CreatePrivilegeGroup", group_name="own")
        await _offers(browser, "groups/own", section, 'name="privileges" value="Search">')


async def _offers(browser: Browser, path: str, heading: str, search: str) -> None:
    page = html.unescape((await browser.open(path)).text)
    assert re.findall(heading, page) == LEVELS, path
    assert page.index(LEVELS[2]) < page.index(search), path
    assert page.index(LEVELS[0]) < page.index("CreateDatabase") < page.index(LEVELS[1]), path


def test_no_other_page_makes_a_list_of_privileges() -> None:
    source = Path(kiteward.api.console.__file__).parent
    listing = [
        path.name for path in source.rglob("*.py") if re.search(r"\(PRIVILEGES\)|\*PRIVILEGES", path.read_text())
    ]
    assert listing == ["completion.py"], "a page that chooses privileges uses `privileges_by_level`"
