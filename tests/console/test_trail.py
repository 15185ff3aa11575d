"""Who did what and why not: the audit trail and explanations, for administrators, and for users about themselves."""

import re

import grpc
import pytest
from playwright.sync_api import expect
from pymilvus import MilvusClient
from tests.console.conftest import PASSWORDS, Console


def refuse(console: Console, user: str, collection: str) -> None:
    """Make a user's attempt to drop a collection fail."""
    client = MilvusClient(uri=console.server.uri, token=f"{user}:{PASSWORDS[user]}", dedicated=True)
    with pytest.raises(grpc.RpcError):
        client.drop_collection(collection)
    client.close()


@pytest.mark.parametrize("who", ["root", "boss"])
def test_refusal_is_found_in_the_trail_and_explained_from_there(console: Console, who: str) -> None:
    refuse(console, "reader", "docs")
    with console.signed_in(who) as page:
        page.get_by_role("link", name="Audit trail", exact=True).click()
        page.get_by_label("User", exact=True).fill("reader")
        page.get_by_label("Outcome").select_option("Refused")
        page.get_by_role("button", name="Search").click()
        line = page.get_by_role("row").filter(has_text="DropCollection").first
        expect(line).to_contain_text("no role of reader holds DropCollection on default.docs")
        line.get_by_role("link", name="Why?").click()
        then = page.get_by_role("region", name="Decided at")
        expect(then).to_contain_text("no role of reader holds DropCollection on default.docs")
        expect(then).to_contain_text("Roles at that time: docs_reader")
        expect(page.get_by_text("Today the decision would be the same.")).to_be_visible()
        answer = page.get_by_role("region", name="Today: reader, DropCollection on default.docs")
        expect(answer).to_contain_text("Refused")
        expect(answer).to_contain_text("Grant DropCollection on default.docs to the role docs_reader")


def test_on_a_telephone_all_of_a_line_is_in_sight(console: Console) -> None:
    refuse(console, "reader", "docs")
    with console.signed_in("boss", viewport={"width": 390, "height": 844}) as page:
        page.goto(f"{console.address}audit?operation=DropCollection&outcome=refused")
        line = page.get_by_role("row").filter(has_text="DropCollection").first
        for cell in line.get_by_role("cell").all():
            box = cell.bounding_box()
            assert box is None or box["x"] + box["width"] <= 390, cell.inner_text()
        for text in (re.compile("^DropCollection$"), "Refused", "reader", "no role of reader holds"):
            expect(line.get_by_role("cell").filter(has_text=text).first).to_be_in_viewport()


def test_what_is_done_in_the_console_is_in_the_trail_as_done_there(console: Console) -> None:
    console.new_user("traced")
    with console.signed_in("boss", viewport={"width": 1280, "height": 900}) as page:
        page.goto(f"{console.address}users/traced")
        page.get_by_role("link", name="Disable").click()
        page.get_by_role("button", name="Disable").click()
        page.goto(f"{console.address}audit?operation=DisableUser")
        row = page.get_by_role("row").filter(has_text="traced")
        expect(row).to_have_count(1)
        for text in ("Succeeded", "boss", "Chrome, Linux", "User traced"):
            expect(row).to_contain_text(text)
        row.get_by_text("Earlier records: 1").click()
        expect(row.get_by_role("listitem")).to_contain_text("DisableUser Received")
        row.get_by_role("link", name=re.compile("^Line")).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("DisableUser")
        expect(page.get_by_text('"userName": "traced"')).to_be_visible()


def test_parts_of_a_long_change_say_so(console: Console) -> None:
    grants = [{"privilege": "Query", "collectionName": f"collection{number}"} for number in range(300)]
    console.rest("kiteward/roles/change_grants", roleName="docs_reader", grant=grants, dryRun=True)
    with console.signed_in("root") as page:
        page.goto(f"{console.address}audit?operation=ChangeGrants&collection=collection7")
        expect(page.get_by_role("row").filter(has_text=re.compile(r"part 1/\d"))).to_have_count(1)


def test_older_lines_are_a_page_further(console: Console) -> None:
    for number in range(60):
        console.rest("kiteward/access/explain", by="reader", privilege="Search", collectionName=f"docs{number}")
    with console.signed_in("root") as page:
        page.goto(f"{console.address}audit?operation=ExplainAccess&user=reader")
        expect(page.get_by_role("row")).to_have_count(51)
        newest = page.get_by_role("row").nth(1).inner_text()
        page.get_by_role("link", name="Older lines").click()
        expect(page.get_by_label("Operation")).to_have_value("ExplainAccess")
        expect(page.get_by_role("row").filter(has_text="ExplainAccess").first).to_be_visible()
        page.get_by_role("link", name="Newer lines").click()
        expect(page.get_by_role("row").nth(1)).to_have_text(newest, use_inner_text=True)
        expect(page.get_by_role("link", name="Newer lines")).to_have_count(0)


