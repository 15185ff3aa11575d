"""Without the privilege for an action its page answers 403 with the reason, no page links to it, nothing is sent."""

from tests.unit.api.console.explorer.exploring import HERE, exploring, links_to, scope, shown

from kiteward.api.console.explorer.changes import CHANGES
from kiteward.gateway.operations import OPERATIONS
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

NAMES = {"{alias}": "other", "{partition}": "p"}
FORMS = {"new_name": "a", "alias": "a", "target": "a", "partition_name": "a", "typed_name": "docs", "data": '{"id": 1}'}


def filled(path: str) -> str:
    for placeholder, name in NAMES.items():
        path = path.replace(placeholder, name)
    return f"{HERE}/{path}"


ACTIONS = {filled(change.path): change.operation for change in CHANGES} | {
    f"{HERE}/insert": "Insert",
    f"{HERE}/row/delete?key=1": "Delete",
}
READS = {f"{HERE}/rows": "Query", f"{HERE}/row?key=1": "Query", f"{HERE}/search": "Search"}
LINKS = {path.partition("?")[0]: operation for path, operation in {**READS, **ACTIONS}.items()}
ON_OTHER_PAGES = {f"{HERE}/row", f"{HERE}/row/delete", f"{HERE}/insert"}


def privilege_of(operation: str) -> str:
    privilege = OPERATIONS[operation].privilege
    assert privilege is not None
    return privilege.name


async def test_who_may_only_see_the_collection_is_refused_every_action_and_offered_none() -> None:
    async with exploring("IndexDetail") as browser:
        engine = browser.harness.engine
        page = await browser.open(HERE)
        assert page.status_code == 200
        assert "768" not in shown(page.text)
        for link in LINKS:
            assert not links_to(page.text, link), link
        for path, operation in {**READS, **ACTIONS}.items():
            refused = await browser.open(path)
            told = f"The privilege {privilege_of(operation)} is missing on default.docs ."
            assert (refused.status_code, told in shown(refused.text)) == (403, True), path
            if path not in READS or operation == "Search":
                refused = await browser.send(path, field="vector", vector="[1,2,3,4]", limit="1", **FORMS)
                assert refused.status_code == 403, path
            assert not engine.called(operation), operation


async def test_one_privilege_opens_its_own_pages_and_no_other() -> None:
    async with exploring("ShowPartitions") as browser:
        browser.harness.engine.answers["ShowPartitions"] = _partitions()
        for privilege in sorted({privilege_of(operation) for operation in LINKS.values()}):
            await browser.harness.grant("explorer", *scope(privilege))
            page = (await browser.open(HERE)).text
            for link, needed in LINKS.items():
                if link in ON_OTHER_PAGES or "/aliases/" in link:
                    continue
                offered = links_to(page, link)
                assert offered is (privilege_of(needed) == privilege), (privilege, link)
            for path, needed in {**READS, **ACTIONS}.items():
                if privilege_of(needed) == privilege:
                    assert (await browser.open(path)).status_code == 200, (privilege, path)
            assert "partitions/_default/drop" not in page
            await browser.harness.revoke("explorer", *scope(privilege))


async def test_a_collection_that_a_form_names_is_named_in_the_refusal() -> None:
    async with exploring("IndexDetail") as browser:
        await browser.harness.grant("explorer", "RenameCollection", "default", "docs")
        await browser.harness.grant("explorer", "CreateAlias", "default", "docs")
        for path, typed, privilege, named in (
            ("rename", {"new_name": "papers"}, "RenameCollection", "default.papers"),
            ("aliases/other/move", {"target": "papers"}, "CreateAlias", "default.papers"),
        ):
            assert (await browser.open(f"{HERE}/{path}")).status_code == 200
            refused = await browser.send(f"{HERE}/{path}", **typed)
            assert refused.status_code == 403, path
            assert f"The privilege {privilege} is missing on {named} ." in shown(refused.text), path


async def test_links_on_pages_of_rows_follow_the_privileges_for_them() -> None:
    async with exploring("Query") as browser:
        assert "/insert" not in (await browser.open(f"{HERE}/rows")).text
        assert "view_as" not in (await browser.open(f"{HERE}/rows")).text
        row = (await browser.open(f"{HERE}/row?key=1")).text
        assert "/row/delete" not in row
        assert "like=" not in row
    async with exploring("Query", "Insert", "Delete", "Search", "ManageRLS") as browser:
        assert f"{HERE}/insert" in (await browser.open(f"{HERE}/rows")).text
        assert 'name="view_as"' in (await browser.open(f"{HERE}/rows")).text
        row = (await browser.open(f"{HERE}/row?key=1")).text
        assert "/row/delete?key=1" in row
        assert "search?field=vector&amp;like=1" in row


async def test_what_may_not_be_seen_is_not_found_like_what_is_not_there() -> None:
    async with exploring("Query") as browser:
        browser.harness.engine.create("secret")
        for collection in ("default/secret", "default/absent", "other/docs"):
            for path in ("", "/rows", "/row?key=1", "/search", *(f"/{change.path}" for change in CHANGES)):
                answer = await browser.open(f"collections/{collection}{path}")
                assert answer.status_code == 404, (collection, path)
                assert "secret" not in shown(answer.text)
        assert (await browser.send("collections/default/secret/drop", typed_name="secret")).status_code == 404
        assert not browser.harness.engine.called("DropCollection")


async def test_creating_and_dropping_databases_and_collections_needs_the_privileges() -> None:
    async with exploring("Query") as browser:
        page = (await browser.open("collections")).text
        for path in ("new-collection", "new-database", "databases/default/drop"):
            assert f"/console/{path}" not in page
            assert (await browser.open(path)).status_code == 403, path
            form = {"collection_name": "a", "database": "default", "database_name": "a", "typed_name": "default"}
            sent = await browser.send(path, **form)
            assert sent.status_code == 403, path
        for operation in ("CreateCollection", "CreateDatabase", "DropDatabase"):
            assert not browser.harness.engine.called(operation)
    async with exploring() as browser:
        page = (await browser.open("collections")).text
        assert "/console/new-collection?database=default" in page
        assert "/console/new-database" in page
        assert "/console/databases/default/drop" not in page


async def test_searching_like_a_row_needs_the_right_to_read_it() -> None:
    async with exploring("Search") as browser:
        answer = await browser.open(f"{HERE}/search?field=vector&like=1")
        assert (answer.status_code, "Query" in shown(answer.text)) == (403, True)
        assert not browser.harness.engine.called("Query")


def _partitions() -> bytes:
    found = milvus_pb2.ShowPartitionsResponse(status=messages.Status(), partition_names=["_default", "p"])
    return bytes(found.SerializeToString())
