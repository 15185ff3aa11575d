"""The console without a mouse: what is found where it needs one, and whole tasks by keys alone."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.console.conftest import PASSWORDS, Console
from tests.console.keyboard import Hands, walk

_FARTHEST = 50
"""More than the columns of the matrix."""

_LABEL = "document.activeElement.ariaLabel"
_LABELS = "(grid) => [...grid.querySelectorAll('input[type=checkbox], button')].map((each) => each.ariaLabel)"


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("spoils", "what"),
    [
        ("document.querySelector('h1').addEventListener('click', () => 0)", "<h1> Users listens to the mouse alone"),
        ("document.querySelector('h1').role = 'button'", "<h1> Users is for the mouse alone"),
        ("document.querySelector('.heading a.main').tabIndex = -1", "<a> New user is left out by tabindex"),
        ("document.querySelector('.heading a.main').tabIndex = 1", "<a> New user has an order of its own"),
        (
            "document.querySelector('.heading a.main').style.outline = 'none'",
            "<a> New user does not show that it has the focus",
        ),
        ("document.querySelector('.bar').style.height = '50vh'", "is covered by <header>"),
        (
            "document.querySelector('.heading a.main').addEventListener('focus', (event) => event.target.blur())",
            "Tab: the focus is on the page itself instead of <a> New user",
        ),
        ("document.querySelector('.heading').style.overflow = 'hidden'", "<a> New user has an outline that is cut off"),
        (
            "document.querySelector('h1').style.cssText = 'font: 9em/2 serif; height: 1em; overflow: auto'",
            "<h1> Users scrolls and has no tabindex",
        ),
    ],
)
def test_what_would_shut_the_keyboard_out_is_found(console: Console, spoils: str, what: str) -> None:
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}users")
        assert walk(page) == []
        page.evaluate(f"() => {{ {spoils}; }}")
        assert any(what in each for each in walk(page))


# Whole tasks, without a click


@contextmanager
def hands(console: Console, user: str = "boss") -> Iterator[Hands]:
    with console.signed_in(user) as page:
        yield Hands(page)


def said(page: Page, text: str) -> None:
    expect(page.locator("p.done, .done > p")).to_have_text(text)


def test_somebody_signs_in_skips_to_the_content_and_signs_out(console: Console) -> None:
    with console.visitor() as context:
        page = context.new_page()
        by = Hands(page)
        page.goto(console.address)
        expect(page.get_by_label("User")).to_be_focused()
        page.keyboard.type("reader")
        by.press("Tab")
        page.keyboard.type(PASSWORDS["reader"])
        by.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("My account")
        by.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        by.press("Enter")
        expect(page.locator("main")).to_be_focused()
        by.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
        by.to(page.get_by_role("button", name="Sign out", exact=True), back=True)
        by.press("Enter")
        expect(page.get_by_role("status")).to_have_text("You have signed out.")


def test_a_user_is_created_and_gets_another_role_from_the_names_that_are_offered(console: Console) -> None:
    console.rest("vectordb/roles/create", roleName="typed_role")
    with hands(console) as by:
        page = by.page
        by.go_to("Users")
        by.use("New user", role="link")
        expect(page.get_by_label("User name")).to_be_focused()
        by.page.keyboard.type("typed_user")
        by.to(page.get_by_role("checkbox", name="docs_reader"))
        by.press("Space")
        by.use("Create user")
        expect(page.locator("#secret")).to_be_visible()
        by.use("I have saved it", role="link")
        by.to(page.get_by_label("Add a role"))
        page.keyboard.type("typed_")
        expect(page.locator("#role-names option")).to_have_count(1)
        expect(page.locator("#role-names option")).to_have_attribute("value", "typed_role")
        page.keyboard.type("role")  # a browser without a screen does not draw the list that it would be chosen from
        by.press("Enter")
        said(page, "The role was added.")
    assert console.rest("kiteward/users/describe", userName="typed_user")["roles"] == ["docs_reader", "typed_role"]


def test_grants_are_changed_in_the_matrix_by_a_row_and_by_a_cell(console: Console) -> None:
    console.rest("vectordb/roles/create", roleName="by_keys")
    with hands(console) as by:
        page = by.page
        by.go_to("Privileges")
        by.fill("Role", "by_keys")
        by.choose("Columns", "Collection")
        by.use("Show")
        by.to(page.locator("table.matrix tbody input[type=checkbox]").first)
        by.press(*["ArrowDown"] * 3, "ArrowLeft")
        expect(page.get_by_role("button", name="Select or clear all of default.images")).to_be_focused()
        by.press("Enter")
        expect(page.get_by_label("Search, default.images", exact=True)).to_be_checked()
        by.press("ArrowUp", "ArrowRight")
        for _ in range(_FARTHEST):
            if page.evaluate("document.activeElement.ariaLabel") == "Search, default.docs":
                break
            by.press("ArrowRight")
        by.press("Space")
        by.use("Preview changes")
        expect(page.get_by_role("region", name="Will be granted")).to_contain_text("Search on default.docs")
        by.use("Apply changes")
        said(page, "The grants were changed.")
    grants = console.rest("vectordb/roles/describe", roleName="by_keys")
    assert {"Search"} == {each["privilege"] for each in grants if each["objectName"] == "docs"}
    assert {"Search", "Query", "Insert"} < {each["privilege"] for each in grants if each["objectName"] == "images"}


def test_arrow_keys_reach_each_box_and_button_of_the_matrix_and_tab_passes_it_as_one(console: Console) -> None:
    with hands(console) as by:
        page = by.page
        page.goto(f"{console.address}matrix?role=docs_reader&columns=Collection")
        every = set(page.locator("table.matrix").evaluate(_LABELS))
        by.to(page.locator("table.matrix tbody input[type=checkbox]").first)
        by.press("ArrowUp", "ArrowUp", "ArrowUp", "Home", "ArrowLeft")
        reached = {page.evaluate(_LABEL)}
        columns = page.locator("table.matrix th[scope=col]").count()
        for number in range(page.locator("table.matrix tr").count()):
            for _ in range(columns):
                by.press("ArrowLeft" if number % 2 else "ArrowRight")
                reached.add(page.evaluate(_LABEL))
            by.press("ArrowDown")
            reached.add(page.evaluate(_LABEL))
        assert reached == every
        assert len(every) > 100
        last = page.evaluate(_LABEL)
        by.press("Tab")
        expect(page.get_by_role("button", name="Preview changes")).to_be_focused()
        by.press("Shift+Tab")
        assert page.evaluate(_LABEL) == last
        by.press("Home")
        assert page.evaluate("document.activeElement.closest('td').cellIndex") == 1
        by.press("End")
        assert page.evaluate("document.activeElement.closest('td').nextElementSibling") is None


def test_an_api_key_is_made_and_copied(console: Console) -> None:
    with hands(console) as by:
        page = by.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        by.go_to("API keys")
        by.use("New API key", role="link")
        by.fill("Description", "by keys")
        by.use("Create API key")
        by.use("Copy")
        expect(page.get_by_role("button", name="Copied")).to_be_focused()
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#secret").inner_text()


def test_a_collection_is_created_filled_read_searched_and_dropped(console: Console) -> None:
    with hands(console) as by:
        page = by.page
        by.go_to("Collections")
        by.use("New collection", role="link")
        by.fill("Collection name", "typed")
        by.fill("Size 2", "2")
        by.use("Create collection")
        said(page, "The collection was created.")
        by.use("Rows", role="link")
        by.use("Insert rows", role="link")
        rows = [{"id": number, "vector": [number, 1], "title": f"title {number}"} for number in range(60)]
        by.to(page.locator("#data"))
        by.press("Control+a")
        page.keyboard.insert_text(json.dumps(rows))
        by.use("Insert rows")
        said(page, "The rows were inserted.")
        _read(by)
        by.use("Vector search", role="link")
        by.fill("Vector or text", "[7, 1]")
        by.use("Search")
        expect(page.get_by_role("region", name=re.compile("Nearest rows")).get_by_role("row")).to_have_count(11)
        by.use("Schema", role="link")
        by.use("Drop", role="link")
        expect(page.get_by_label("Confirm the name")).to_be_focused()
        page.keyboard.type("typed")
        by.press("Enter")
        said(page, "The collection was dropped.")


def _read(by: Hands) -> None:
    """Filter, sort and page the rows."""
    page = by.page
    by.choose("Rows a page", "20")
    by.use("Show")
    expect(page.get_by_role("rowheader")).to_have_count(20)
    by.use("Next page", role="link")
    expect(page.get_by_text("Page 2")).to_be_visible()
    by.fill("Filter", "id >= 50")
    by.press("Enter")
    expect(page.get_by_role("rowheader")).to_have_count(10)
    by.use("id", role="link")
    expect(page.get_by_role("rowheader").first).to_have_text("59")


def test_users_are_disabled_at_once(console: Console) -> None:
    for name in ("keyed_1", "keyed_2", "keyed_3"):
        console.new_user(name)
    with hands(console) as by:
        page = by.page
        by.go_to("Users")
        by.fill("Name or description contains", "keyed_")
        by.press("Enter")
        expect(page.get_by_role("rowheader")).to_have_count(3)
        by.choose("With selected:", "Disable")
        by.to(page.get_by_label("Select all on this page"))
        by.press("Space")
        by.to(page.get_by_label("Select keyed_2"))
        by.press("Space")
        expect(page.get_by_text("2 selected")).to_be_visible()
        by.to(page.get_by_role("button", name="Continue"), back=True)
        by.press("Enter")
        by.use("Disable users (2)")
        said(page, "All that was selected is disabled.")
    found = {name: console.rest("kiteward/users/describe", userName=name)["enabled"] for name in ("keyed_1", "keyed_2")}
    assert found == {"keyed_1": False, "keyed_2": True}


def test_a_row_policy_is_written_and_its_effect_on_a_user_is_previewed(console: Console) -> None:
    with hands(console) as by:
        page = by.page
        by.go_to("Collections")
        by.use("images", role="link")
        by.use("New policy", role="link")
        expect(page.get_by_label("Policy name")).to_be_focused()
        page.keyboard.type("typed")
        by.to(page.locator("#using_expr"))
        by.write("id in [1, 2]")
        by.use("Create policy")
        said(page, "The row policy was created.")
        by.use("Preview as a user", role="link")
        by.to(page.locator("#user"))
        by.write("reader")
        by.press("Enter")
        expect(page.get_by_role("rowheader", name="typed")).to_be_visible()
    console.rest("kiteward/row_policies/drop", collectionName="images", policyName="typed")


def test_the_audit_trail_is_searched_and_a_line_unfolded(console: Console) -> None:
    console.new_user("unfolded")
    with hands(console) as by:
        page = by.page
        by.go_to("Audit trail")
        by.fill("User", "unfolded")
        by.choose("Role in it", "Was affected")
        by.press("Enter")
        row = page.get_by_role("row").filter(has_text="CreateUserAccount").first
        fold = row.locator("summary").first
        by.to(fold)
        by.press("Enter")
        expect(row.locator("details").first).to_have_attribute("open", "")
        by.press("Space")
        expect(row.locator("details").first).not_to_have_attribute("open", "")
        expect(fold).to_be_focused()


def test_escape_closes_what_is_open_and_the_focus_is_where_it_was(console: Console) -> None:
    with hands(console) as by:
        page = by.page
        by.go_to("Users")
        by.to(page.get_by_label("Name or description contains"))
        for opens in ("Control+k", "Meta+k"):
            by.press(opens)
            expect(page.get_by_role("dialog")).to_be_visible()
            by.press("ArrowDown", "ArrowDown", "Escape")
            expect(page.get_by_role("dialog")).to_be_hidden()
            expect(page.get_by_label("Name or description contains")).to_be_focused()
        _opened_and_closed(by, "Go to a page", page.get_by_role("dialog"))
        _opened_and_closed(by, "Display", page.locator("#display"))
        page.set_viewport_size({"width": 390, "height": 800})
        _opened_and_closed(by, "Open navigation", page.locator("#navigation"))


def _opened_and_closed(by: Hands, name: str, what: Locator) -> None:
    button = by.page.get_by_role("button", name=re.compile(f"^{name}"))
    by.to(button, back=True)
    for within in (0, 2):
        by.press("Enter")
        expect(what).to_be_visible()
        by.press(*["Tab"] * within, "Escape")
        expect(what).to_be_hidden()
        expect(button).to_be_focused()


def test_a_menu_closes_when_the_focus_leaves_it(console: Console) -> None:
    with hands(console) as by:
        page = by.page
        by.to(page.get_by_role("button", name="Display"))
        by.press("Space")
        by.to(page.get_by_role("link", name="All time zones"))
        expect(page.locator("#display")).to_be_visible()
        by.press("Tab")
        expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_focused()
        expect(page.locator("#display")).to_be_hidden()
