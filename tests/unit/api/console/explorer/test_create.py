"""Creating a collection from the form: what is sent, what is wrong at its field, and more fields than three."""

import json
import re
from typing import Any

from tests.unit.api.console.explorer.exploring import exploring, shown

from kiteward.milvus import messages
from kiteward.milvus.messages import schema_pb2

FORM = {
    "rows": "5",
    "collection_name": "made",
    "database": "default",
    "description": "about <b>it</b>",
    "dynamic": "yes",
    "load": "yes",
    "name_0": "key",
    "type_0": "VarChar",
    "size_0": "64",
    "name_1": "vector",
    "type_1": "FloatVector",
    "size_1": "8",
    "index_1": "HNSW",
    "metric_1": "L2",
    "name_2": "tags",
    "type_2": "Array of VarChar",
    "size_2": "9",
    "options_2": "nullable",
    "name_3": "tenant",
    "type_3": "Int64",
    "options_3": "partition_key",
    "name_4": "bits",
    "type_4": "BinaryVector",
    "size_4": "16",
}


def parameters(given: Any) -> dict[str, str]:
    return {pair.key: pair.value for pair in given}


async def test_what_the_type_of_a_field_does_not_have_is_said_at_its_place() -> None:
    async with exploring() as browser:
        given = {**FORM, "size_3": "8", "index_3": "HNSW", "metric_3": "L2", "type_4": "SparseFloatVector"}
        answer = await browser.send("new-collection", **given)
        assert answer.status_code == 422
        assert re.findall(r'id="(\w+)-error"', answer.text) == ["size_3", "index_3", "metric_3", "size_4"]
        assert "A field of the type Int64 has none" in answer.text
        assert not browser.harness.engine.called("CreateCollection")


async def test_an_option_that_the_type_of_a_field_does_not_have_is_refused_at_its_place() -> None:
    async with exploring() as browser:
        given = {**FORM, "options_1": "nullable", "type_3": "JSON"}
        answer = await browser.send("new-collection", **given)
        assert answer.status_code == 422
        assert re.findall(r'id="(\w+)-error"', answer.text) == ["options_1", "options_3"]
        assert "A field of the type FloatVector cannot have this: Nullable." in shown(answer.text)
        assert "A field of the type JSON cannot have this: Partition key." in shown(answer.text)
        assert not browser.harness.engine.called("CreateCollection")


async def test_each_part_of_a_field_names_the_types_that_have_it() -> None:
    async with exploring(embedded_engine=True) as browser:
        page = (await browser.open("new-collection")).text
        parts = {name: kinds.split("|") for kinds, name in re.findall(r'data-with="([^"]*)">.*?name="(\w+_1)"', page)}
        assert parts["index_1"] == parts["metric_1"] == ["FloatVector", "SparseFloatVector"]
        assert {"FloatVector", "VarChar", "Array of Int64"} < {*parts["size_1"]}
        assert not {"SparseFloatVector", "Int64", "JSON"} & {*parts["size_1"]}
        boxes = re.findall(r'data-with="([^"]*)"><label><input type="checkbox" name="options_1" value="(\w+)"', page)
        assert [option for _, option in boxes] == ["nullable", "partition_key"]
        assert boxes[1][0] == "Int64|VarChar"
        assert {"Int64", "JSON", "Array of Int64"} < {*boxes[0][0].split("|")}
        assert not {"FloatVector", "SparseFloatVector"} & {*boxes[0][0].split("|")}


async def test_a_collection_is_created_as_typed_with_indexes_and_loaded() -> None:
    async with exploring() as browser:
        answer = await browser.send("new-collection", **FORM)
        assert answer.headers["location"] == "/console/collections/default/made?done=explorer_create"
        engine = browser.harness.engine
        made = engine.called("CreateCollection")[0].request
        schema = schema_pb2.CollectionSchema.FromString(made.schema)
        assert (schema.name, schema.description, schema.enable_dynamic_field) == ("made", "about <b>it</b>", True)
        fields = {field.name: field for field in schema.fields}
        assert [*fields] == ["key", "vector", "tags", "tenant", "bits"]
        assert fields["key"].is_primary_key
        assert not fields["key"].autoID
        assert [parameters(field.type_params) for field in schema.fields] == [
            {"max_length": "64"},
            {"dim": "8"},
            {"max_capacity": "9", "max_length": "65535"},
            {},
            {"dim": "16"},
        ]
        assert (fields["tags"].nullable, fields["tenant"].is_partition_key) == (True, True)
        first, second = (parameters(call.request.extra_params) for call in engine.called("CreateIndex"))
        assert (first["index_type"], first["metric_type"]) == ("HNSW", "L2")
        assert json.loads(first["params"]) == {"M": 16, "efConstruction": 200}
        assert second == {"index_type": "AUTOINDEX", "metric_type": "HAMMING"}
        assert engine.called("LoadCollection")