def test_permission_is_explained_with_the_grant_behind_it(console: Console) -> None:
    with console.signed_in("boss") as page:
        page.get_by_role("link", name="Explain access").click()
        page.get_by_label("User", exact=True).fill("reader")
        page.get_by_label("Privilege").select_option("Search")
        page.get_by_label("Collection or user").fill("docs")
        page.get_by_role("button", name="Explain").click()
        answer = page.get_by_role("region", name="reader, Search on default.docs")
        expect(answer).to_contain_text("Allowed")
        expect(answer.get_by_role("row", name="docs_reader Search default docs")).to_be_visible()


def test_line_of_a_deleted_user_is_explained_as_of_then(console: Console) -> None:
    PASSWORDS["leaver"] = console.new_user("leaver", "docs_reader")
    refuse(console, "leaver", "docs")
    console.rest("kiteward/users/delete", userName="leaver")
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}audit?user=leaver&outcome=refused&operation=DropCollection")
        page.get_by_role("link", name="Why?").click()
        then = page.get_by_role("region", name="Decided at")
        expect(then).to_contain_text("no role of leaver holds DropCollection on default.docs")
        expect(page.get_by_text("There is no current decision: There is no user leaver.")).to_be_visible()


def test_disabled_user_is_to_be_enabled_and_not_granted_anything(console: Console) -> None:
    console.new_user("sleeper", "docs_reader")
    console.rest("kiteward/users/disable", userName="sleeper")
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}explain?user=sleeper&privilege=Search&collection=docs")
        answer = page.get_by_role("region", name="sleeper, Search on default.docs")
        expect(answer).to_contain_text("Its roles allow this, once it may sign in again.")
        expect(answer).not_to_contain_text("Allowed through")
        answer.get_by_role("link", name="Enable the user sleeper").click()
        expect(page.get_by_role("heading", name="sleeper")).to_be_visible()


def test_collection_that_does_not_exist_is_said_not_to_exist(console: Console) -> None:
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}explain?user=reader&privilege=Search&collection=dosc")
        expect(page.get_by_text("There is no such collection.")).to_be_visible()
        page.goto(f"{console.address}explain?user=reader&privilege=Search&collection=docs")
        expect(page.get_by_text("There is no such collection.")).to_have_count(0)


def test_request_for_a_collection_that_exists_and_may_not_be_seen_is_marked(console: Console) -> None:
    client = MilvusClient(uri=console.server.uri, token=f"reader:{PASSWORDS['reader']}", dedicated=True)
    for name in ("images", "imagse"):
        assert not client.has_collection(name)
    client.close()
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}audit?kind=refusal&collection=images")
        line = page.get_by_role("row").filter(has_text="Why?").first
        expect(line).to_contain_text("Exists, not shown")
        expect(line).to_contain_text("answered as if it did not exist")
        page.goto(f"{console.address}audit?kind=refusal&collection=imagse")
        expect(page.get_by_text("Exists, not shown")).to_have_count(0)


def test_user_that_does_not_exist_is_reported(console: Console) -> None:
    with console.signed_in("boss") as page:
        page.goto(f"{console.address}explain?user=nobody&privilege=Search")
        expect(page.get_by_role("alert")).to_contain_text("There is no user nobody.")


def test_everybody_may_ask_about_themselves_and_about_nobody_else(console: Console) -> None:
    with console.signed_in("reader") as page:
        page.get_by_role("link", name="Explain access").click()
        expect(page.get_by_label("User", exact=True)).to_have_count(0)
        page.get_by_label("Privilege").select_option("Insert")
        page.get_by_label("Collection or user").fill("docs")
        page.get_by_role("button", name="Explain").click()
        expect(page.get_by_role("region")).to_contain_text("The privilege Insert is missing on default.docs.")
        expect(page.get_by_role("link", name="Audit trail", exact=True)).to_have_count(0)
        for path in ("audit", "explain?user=boss&privilege=Search"):
            assert page.goto(f"{console.address}{path}").status == 403  # type: ignore[union-attr]  # there is an answer
