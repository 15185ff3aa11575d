"""Going back and finishing an action lead to the page as it was: its filters, its order, its page."""

import html
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.unit.api.console.explorer.exploring import HERE, exploring, rows
from tests.unit.api.console.test_app import Browser, browsing

from kiteward.api.console.lists import PAGE_SIZE
from kiteward.api.console.way_back import as_it_was, cancelling, leaving, returning
from kiteward.milvus import messages

LIST = "/console/users?q=a&page=2"
USER = leaving("/console/users/ann", LIST)
PASSWORD = "Spokes-and-gears-7"


def test_an_action_leads_to_where_it_was_opened() -> None:
    assert returning("/console/users/ann", USER) == USER
    assert returning("/console/users", USER) == LIST
    assert returning("/console/users/ann", "/console/unused?days=9") == "/console/unused?days=9"
    assert returning("/console/users", USER, removed="/console/users/ann") == LIST
    members = leaving("/console/users/ann", "/console/roles/reader?page=3")
    assert returning("/console/users", members, removed="/console/users/ann") == "/console/roles/reader?page=3"
    assert returning("/console/users", "/console/users/ann", removed="/console/users/ann") == "/console/users"
    assert returning("/console/users", "/console/users/anna", removed="/console/users/ann") == "/console/users/anna"
    assert cancelling("/console/users", USER) == USER


def test_the_notice_about_the_last_action_is_not_shown_again() -> None:
    assert cancelling("/", leaving("/console/x", f"{LIST}&done=user_delete")) == "/console/x?back=" + LIST.translate(
        {ord(each): f"%{ord(each):X}" for each in "/?=&"}
    )
    assert returning("/console/users", f"{LIST}&done=user_delete") == LIST


@pytest.mark.parametrize(
    "hostile",
    [
        *("https://evil.example/console/users", "//evil.example/console/users", "/\\evil.example/console/"),
        *("javascript:alert(1)", "/other", "", "console/users", "http://[", "\\\\evil/console/", "/console\\..\\x"),
        *("/console/../v2/", "/console/%2e%2e/v2/", "/console/.%2E/x?a=b", "/console/./x", "/console//evil.example/"),
    ],
)
def test_only_pages_of_the_console_are_returned_to(hostile: str) -> None:
    assert returning("/console/users", hostile) == "/console/users"
    assert as_it_was("/console/users", hostile) == "/console/users"
    assert cancelling("/console/users", hostile) == "/console/users"
    assert leaving("/console/keys", hostile) == "/console/keys"


def test_an_address_does_not_grow_without_bound() -> None:
    address = LIST
    for _ in range(50):
        address = leaving("/console/users/ann", address)
    assert len(address) < 10_000


def links(page: httpx.Response) -> list[str]:
    """Return what the links in the content of a page lead to."""
    return [html.unescape(each) for each in re.findall(r'href="([^"]*)"', page.text.partition("<main")[2])]


def link(page: httpx.Response, path: str) -> str:
    """Return the address of the link of a page to a path, below `/console/`."""
    return next(each for each in links(page) if urlsplit(each).path == f"/console/{path}").removeprefix("/console/")


async def acted(browser: Browser, page: httpx.Response, path: str, **form: str) -> str:
    """Follow a link of a page, and then send the form there; return where it leads, and check where it is cancelled."""
    address = link(page, path)
    asking = await browser.open(address)
    assert asking.status_code == 200
    assert without_notice(page.url.raw_path.decode()) in links(asking)
    answer = await browser.send(address, **form)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removeprefix("/console/")


def without_notice(address: str) -> str:
    return re.sub(r"[?&]done=\w+(&undo=[\w-]+)?$", "", address)


async def named_users(browser: Browser, names: Sequence[str]) -> None:
    for name in names:
        await browser.send("new-user", user_name=name, new_password=PASSWORD)


async def test_the_list_of_users_is_as_it_was_after_what_is_done_to_one() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await named_users(browser, ["ann", "ben"])
        address = "users?q=n&sort=-userName"
        shown = await browser.open(address)
        user = await browser.open(link(shown, "users/ann"))
        assert link(user, "users") == address
        for action in ("disable", "description"):
            after = await acted(browser, user, f"users/ann/{action}", description="new")
            assert link(await browser.open(after), "users") == address
        opened = await browser.open("users/ann/delete")
        assert (link(opened, "users"), link(opened, "users/ann")) == ("users", "users/ann")
        assert without_notice(await acted(browser, user, "users/ann/delete", typed_name="ann")) == address


