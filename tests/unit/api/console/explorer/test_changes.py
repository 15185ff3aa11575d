"""What changes a collection: the right request, after a confirmation where something is lost; and refusals."""

from typing import Any

from tests.unit.api.console.explorer.exploring import HERE, exploring, shown

from kiteward.api.console.explorer.changes import CHANGES
from kiteward.api.console.language import catalogues
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineLacksOperation
from kiteward.milvus import messages

Sent = tuple[str, dict[str, str], str, dict[str, Any], str]

SENT: tuple[Sent, ...] = (
    ("load", {}, "LoadCollection", {}, "explorer_load"),
    ("release", {}, "ReleaseCollection", {}, "explorer_release"),
    ("flush", {}, "Flush", {"collection_names": ["docs"]}, "explorer_flush"),
    ("new-alias", {"alias": "latest"}, "CreateAlias", {"alias": "latest"}, "explorer_new_alias"),
    ("aliases/latest/move", {"target": "docs"}, "AlterAlias", {"alias": "latest"}, "explorer_move_alias"),
    ("aliases/latest/drop", {}, "DropAlias", {"alias": "latest"}, "explorer_drop_alias"),
    ("new-partition", {"partition_name": "p"}, "CreatePartition", {"partition_name": "p"}, "explorer_new_partition"),
    ("partitions/p/load", {}, "LoadPartitions", {"partition_names": ["p"]}, "explorer_partition_load"),
    ("partitions/p/release", {}, "ReleasePartitions", {"partition_names": ["p"]}, "explorer_partition_release"),
    ("partitions/p/drop", {"typed_name": "p"}, "DropPartition", {"partition_name": "p"}, "explorer_partition_drop"),
)


async def test_every_change_sends_its_request_and_says_what_was_done() -> None:
    async with exploring() as browser:
        for path, form, operation, members, done in SENT:
            answer = await browser.send(f"{HERE}/{path}", **form)
            assert answer.headers["location"] == f"/console/{HERE}?done={done}", path
            request = browser.harness.engine.called(operation)[-1].request
            assert request.db_name == "default"
            for member, value in members.items():
                held = getattr(request, member)
                assert (held if isinstance(held, str) else [*held]) == value, path
        answer = await browser.send(f"{HERE}/rename", new_name="books")
        assert answer.headers["location"] == "/console/collections/default/books?done=explorer_rename"
        assert browser.harness.engine.databases["default"].collections == ["books"]
        answer = await browser.send("collections/default/books/drop", typed_name="books")
        assert answer.headers["location"] == "/console/collections?done=explorer_drop&database=default"
        assert browser.harness.engine.databases["default"].collections == []
    covered = {operation for _, _, operation, _, _ in SENT} | {"RenameCollection", "DropCollection"}
    assert covered == {change.operation for change in CHANGES}


async def test_what_is_lost_wants_its_name_typed() -> None:
    async with exploring() as browser:
        for path, name, operation in (("drop", "docs", "DropCollection"), ("partitions/p/drop", "p", "DropPartition")):
            for typed in ("", "other", name.upper()):
                answer = await browser.send(f"{HERE}/{path}", typed_name=typed)
                assert (answer.status_code, 'id="typed_name-error"' in answer.text) == (422, True)
            assert not browser.harness.engine.called(operation)


async def test_name_in_a_title_is_code_its_markup_is_text_and_the_title_of_the_document_is_plain() -> None:
    async with exploring() as browser:
        page = (await browser.open(f"{HERE}/aliases/%3Cb%3Ex%60y%3Cb%3E%60/drop")).text
    hostile = "&lt;b&gt;x\u02cby&lt;b&gt;\u02cb"
    assert f"<title>Drop the alias {hostile} · Kiteward</title>" in page
    assert f"<h1>Drop the alias <code>{hostile}</code></h1>" in page
    assert f"<li>Programs that use the alias <code>{hostile}</code> find nothing" in page
    assert "<b>" not in page


async def test_the_partition_that_every_collection_has_is_not_offered_to_be_dropped() -> None:
    async with exploring() as browser:
        opened = await browser.open(f"{HERE}/partitions/_default/drop")
        assert (opened.status_code, "The partition <code>_default</code> cannot be dropped." in opened.text) == (
            422,
            True,
        )
        sent = await browser.send(f"{HERE}/partitions/_default/drop", typed_name="_default")
        assert (sent.status_code, browser.harness.engine.called("DropPartition")) == (422, [])


async def test_what_removes_something_has_a_button_that_warns() -> None:
    async with exploring() as browser:
        for path, warns in (("aliases/latest/drop", True), ("partitions/p/drop", True), ("release", False)):
            page = (await browser.open(f"{HERE}/{path}")).text
            assert ('<button class="danger">' in page) is warns, path


async def test_what_is_missing_or_refused_is_shown_at_its_field() -> None:
    async with exploring() as browser:
        for path, field in (("rename", "new_name"), ("new-alias", "alias"), ("new-partition", "partition_name")):
            answer = await browser.send(f"{HERE}/{path}", **{field: " "})
            assert (answer.status_code, f'id="{field}-error"' in answer.text) == (422, True)
        refused = messages.failure(
            "CreatePartition",
            code=1100,
            legacy_code=messages.ErrorCode.UnexpectedError,
            reason="too many <b>partitions</b>",
        )
        browser.harness.engine.answers["CreatePartition"] = refused
        answer = await browser.send(f"{HERE}/new-partition", partition_name="p")
        assert (answer.status_code, 'id="partition_name-error"' in answer.text) == (422, True)
        assert "too many &lt;b&gt;partitions&lt;/b&gt;" in answer.text


async def test_the_aliases_that_keep_a_collection_from_being_dropped_are_named() -> None:
    async with exploring() as browser:
        for alias in ("latest", "stable"):
            await browser.harness.succeed("CreateAlias", collection_name="docs", alias=alias)
        answer = await browser.send(f"{HERE}/drop", typed_name="docs")
        assert answer.status_code == 422
        assert "The collection docs has aliases: latest, stable . Drop them first" in shown(answer.text)
        assert f'href="/console/{HERE}"' in answer.text


async def test_what_the_engine_lacks_is_shown_as_such() -> None:
    async with exploring() as browser:
        lacking = ErrorDetail(ErrorCode.ENGINE_LACKS_OPERATION, {"operation": "LoadPartitions"})
        browser.harness.engine.failures["LoadPartitions"] = EngineLacksOperation("it is not there", lacking)
        answer = await browser.send(f"{HERE}/partitions/p/load")
        assert answer.status_code == 422
        assert "temporarily" not in answer.text.lower()
        assert shown(answer.text).count("The engine does not implement LoadPartitions") == 1


def test_every_change_has_its_texts() -> None:
    for language in catalogues().values():
        for change in CHANGES:
            explained = {f"field.{name}_hint" for name in change.fields} or {f"{change.key}.effect"}
            explained = explained if explained <= set(language.texts) else {f"{change.key}.effect"}
            assert {f"{change.key}.title", f"{change.key}.button"} | explained <= set(language.texts)
            assert f"done.{change.key}" in language.texts
            assert {f"field.{name}" for name in change.fields} <= set(language.texts)
