"""How pages are laid out: what the measurement finds, and what it cannot see."""

from typing import Any

import pytest
from playwright.sync_api import expect
from tests.console.conftest import Console
from tests.console.looks import laid_out_wrong

_STYLES = "const style = document.createElement('style'); document.head.append(style); style.textContent ="
"""A style sheet that the page itself could not have: the test goes round its policy."""

_CONTRAST = """() => {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const luminance = (element) => {
        pen.fillStyle = getComputedStyle(element).backgroundColor;
        pen.fillRect(0, 0, 1, 1);
        const parts = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((each) => each / 255);
        const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        const [red, green, blue] = parts.map(linear);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const hit = document.querySelector("dialog a:focus") ?? document.querySelector("dialog .first a");
    const both = [luminance(hit), luminance(hit.closest("dialog"))].sort((one, other) => one - other);
    return (both[1] + 0.05) / (both[0] + 0.05);
}"""


@pytest.mark.parametrize(
    ("path", "styles", "what"),
    [
        ("new-collection", "label:has(> input) { display: block !important; width: 9rem }", "goes on below its box"),
        ("new-collection", "label > input[type=checkbox] { margin-top: 3rem !important }", "the line of its box"),
        ("account", "td.actions { padding-top: 1rem }", "px below the line of its row"),
        ("users", ".list-many button { margin-bottom: 5px }", "px below <select #change>"),
        ("users", ".heading .button.main { margin-top: 8px }", "<a> New user stands 4 px below"),
        ("users", ".search > .pair + .pair { margin-left: -9rem }", "lies over <label>"),
        ("keys", ".search > .pair > label { width: 6rem; white-space: normal !important }", "<label> Key, user or"),
        ("audit", ".pair > select { width: 5rem; min-width: 0 }", "px off “Did it or was affected”"),
        ("unused?days=none", "[aria-invalid] { width: 20rem }", "px wide with an error"),
        ("users", ".list-many .pair { gap: 2px }", "is 2 px from its field"),
        ("audit", "td.fixed details > summary { width: 5rem; white-space: normal }", "is broken into lines"),
        ("users", ".wide > table { width: calc(100% + 6px) }", "hides"),
        ("audit", ".fact .hint { width: 1.5rem }", "is broken into lines"),
        ("groups", "summary { width: 16rem } summary .hint { display: inline }", "is broken into lines"),
        ("new-group", ".checks { grid-template-columns: repeat(4, 12rem) !important }", "broken inside its name"),
    ],
)
def test_what_is_laid_out_wrong_is_found(console: Console, path: str, styles: str, what: str) -> None:
    with console.signed_in("root", bypass_csp=True) as page:
        page.goto(f"{console.address}{path}")
        assert laid_out_wrong(page, [1280]) == []
        page.evaluate(f"() => {{ {_STYLES} `{styles}`; }}")
        found = laid_out_wrong(page, [1280])
    assert any(what in each for each in found), found


@pytest.mark.parametrize(
    ("path", "spoils", "what"),
    [
        ("overview", "document.querySelector('.periods [aria-current]').ariaCurrent = null", "one current tab"),
        ("collections/default/docs", "document.querySelector('main [aria-current]').ariaCurrent = null", "one current"),
        ("users", "document.querySelector('thead th:last-child').innerText = 'State'", "two columns “State”"),
        ("users", "document.querySelector('nav.side a').ariaCurrent = 'page'", "several current links"),
        ("users", r"document.querySelector('.note a').innerText = 'First\nsteps'", "steps is broken into lines"),
    ],
)
def test_what_cannot_be_told_apart_is_found(console: Console, path: str, spoils: str, what: str) -> None:
    with console.signed_in("root") as page:
        page.goto(f"{console.address}{path}")
        assert laid_out_wrong(page, [1280]) == []
        page.evaluate(f"() => {{ {spoils}; }}")
        assert any(what in each for each in laid_out_wrong(page, [1280]))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_that_enter_opens_stands_out_in_the_list_of_pages(console: Console, theme: str) -> None:
    with console.signed_in("root", color_scheme=theme) as page:
        page.goto(f"{console.address}users")
        page.keyboard.press("Control+k")
        expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate(_CONTRAST) >= 3
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        expect(page.locator("dialog a").nth(1)).to_be_focused()
        assert page.evaluate(_CONTRAST) >= 3


def test_fields_side_by_side_are_on_one_line_also_where_they_are_wrong(console: Console) -> None:
    fields = {"requests_per_second": "lots", "burst": "5", "concurrent_requests": "6"}
    with console.signed_in("root", viewport={"width": 1280, "height": 800}) as page:
        page.goto(f"{console.address}users/reader/limits")
        for name, value in fields.items():
            page.fill(f"#{name}", value)
        page.locator("main form button.main").click()
        expect(page.locator("#requests_per_second-error")).to_be_visible()
        tops = {page.locator(f"#{name}").evaluate("each => each.getBoundingClientRect().top") for name in fields}
        assert len(tops) == 1


def test_a_time_that_is_wrong_has_the_width_of_one_that_is_right(console: Console) -> None:
    with console.signed_in("root", viewport={"width": 1280, "height": 800}) as page:
        page.goto(f"{console.address}audit?since=2026-12-01T00:00&until=2026-11-01T00:00")
        expect(page.locator("#until-error")).to_be_visible()
        widths = {page.locator(each).evaluate("each => each.offsetWidth") for each in ("#since", "#until")}
        assert len(widths) == 1


def test_the_actions_of_api_keys_cover_no_column_on_a_laptop(console: Console) -> None:
    wanted: dict[str, Any] = {"description": "of a program that runs at night", "expiresIn": 86_400}
    made = console.rest("kiteward/api_keys/create", userName="reader", **wanted)
    with console.signed_in("root", viewport={"width": 1280, "height": 800}) as page:
        page.goto(f"{console.address}keys?user=reader")
        expect(page.get_by_text("of a program that runs at night")).to_be_visible()
        assert page.locator(".wide").evaluate("each => each.scrollWidth - each.clientWidth") == 0
    console.rest("kiteward/api_keys/revoke", keyId=made["keyId"])


def test_long_names_push_no_column_of_a_list_out_of_sight_on_a_laptop(console: Console) -> None:
    user, role = "nightly_import_of_the_warehouse_", "recommendation_engine_writers_of_europe"
    console.rest("vectordb/roles/create", roleName=role)
    words: dict[str, Any] = {"userName": user, "roles": [role], "description": "of a program that runs every night"}
    console.rest("kiteward/users/create", **words, password="Import-pass-1")
    console.rest("kiteward/api_keys/create", **words, expiresIn=86_400)
    with console.signed_in("root", viewport={"width": 1280, "height": 800}) as page:
        for path in (f"keys?user={user}", f"users?q={user}", f"roles?q={role}"):
            page.goto(f"{console.address}{path}")
            expect(page.locator(".list-table tbody tr")).to_have_count(1)
            assert page.locator(".list-table").evaluate("each => each.scrollWidth - each.clientWidth") == 0, path
    console.rest("kiteward/users/delete", userName=user)
    console.rest("vectordb/roles/drop", roleName=role)
