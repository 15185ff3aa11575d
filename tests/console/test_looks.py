"""What holds for every page: assistive technology, both themes, narrow screens, both languages."""

import json
import re
import string
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from tests.console.conftest import PASSWORDS, Console
from tests.console.looks import looks_wrong, some_and_all, violations

from kiteward.api.console.language import catalogues, chosen

CONSOLE = Path(__file__).parents[2] / "src/kiteward/api/console"

EVERY_PAGE = (
    "account",
    "keys",
    "new-key",
    "collections",
    "collections/default/docs",
    "collections/default/docs/rows",
    "collections/default/docs/row?key=1",
    "collections/default/docs/search",
    "collections/default/docs/insert",
    "collections/default/docs/drop",
    "collections/default/docs/new-alias",
    "collections?q=none",
    "new-collection",
    "new-database",
    "connect",
    "users",
    "new-user",
    "users/reader",
    "users/reader/reset",
    "users/reader/view",
    "users/reader/delete",
    "roles",
    "new-role",
    "roles/docs_reader",
    "roles/docs_reader/delete",
    "compare-roles",
    "compare-roles?role=docs_reader&other=public",
    "matrix",
    "matrix?role=docs_reader",
    "matrix?role=docs_reader&columns=Collection",
    "groups",
    "new-group",
    "health",
    "audit",
    "audit?outcome=refused",
    "audit?database=default",
    "audit/lines/1",
    "overview",
    "unused?days=1",
    "unused?days=none",
    "tagged-users",
    "explain",
    "explain?user=reader&privilege=Search&collection=docs",
    "explain?user=reader&privilege=Insert&collection=docs",
    "no-such-page",
)


@some_and_all(EVERY_PAGE)
def test_axe_finds_nothing_on_pages_in_either_theme_and_none_is_wider_than_a_narrow_screen(
    console: Console, paths: Sequence[str]
) -> None:
    with console.signed_in("root") as page:
        found = looks_wrong(console, page, paths)
    assert not found, "\n".join(found)


def test_axe_finds_nothing_on_pages_that_something_was_done_on(console: Console) -> None:
    found = []
    with console.signed_in("root") as page:
        page.goto(f"{console.address}matrix?role=docs_reader")
        page.get_by_label("CollectionAdmin, default.docs").check()
        found += violations(page)
        page.get_by_role("button", name="Preview changes").click()
        expect(page.get_by_role("button", name="Apply changes")).to_be_visible()
        found += violations(page)
        page.get_by_role("button", name="Apply changes").click()
        expect(page.get_by_role("button", name="Undo")).to_be_visible()
        found += violations(page)
        page.get_by_role("button", name="Undo").press("Enter")
        expect(page.get_by_role("status").first).to_have_text("The change was undone.")
        expect(page.get_by_label("CollectionAdmin, default.docs")).not_to_be_checked()
        expect(page.get_by_role("button", name="Undo")).to_have_count(0)
        page.goto(f"{console.address}account")
        page.get_by_label("New password", exact=True).fill("short")
        found += violations(page)
        page.goto(f"{console.address}new-key")
        page.get_by_label("Networks").fill("wrong")
        page.get_by_role("button", name="Create API key").click()
        expect(page.locator("#networks-error")).to_be_visible()
        found += violations(page)
        page.get_by_label("Networks").fill("")
        page.get_by_role("button", name="Create API key").click()
        expect(page.locator("#secret")).to_be_visible()
        found += violations(page)
        page.goto(f"{console.address}sign-in?why=ended")
        found += violations(page)
        page.get_by_label("User").fill("nobody")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        found += violations(page)
    assert not found, "\n".join(found)


def test_everything_is_reached_by_the_keyboard(console: Console) -> None:
    with console.visitor() as context:
        page = context.new_page()
        page.goto(console.address)
        expect(page.get_by_label("User")).to_be_focused()
        page.keyboard.type("reader")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORDS["reader"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("My account")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()


def test_pages_speak_the_browsers_language(console: Console) -> None:
    with console.signed_in("root", locale="zh-CN") as page:
        expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
        page.goto(f"{console.address}no-such-page")
        expect(page.get_by_role("heading", level=1)).to_have_text("页面不存在")
        (cookie,) = page.context.cookies()
    asked = {"Accept-Language": "zh-CN", "Cookie": f"{cookie['name']}={cookie['value']}"}
    with httpx.Client(base_url=console.address, headers=asked, timeout=60) as client:
        for path in EVERY_PAGE:
            (navigation,) = re.findall(r'<nav class="side".*?</nav>', client.get(path).text, re.DOTALL)
            assert re.search(r"[\u4e00-\u9fff]", re.sub("<[^>]*>", "", navigation)), path


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr,de;q=0.9", "en"),
        ("fr, zh-TW;q=0.3", "zh"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=9", "en"),
        ("*;;,=", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_best(asked: str, given: str) -> None:
    assert chosen(asked) == given


def test_all_languages_say_the_same_things_about_the_same_values() -> None:
    found = {name: {key: values(text) for key, text in each.texts.items()} for name, each in catalogues().items()}
    assert found["en"] == found["zh"]
    for name, texts in found.items():
        assert list(json.loads((CONSOLE / f"strings/{name}.json").read_text("utf-8"))) == sorted(texts)


def values(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def test_every_text_that_pages_name_exists() -> None:
    files = (path for pattern in ("**/*.py", "templates/**/*.html") for path in CONSOLE.glob(pattern))
    sources = [path.read_text("utf-8") for path in files]
    named = {key for source in sources for key in re.findall(r"""\b(?:t|text)\(\s*"([a-z_.]+)"[,)]""", source)}
    named |= {f"field.{name}" for source in sources for name in re.findall(r"""\bField\(\s*"([a-z_]+)\"""", source)}
    named |= {f"done.{key}" for source in sources for key in re.findall(r"""\bdone="([a-z_]+)\"""", source)}
    for source in sources:
        for key in re.findall(r"""\bAction\(\s*"[^"]+",\s*"([a-z_]+)\"""", source):
            named |= {f"{key}.title", f"{key}.effect", f"{key}.button", f"done.{key}"}
        for key in re.findall(r"""\"(error\.[a-z_]+)\"""", source):
            named |= {f"{key}.title", f"{key}.what"}
    named -= {f"{key}.{part}" for key in ("error.html", "error.home") for part in ("title", "what")}
    assert len(named) > 150
    assert named <= set(catalogues()["en"].texts)