async def test_what_is_wrong_is_shown_at_its_field_and_nothing_is_sent() -> None:
    async with exploring() as browser:
        for changed, field, said in (
            ({"collection_name": ""}, "collection_name", "This field is required."),
            ({"size_1": ""}, "size_1", "A whole number greater than 0"),
            ({"size_1": "0"}, "size_1", "A whole number greater than 0"),
            ({"size_2": "many"}, "size_2", "A whole number greater than 0"),
            ({"name_0": ""}, "name_0", "This field is required."),
            ({"name_3": "tags"}, "name_3", "Another field has this name."),
            ({"collection_name": "docs"}, "collection_name", "A collection of this name exists already."),
            ({"collection_name": "9bad"}, "collection_name", "must begin with a letter or an underscore"),
            ({"name_3": "a b"}, "name_3", "letters, digits and _ only"),
            ({"metric_1": "HAMMING"}, "metric_1", "choose one of COSINE, L2, IP"),
            ({"index_4": "HNSW"}, "index_4", "choose one of AUTOINDEX, BIN_FLAT, BIN_IVF_FLAT"),
        ):
            answer = await browser.send("new-collection", **{**FORM, **changed})
            assert answer.status_code == 422
            assert f'id="{field}-error"' in answer.text
            assert said in shown(answer.text)
            assert 'value="tenant"' in answer.text or "name_3" in changed
        without = {**FORM, "name_1": "", "size_1": "", "name_4": "", "size_4": ""}
        assert "At least one field must be a vector." in (await browser.send("new-collection", **without)).text
        assert not browser.harness.engine.called("CreateCollection")


async def test_everything_that_is_wrong_is_marked_at_once() -> None:
    async with exploring() as browser:
        wrong = {"collection_name": "9x", "size_1": "0", "size_2": "many", "name_3": "a b", "metric_4": "COSINE"}
        answer = await browser.send("new-collection", **{**FORM, **wrong})
        for field in wrong:
            assert f'id="{field}-error"' in answer.text, field


async def test_fields_are_added_by_a_button_and_what_was_typed_stays() -> None:
    async with exploring() as browser:
        answer = await browser.send("new-collection", **FORM, more="yes")
        assert (answer.status_code, 'name="name_5"' in answer.text) == (200, True)
        for kept in ('value="tenant"', 'value="made"', 'value="about &lt;b&gt;it&lt;/b&gt;"'):
            assert kept in answer.text
        assert not browser.harness.engine.called("CreateCollection")
        answer = await browser.send("new-collection", **{**FORM, "rows": "1000000", "more": "yes"})
        assert 'name="name_63"' in answer.text
        assert 'name="name_64"' not in answer.text
        assert 'name="more"' not in answer.text


async def test_a_collection_whose_index_is_refused_is_kept_and_the_page_says_so() -> None:
    async with exploring() as browser:
        engine = browser.harness.engine
        engine.answers["CreateIndex"] = messages.failure(
            "CreateIndex", code=1100, legacy_code=messages.ErrorCode.UnexpectedError, reason="no such <i>index</i>"
        )
        answer = await browser.send("new-collection", **FORM)
        assert answer.status_code == 422
        assert "no such &lt;i&gt;index&lt;/i&gt;" in answer.text
        assert 'id="index_1-error"' in answer.text
        assert "The collection made is kept. Add what is missing, or drop it" in shown(answer.text)
        assert not engine.called("DropCollection")
        assert engine.databases["default"].collections == ["docs", "made"]
        assert "A collection of this name exists already." in (await browser.send("new-collection", **FORM)).text


async def test_what_the_engine_says_about_one_field_is_shown_there_and_else_above_the_form() -> None:
    async with exploring() as browser:
        engine = browser.harness.engine
        for said, field in (
            ("invalid dimension: 8 of field vector should be in range 2 ~ 4", "size_1"),
            ("field tenant cannot divide the rows", "name_3"),
            ("fields vector and tenant do not go together", ""),
            ("too many collections", ""),
        ):
            engine.answers["CreateCollection"] = messages.failure(
                "CreateCollection", code=1100, legacy_code=messages.ErrorCode.UnexpectedError, reason=said
            )
            answer = await browser.send("new-collection", **FORM)
            assert said in shown(answer.text)
            found = re.findall(r'id="([a-z_0-9]+)-error"', answer.text)
            assert found == ([field] if field else [])


async def test_a_database_that_is_not_there_gets_no_collection() -> None:
    async with exploring() as browser:
        answer = await browser.send("new-collection", **{**FORM, "database": "nowhere"})
        assert answer.status_code in (404, 422)
        assert not browser.harness.engine.called("CreateIndex")
