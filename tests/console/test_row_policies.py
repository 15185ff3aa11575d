"""Row policies, tags and previews in the console, for administrators and for somebody with little."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pymilvus import DataType, MilvusClient
from tests.console.conftest import Console
from tests.console.looks import looks_wrong, some_and_all, violations
from tests.console.test_administrators import said
from tests.support.server import ROOT_TOKEN

NAME = "shelf"
HERE = f"collections/default/{NAME}"
POLICY: dict[str, Any] = {
    "collectionName": NAME,
    "policyName": "own",
    "actions": ["Query", "Search"],
    "usingExpr": "owner == $current_principal",
}
PAGES = (
    HERE,
    f"{HERE}/new-policy",
    f"{HERE}/policies/own",
    f"{HERE}/policies/own/drop",
    f"{HERE}/enforce",
    f"{HERE}/stop-enforcing",
    f"{HERE}/preview",
    f"{HERE}/preview?user=shelver&action=Query&primary_keys=0,1,99",
    f"{HERE}/preview?user=ghost&action=Query",
    "users/shelver",
    "users/shelver/tags",
    "users/shelver/tags/delete?key=team",
    "tagged-users?key=team&value=blue",
)


@pytest.fixture(scope="module", autouse=True)
def shelf(console: Console) -> Iterator[None]:
    """A collection of 1,200 rows, of which a third belongs to `shelver`, with one policy."""
    with_root = MilvusClient(uri=console.server.uri, token=ROOT_TOKEN, dedicated=True)
    schema = with_root.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("owner", DataType.VARCHAR, max_length=32)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    index = with_root.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    with_root.create_collection(NAME, schema=schema, index_params=index)
    rows = [{"id": key, "owner": ("a", "b", "shelver")[key % 3], "vector": [0.0, 1.0]} for key in range(1_200)]
    with_root.insert(NAME, rows)
    console.new_user("shelver")
    console.rest("kiteward/row_policies/create", **POLICY)
    console.rest("kiteward/tags/set", userName="shelver", tags={"team": "blue"})
    yield
    with_root.drop_collection(NAME)
    with_root.close()


def open_(console: Console, page: Page, path: str) -> None:
    page.goto(f"{console.address}{path}")


def test_a_policy_is_created_changed_and_dropped(console: Console) -> None:
    with console.signed_in("root") as page:
        open_(console, page, HERE)
        page.get_by_role("link", name="New policy").click()
        page.get_by_label("Policy name").fill("made")
        page.get_by_label("Type").select_option("RESTRICTIVE")
        page.get_by_role("checkbox", name="Delete").check()
        page.get_by_label("Stored rows").fill("owner in ['a', $current_principal]")
        page.get_by_label("Roles").fill("docs_reader, public")
        page.get_by_role("button", name="Create policy").click()
        said(page, "The row policy was created.")
        row = page.get_by_role("row", name="made")
        expect(row).to_contain_text("Restrictive")
        expect(row).to_contain_text("owner in ['a', $current_principal]")
        page.get_by_role("link", name="Change made").click()
        expect(page.get_by_role("checkbox", name="Delete")).to_be_checked()
        expect(page.get_by_label("Roles")).to_have_value("docs_reader, public")
        page.get_by_label("Stored rows").fill("owner == 'a'")
        page.get_by_role("button", name="Save").click()
        said(page, "The row policy was changed.")
        expect(page.get_by_role("row", name="made")).to_contain_text("owner == 'a'")
        page.get_by_role("link", name="Drop made").click()
        expect(page.get_by_role("main")).to_contain_text("rows that this policy takes away become visible")
        page.get_by_role("button", name="Drop").click()
        said(page, "The row policy was dropped.")
        expect(page.get_by_role("row", name="made")).to_have_count(0)


@pytest.mark.parametrize(
    ("label", "text", "field", "sentence"),
    [
        ("Stored rows", "ownr == $current_principal", "using_expr", "ownr"),
        ("Stored rows", "owner ==", "using_expr", "The filter is not valid from character"),
        ("Rows that may be written", "owner == 'a'", "check_expr", "check_expr"),
        ("Roles", "no_such_role", "roles", "no_such_role"),
        ("Policy name", "own", "policy_name", "own"),
    ],
)
def test_what_is_wrong_with_a_policy_stands_at_its_field_and_what_was_typed_stays(
    console: Console, label: str, text: str, field: str, sentence: str
) -> None:
    with console.signed_in("root") as page:
        open_(console, page, f"{HERE}/new-policy")
        page.get_by_label("Policy name").fill("wrong")
        page.get_by_label("Stored rows").fill("owner == 'kept'")
        page.get_by_label(label).fill(text)
        page.get_by_role("button", name="Create policy").click()
        expect(page.locator(f"#{field}-error")).to_contain_text(sentence)
        if sentence.startswith("The filter"):
            expect(page.locator("figure.quoted")).to_contain_text("unexpected end of the filter; expected a field")
        expect(page.locator(f"#{field}")).to_have_value(text)
        expect(page.get_by_role("checkbox", name="Query")).to_be_checked()


def test_policies_are_enforced_after_a_warning_and_stopped_again(console: Console) -> None:
    with console.signed_in("root") as page:
        open_(console, page, HERE)
        expect(page.get_by_role("main")).to_contain_text("are not enforced")
        page.get_by_role("link", name="Enforce").click()
        expect(page.get_by_role("main")).to_contain_text("Whoever is allowed no row by any policy sees none.")
        expect(page.get_by_role("main")).to_contain_text("Permissive policies that show rows now: own.")
        page.get_by_role("checkbox", name="Also enforce on administrators and holders of SkipRLS").check()
        page.get_by_role("button", name="Enforce").click()
        said(page, "The row policies are enforced.")
        expect(page.get_by_role("heading", name="Row policies")).to_contain_text("Enforced, also on administrators")
        page.get_by_role("link", name="Stop enforcing").click()
        page.get_by_role("button", name="Stop enforcing").click()
        said(page, "The row policies are no longer enforced.")
        expect(page.get_by_role("heading", name="Row policies")).to_contain_text("Not enforced")


def test_what_was_dropped_or_enforced_by_mistake_is_undone(console: Console) -> None:
    with console.signed_in("root") as page:
        open_(console, page, f"{HERE}/policies/own/drop")
        page.get_by_role("button", name="Drop").click()
        said(page, "The row policy was dropped.")
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Drop own"))
        expect(row).to_have_count(0)
        page.get_by_role("button", name="Undo").press("Enter")
        said(page, "The change was undone.")
        expect(row).to_contain_text("owner == $current_principal")
        expect(page.get_by_role("button", name="Undo")).to_have_count(0)
        page.get_by_role("link", name="Enforce").click()
        page.get_by_role("button", name="Enforce").click()
        said(page, "The row policies are enforced.")
        console.rest("kiteward/row_policies/create", **{**POLICY, "policyName": "another"})
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("This change was not undone")
        expect(page.get_by_role("main")).to_contain_text("What one of them allows depends on the others.")
        assert violations(page) == []
        console.rest("kiteward/row_policies/drop", collectionName=NAME, policyName="another")
        console.rest("kiteward/row_policies/disable", collectionName=NAME)


def test_without_a_policy_the_warning_says_that_nobody_will_see_a_row(console: Console) -> None:
    with console.signed_in("root") as page:
        open_(console, page, "collections/default/logs/enforce")
        expect(page.get_by_role("main")).to_contain_text("has no permissive policy yet: nobody will see a row")


def test_a_preview_says_how_many_rows_and_through_which_policy(console: Console) -> None:
    with console.signed_in("root") as page:
        open_(console, page, HERE)
        page.get_by_role("link", name="Preview as a user").click()
        page.get_by_label("User").fill("shelver")
        page.get_by_label("Primary keys").fill("1, 2 999999")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#answer")).to_have_text("As shelver you would see 400 of 1,200 rows, through own.")
        expect(page.get_by_role("row", name="999999")).to_contain_text("No such row")
        expect(page.get_by_role("row", name="1 hidden")).to_be_visible()
        expect(page.get_by_role("row", name="2 visible own")).to_be_visible()
        page.get_by_label("User").fill("root")
        page.get_by_label("Operation").select_option("Delete")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#answer")).to_contain_text("As root you would be able to delete all 1,200 rows")
        page.get_by_label("User").fill("ghost")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#user-error")).to_contain_text("ghost")
        page.get_by_label("User").fill("")
        page.get_by_label("Primary keys").fill("seven")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#primary_keys-error")).to_contain_text("seven")


def test_a_preview_is_a_chinese_sentence(console: Console) -> None:
    with console.signed_in("root", locale="zh-CN") as page:
        open_(console, page, f"{HERE}/preview?user=shelver&action=Query")
        expect(page.locator("#answer")).to_have_text("以 shelver 的身份可以查看 1,200 行中的 400 行，依据策略 own。")  # noqa: RUF001  Chinese


def test_tags_of_a_user_are_set_found_and_deleted(console: Console) -> None:
    with console.signed_in("root") as page:
        open_(console, page, "users/shelver")
        page.get_by_role("link", name="Change tags").click()
        page.get_by_label("Key").fill("region/now")
        page.get_by_label("Value").fill("emea & <b>")
        page.get_by_role("button", name="Set tag").click()
        said(page, "The tag was set.")
        page.get_by_role("link", name="Users with this tag region/now emea & <b>").click()
        expect(page.get_by_role("main").get_by_role("link", name="shelver")).to_be_visible()
        open_(console, page, "users/shelver/tags")
        page.get_by_role("link", name="Delete region/now").click()
        page.get_by_role("button", name="Delete").click()
        said(page, "The tag was deleted.")
        expect(page.get_by_role("row", name="region/now")).to_have_count(0)
        page.get_by_label("Key").fill("two words")
        page.get_by_label("Value").fill("x")
        page.get_by_role("button", name="Set tag").click()
        expect(page.locator("#tag_key-error")).to_be_visible()
        expect(page.locator("#tag_key")).to_have_value("two words")


def test_tags_of_an_api_key_stand_beside_those_of_its_user(console: Console) -> None:
    key = console.rest("kiteward/api_keys/create", userName="shelver")["keyId"]
    with console.signed_in("root") as page:
        open_(console, page, "keys?user=shelver")
        page.get_by_role("link", name=f"Tags {key}").click()
        page.get_by_label("Key").fill("team")
        page.get_by_label("Value").fill("red")
        page.get_by_role("button", name="Set tag").click()
        said(page, "The tag was set.")
        expect(page.locator("section", has_text="What row policies read")).to_contain_text("team: red")


def test_somebody_with_little_sees_no_policies_and_own_tags_alone(console: Console) -> None:
    console.rest("kiteward/tags/set", userName="reader", tags={"team": "of_readers"})
    with console.signed_in("reader") as page:
        expect(page.get_by_role("main")).to_contain_text("of_readers")
        open_(console, page, "collections/default/docs")
        expect(page.get_by_role("heading", name="Row policies")).to_have_count(0)
        open_(console, page, "users/shelver/tags")
        expect(page.get_by_role("heading", level=1)).not_to_contain_text("shelver")


def test_who_may_only_look_sees_policies_and_nothing_to_change_them_with(console: Console) -> None:
    console.rest("vectordb/roles/create", roleName="viewer")
    granted = {"roleName": "viewer", "collectionName": NAME, "dbName": "default"}
    for privilege in ("ViewRLS", "DescribeCollection"):
        console.rest("vectordb/roles/grant_privilege_v2", **granted, privilege=privilege)
    password = console.new_user("looker", "viewer")
    with console.signed_in("looker", password) as page:
        open_(console, page, HERE)
        expect(page.get_by_text("owner == $current_principal")).to_be_visible()
        for place in ("new-policy", "policies/own", "policies/own/drop", "enforce", "preview"):
            expect(page.locator(f'a[href$="{HERE}/{place}"]')).to_have_count(0)
    with console.signed_in("root") as page:
        open_(console, page, HERE)
        for place in ("new-policy", "policies/own", "policies/own/drop", "enforce", "preview"):
            expect(page.locator(f'a[href$="{HERE}/{place}"]')).to_have_count(1)


def test_every_page_works_without_scripts(console: Console) -> None:
    with console.signed_in("root", java_script_enabled=False) as page:
        open_(console, page, f"{HERE}/new-policy")
        page.get_by_label("Policy name").fill("plain")
        page.get_by_label("Stored rows").fill("true")
        page.get_by_role("button", name="Create policy").click()
        said(page, "The row policy was created.")
        open_(console, page, f"{HERE}/preview")
        page.get_by_label("User").fill("shelver")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#answer")).to_contain_text("1,200 of 1,200 rows")
        open_(console, page, f"{HERE}/policies/plain/drop")
        page.get_by_role("button", name="Drop").click()
        said(page, "The row policy was dropped.")


@some_and_all(PAGES)
def test_axe_finds_nothing_and_no_page_is_wider_than_a_narrow_screen(console: Console, paths: Sequence[str]) -> None:
    with console.signed_in("root") as page:
        assert looks_wrong(console, page, paths) == []