async def test_a_form_of_the_page_itself_keeps_the_way_back() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await browser.harness.role("reader")
        await named_users(browser, ["ann"])
        user = await browser.open(link(await browser.open("users?q=an"), "users/ann"))
        carried = html.unescape(re.findall(r'name="way_back" value="([^"]*)"', user.text)[0])
        assert carried == "/console/users?q=an"
        wrong = await browser.send("users/ann", role="nobody", way_back=carried)
        assert (wrong.status_code, link(wrong, "users")) == (422, "users?q=an")
        answer = await browser.send("users/ann", role="reader", way_back=carried)
        after = await browser.open(answer.headers["location"].removeprefix("/console/"))
        assert link(after, "users") == "users?q=an"
        role = await browser.open(link(await browser.open("roles?sort=-members"), "roles/reader"))
        assert link(role, "roles") == "roles?sort=-members"
        after = await browser.open(without_notice(await acted(browser, role, "roles/reader/members/ann/remove")))
        assert link(after, "roles") == "roles?sort=-members"
        assert without_notice(await acted(browser, after, "roles/reader/delete", typed_name="reader")) == (
            "roles?sort=-members"
        )


async def test_the_list_of_keys_is_as_it_was_after_what_is_done_to_one() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await browser.send("new-key", description="one", expires_in_days="9")
        address = "keys?q=one&user=root&sort=-expiresAt"
        shown = await browser.open(address)
        key = re.findall(r"keys/([^/\"]+)/revoke", shown.text)[0]
        for action in ("rotate", "disable", "revoke"):
            asked = (await browser.open(f"keys/{key}/{action}")).text
            names = ("User: <code>root</code>", "Description: one", f"<code>{key}</code>")
            assert [name for name in names if name not in asked] == [], action
        for action in ("description", "disable"):
            assert without_notice(await acted(browser, shown, f"keys/{key}/{action}", description="one")) == address
        shown = await browser.open(address)
        enabling = html.unescape(re.findall(rf'action="/console/(keys/{key}/enable[^"]*)"', shown.text)[0])
        assert without_notice((await browser.send(enabling)).headers["location"]) == f"/console/{address}"
        tags = await browser.open(link(shown, f"keys/{key}/tags"))
        assert link(tags, "keys") == address
        assert without_notice(await acted(browser, shown, f"keys/{key}/revoke")) == address


async def test_rows_are_as_they_were_after_one_of_them_was_opened_or_deleted() -> None:
    async with exploring() as browser:
        address = f"{HERE}/rows?filter=id%3E0&sort=title&order=desc&size=20&column=id&column=title"
        shown = await browser.open(address)
        row = await browser.open(link(shown, f"{HERE}/row"))
        browser.harness.engine.answers["Query"] = rows([])
        browser.harness.engine.answers["Delete"] = messages.MutationResult(delete_cnt=1).SerializeToString()
        for back in (link(row, f"{HERE}/rows"), await acted(browser, row, f"{HERE}/row/delete")):
            asked = parse_qs(urlsplit(back).query)
            assert (asked["filter"], asked["sort"], asked["order"]) == (["id>0"], ["title"], ["desc"])
            assert (asked["size"], asked["column"]) == (["20"], ["id", "title"])
        assert (
            urlsplit(
                await acted(browser, shown, f"{HERE}/insert", data='{"id": 9, "title": "x", "vector": [1, 2, 3, 4]}')
            ).path
            == f"{HERE}/rows"
        )


async def test_the_list_of_collections_is_as_it_was_after_one_was_dropped() -> None:
    async with exploring() as browser:
        address = "collections?q=do&database=default&sort=-collectionName"
        collection = await browser.open(link(await browser.open(address), HERE))
        assert address in [each.removeprefix("/console/") for each in links(collection)]
        released = await acted(browser, collection, f"{HERE}/release")
        assert urlsplit(released).path == HERE
        assert without_notice(
            await acted(browser, await browser.open(released), f"{HERE}/drop", typed_name="docs")
        ) == (address)


async def test_a_page_of_members_keeps_the_way_back_of_its_role() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await browser.harness.role("reader")
        for number in range(PAGE_SIZE + 1):
            await browser.harness.user(f"user{number:02}", "reader")
        role = await browser.open(link(await browser.open("roles?q=read"), "roles/reader"))
        second = next(each for each in links(role) if "page=2" in each).removeprefix("/console/")
        page = await browser.open(second)
        assert link(page, "roles") == "roles?q=read"
        user = await browser.open(link(page, f"users/user{PAGE_SIZE:02}"))
        after = await acted(browser, user, f"users/user{PAGE_SIZE:02}/delete", typed_name=f"user{PAGE_SIZE:02}")
        assert urlsplit(after).path == "roles/reader"


async def test_what_was_deleted_is_not_returned_to() -> None:
    async with browsing() as browser:
        await browser.sign_in()
        await browser.harness.role("reader")
        await browser.send("new-group", group_name="mine", privileges=["Query"])
        await named_users(browser, ["ann"])
        for path in ("roles/reader", "users/ann"):
            after = await acted(browser, await browser.open(path), f"{path}/delete", typed_name=path.partition("/")[2])
            assert without_notice(after) == path.partition("/")[0]
        groups = await browser.open("groups?q=mine")
        assert without_notice(await acted(browser, groups, "groups/mine/delete")) == "groups?q=mine"
