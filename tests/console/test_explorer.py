"""The data explorer on the embedded engine: a collection's whole life, and rows as somebody else sees them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pymilvus import DataType, MilvusClient
from tests.console.conftest import Console
from tests.console.looks import looks_wrong, some_and_all
from tests.console.test_administrators import said
from tests.support.server import ROOT_TOKEN

from kiteward.api.console.explorer.asked import PAGE

BOOKS = "collections/default/books"
HOSTILE = "<script>document.title = 'stolen'</script>"
COUNT = 2 * PAGE + 7
PAGES = (
    BOOKS,
    f"{BOOKS}/rows",
    f"{BOOKS}/rows?column=id&column=vector&sort=id&order=desc&view_as=explored&count=1",
    f"{BOOKS}/rows?filter=broken >",
    f"{BOOKS}/row?key=0",
    f"{BOOKS}/rows?sort=title&order=desc&size=20&page=2",
    f"{BOOKS}/search?field=vector&like=3",
    f"{BOOKS}/insert",
    f"{BOOKS}/drop",
    "new-collection",
)


@pytest.fixture(scope="module", autouse=True)
def books(console: Console) -> Iterator[MilvusClient]:
    """A collection of three pages of rows with hostile and long contents, of which `explored` may see a third."""
    client = MilvusClient(uri=console.server.uri, token=ROOT_TOKEN, dedicated=True)
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("owner", DataType.VARCHAR, max_length=32)
    schema.add_field("title", DataType.VARCHAR, max_length=60_000)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=64)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("books", schema=schema, index_params=index)
    rows: list[dict[str, Any]] = [
        {
            "id": key,
            "owner": ("a", "b", "explored")[key % 3],
            "title": (HOSTILE, "w" * 50_000, f"title {key}")[key % 3],
            "vector": [float(key)] * 64,
            "more": {"x": [key] * 500},
        }
        for key in range(COUNT)
    ]
    client.insert("books", rows)
    console.rest("vectordb/roles/create", roleName="books_reader")
    grant = {"privilege": "Query", "collectionName": "books", "dbName": "default"}
    console.rest("vectordb/roles/grant_privilege_v2", roleName="books_reader", **grant)
    console.new_user("explored", "books_reader")
    console.new_user("b")
    policy: dict[str, Any] = {"policyName": "own", "actions": ["Query"], "usingExpr": "owner == $current_principal"}
    console.rest("kiteward/row_policies/create", collectionName="books", **policy)
    yield client
    client.drop_collection("books")
    client.close()


def open_(console: Console, page: Page, path: str) -> None:
    page.goto(f"{console.address}{path}")


def test_a_collection_is_made_filled_searched_and_dropped_without_javascript(console: Console) -> None:
    with console.signed_in("root", java_script_enabled=False) as page:
        open_(console, page, "collections")
        make(page)
        read(page)
        delete_two(page)
        open_(console, page, "collections/default/made")
        release_and_drop(page)


def make(page: Page) -> None:
    """Create a collection, with rows."""
    page.get_by_role("link", name="New collection").click()
    page.get_by_label("Collection name").fill("made")
    page.get_by_label("Size 2").fill("2")
    page.get_by_role("button", name="Add another field").click()
    page.get_by_label("Field 3").fill("title")
    page.get_by_label("Size 3").fill("100")
    page.get_by_label("Field 4").fill("stars")
    page.get_by_label("Type 4").select_option("Int64")
    page.get_by_role("button", name="Create collection").click()
    said(page, "The collection was created.")
    expect(page.get_by_role("row", name="vector")).to_contain_text("Dimension 2")
    page.get_by_role("link", name="Rows", exact=True).click()
    page.get_by_role("link", name="Insert rows").click()
    rows = [{"id": 2**53 + 1 + n, "title": f"t{n}", "stars": n, "vector": [n, 1], "more": n} for n in range(3)]
    page.get_by_label("Rows", exact=True).fill(json.dumps(rows))
    page.get_by_role("button", name="Insert").click()
    said(page, "The rows were inserted.")


def read(page: Page) -> None:
    """Find one of the rows, and those like it."""
    page.get_by_label("Filter").fill("stars >= 1")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_role("link", name=str(2**53 + 2)).click()
    expect(page.get_by_role("row", name="$meta")).to_contain_text('"more": 1')
    page.get_by_role("link", name="Find similar").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text(str(2**53 + 2))
    page.get_by_label("Like a stored row").fill("")
    page.get_by_label("Vector or text").fill("[1]")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#vector-error")).to_contain_text("a JSON list of 2 numbers. This list has 1.")


def delete_two(page: Page) -> None:
    """Select two of the rows and delete them."""
    page.get_by_role("link", name="Rows", exact=True).click()
    page.get_by_label(f"Select {2**53 + 1}").check()
    page.get_by_label(f"Select {2**53 + 3}").check()
    page.get_by_role("button", name="Delete selected rows").click()
    expect(page.get_by_text("Number of rows to delete: 2")).to_be_visible()
    page.get_by_role("button", name="Delete rows (2)").click()
    said(page, "The selected rows were deleted.")
    expect(page.get_by_role("row")).to_have_count(2)


def release_and_drop(page: Page) -> None:
    """Release the collection, load it and drop it."""
    page.get_by_role("link", name="Release", exact=True).click()
    page.get_by_role("button", name="Release").click()
    said(page, "The collection was released.")
    page.get_by_role("link", name="Rows", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The collection is not loaded.")
    page.get_by_role("link", name="Load").click()
    page.get_by_role("button", name="Load").click()
    said(page, "The engine loads the collection.")
    page.get_by_role("link", name="Schema", exact=True).click()
    page.get_by_role("link", name="Drop", exact=True).first.click()
    page.get_by_label("Confirm the name").fill("maid")
    page.get_by_role("button", name="Drop collection").click()
    expect(page.locator("#typed_name-error")).to_be_visible()
    page.get_by_label("Confirm the name").fill("made")
    page.get_by_role("button", name="Drop collection").click()
    said(page, "The collection was dropped.")
    expect(page.get_by_role("link", name="made")).to_have_count(0)


def test_pages_follow_one_another_by_key_and_contents_do_not_act(console: Console) -> None:
    with console.signed_in("root") as page:
        open_(console, page, f"{BOOKS}/rows")
        found: list[str] = []
        while True:
            found += page.locator("tbody th").all_inner_texts()
            expect(page).to_have_title("Rows · books · Kiteward")
            following = page.get_by_role("link", name="Next page")
            if not following.count():
                break
            following.click()
        assert found == [str(key) for key in range(COUNT)]
        page.get_by_role("link", name="Previous page").click()
        expect(page.locator("tbody th").first).to_have_text(str(PAGE))
        open_(console, page, f"{BOOKS}/row?key=0")
        expect(page.get_by_role("row", name="title")).to_contain_text(HOSTILE)
        expect(page).to_have_title("0 · books · Kiteward")


def test_rows_are_marked_as_another_user_sees_them(console: Console) -> None:
    with console.signed_in("root") as page:
        open_(console, page, f"{BOOKS}/rows")
        page.get_by_label("View as user").fill("explored")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("explored sees")).to_contain_text(f"explored sees {COUNT // 3} of all {COUNT} rows")
        expect(page.get_by_role("row").nth(1)).to_contain_text("Hidden")
        expect(page.get_by_role("row").nth(3)).to_contain_text("Visible")
        page.get_by_label("View as user").fill("b")
        page.get_by_role("button", name="Show").click()
        note, allowed = page.get_by_text("Query is refused altogether"), len(range(1, COUNT, 3))
        expect(note).to_contain_text(f"b would see {allowed} of all {COUNT} rows")
        expect(page.get_by_role("row").nth(2)).to_contain_text("Visible")
        expect(page.get_by_role("row").nth(3)).to_contain_text("Hidden")
        open_(console, page, f"{BOOKS}/preview?user=b&action=Query&primary_keys=1,2")
        expect(page.get_by_text("Query is refused altogether")).to_be_visible()
        expect(page.locator("#answer")).to_contain_text(f"see {allowed} of {COUNT} rows")
        expect(page.locator("tr", has_text="Visible").locator("th")).to_have_text("1")
        open_(console, page, f"{BOOKS}/rows")
        page.get_by_label("View as user").fill("nobody_here")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#view_as-error")).to_contain_text("nobody_here")


@some_and_all(PAGES)
def test_pages_of_large_values_are_accessible_and_no_wider_than_a_narrow_screen(
    console: Console, paths: Sequence[str]
) -> None:
    with console.signed_in("root") as page:
        found = looks_wrong(console, page, paths)
    assert not found, "\n".join(found)


def test_the_form_for_a_collection_is_filled_in_on_a_telephone(console: Console) -> None:
    with console.signed_in("root", viewport={"width": 390, "height": 844}) as page:
        open_(console, page, "new-collection")
        for name in ("name_1", "type_1", "size_1", "index_1", "metric_1"):
            box = page.locator(f"[name={name}]").bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["width"] > 150, name
            assert box["x"] + box["width"] <= 390, name
        label = "getComputedStyle(document.querySelector('[name=metric_1]').closest('td'), '::before').content"
        assert page.evaluate(label) == '"Metric"'


def test_a_new_field_shows_what_its_type_has_and_sends_nothing_else(console: Console) -> None:
    with console.signed_in("root", viewport={"width": 390, "height": 844}) as page:
        open_(console, page, "new-collection")
        for kind, seen in {
            "Int64": (),
            "SparseFloatVector": ("index_1", "metric_1"),
            "FloatVector": ("size_1", "index_1", "metric_1"),
            "VarChar": ("size_1",),
        }.items():
            page.locator("[name=type_1]").select_option(kind)
            for name in ("size_1", "index_1", "metric_1"):
                part = page.locator(f"[name={name}]")
                assert (part.is_visible(), part.is_enabled()) == (name in seen, name in seen), (kind, name)
                assert part.locator("xpath=ancestor::td").is_visible() is (name in seen), (kind, name)


def test_what_can_be_done_with_a_hit_is_in_sight_however_wide_the_table_is(console: Console) -> None:
    with console.signed_in("root", viewport={"width": 1280, "height": 800}) as page:
        open_(console, page, f"{BOOKS}/search?field=vector&like=3")
        for column in ("vector", "$meta"):
            page.locator("summary").first.click()
            page.locator(f"[name=column][value='{column}']").check()
            page.get_by_role("button", name="Search", exact=True).click()
        table = page.locator(".explorer-rows")
        assert table.evaluate("each => each.scrollWidth > each.clientWidth")
        frame, link = table.bounding_box(), page.get_by_role("link", name="Find similar").first.bounding_box()
        assert frame is not None
        assert link is not None
        assert link["x"] + link["width"] <= frame["x"] + frame["width"]
        heights = [
            page.locator(each).evaluate("each => each.offsetHeight") for each in ("#limit", "#metric", "#filter")
        ]
        assert len(set(heights)) == 1
