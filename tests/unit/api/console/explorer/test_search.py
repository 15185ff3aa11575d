"""Vector search: what is wrong with a vector is shown at its field, and a search is sent as it was asked."""

import json
import struct

from tests.unit.api.console.explorer.exploring import HERE, TYPES, exploring, hits, indexed, schema, shown
from tests.unit.api.console.test_app import Browser

from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2, schema_pb2

VECTOR = "[0.25, 0.5, 0.75, 1]"


def with_fields(answers: dict[str, bytes]) -> None:
    """Add vector fields of other kinds to the collection."""
    described = messages.DescribeCollectionResponse.FromString(schema())
    for name, kind, dimension in (("bits", "BinaryVector", "16"), ("small", "Int8Vector", "2")):
        described.schema.fields.add(name=name, data_type=TYPES.Value(kind)).type_params.add(key="dim", value=dimension)
    for name in ("sparse", "words"):
        described.schema.fields.add(name=name, data_type=TYPES.SparseFloatVector)
    described.schema.functions.add(
        name="bm25", type=schema_pb2.FunctionType.BM25, input_field_names=["title"], output_field_names=["words"]
    )
    answers["DescribeCollection"] = described.SerializeToString()
    indexes = milvus_pb2.DescribeIndexResponse.FromString(indexed())
    sparse = indexes.index_descriptions.add(field_name="sparse", index_name="thin")
    for key, value in {"index_type": "SPARSE_WAND", "metric_type": "IP"}.items():
        sparse.params.add(key=key, value=value)
    answers["DescribeIndex"] = indexes.SerializeToString()
    answers["Search"] = hits([5, 3], [0.1, 2.5])


async def sent(browser: Browser, **form: str) -> messages.SearchRequest:
    """Search, and return what the engine got."""
    answer = await browser.send(f"{HERE}/search", **{"field": "vector", "vector": VECTOR, "limit": "10", **form})
    assert answer.status_code == 200, shown(answer.text)
    request: messages.SearchRequest = browser.harness.engine.called("Search")[-1].request
    return request


def parameters(request: messages.SearchRequest) -> dict[str, str]:
    return {pair.key: pair.value for pair in request.search_params}


UNFIT = (
    ({"vector": ""}, "vector", "This field is required."),
    ({"vector": "[1, 2, 3]"}, "vector", "a JSON list of 4 numbers. This list has 3."),
    ({"vector": "[1, 2"}, "vector", "a JSON list of 4 numbers."),
    ({"vector": '[1, 2, 3, "x"]'}, "vector", "a JSON list of 4 numbers."),
    ({"vector": "[1, 2, 3, NaN]"}, "vector", "a JSON list of 4 numbers."),
    ({"vector": "[" * 100_000}, "vector", "a JSON list of 4 numbers."),
    ({"field": "bits", "vector": "[1, 2, 3]"}, "vector", "a JSON list of 2 whole numbers from 0 to 255"),
    ({"field": "small", "vector": "[1, 200]"}, "vector", "whole numbers from -128 to 127"),
    ({"field": "sparse", "vector": "[1]"}, "vector", 'a JSON object such as {"7": 0.5}'),
    ({"field": "sparse", "vector": '{"-1": 1}'}, "vector", 'a JSON object such as {"7": 0.5}'),
    ({"field": "title"}, "field", "Choose a vector field"),
    ({"limit": "0"}, "limit", "from 1 to 200"),
    ({"limit": "201"}, "limit", "from 1 to 200"),
    ({"limit": "many"}, "limit", "from 1 to 200"),
    ({"ef": "0"}, "ef", "A whole number from 1 to 32,768 is required."),
    ({"ef": "1.5"}, "ef", "A whole number from 1 to 32,768 is required."),
    ({"field": "sparse", "vector": '{"1": 1}', "drop_ratio_search": "1"}, "drop_ratio_search", "from 0 to 0.99"),
    ({"field": "sparse", "vector": '{"1": 1}', "drop_ratio_search": "x"}, "drop_ratio_search", "from 0 to 0.99"),
    ({"field": "sparse", "vector": '{"1": 1}', "ef": "5"}, "ef", "(SPARSE_WAND) has no parameter ef"),
    ({"field": "bits", "vector": "[1, 2]", "ef": "5"}, "ef", "has no parameter ef"),
    ({"radius": "near"}, "radius", "A number is required"),
    ({"radius": "nan"}, "radius", "A number is required"),
    ({"range_filter": "1"}, "radius", "A range needs a radius"),
    ({"radius": "1", "range_filter": "2"}, "range_filter", "range_filter must be less than radius"),
    ({"metric": "IP", "radius": "2", "range_filter": "1"}, "range_filter", "must be greater than radius"),
    ({"like": "x"}, "like", "x"),
    ({"field": "words", "like": "1"}, "like", "enter a text instead"),
    ({"field": "bits", "like": "1"}, "like", "This row has no vector"),
)


async def test_what_cannot_be_searched_with_is_shown_at_its_field() -> None:
    async with exploring("Search", "Query", "IndexDetail", answers=with_fields) as browser:
        for changed, field, said in UNFIT:
            form = {"field": "vector", "vector": VECTOR, "limit": "10", **changed}
            answer = await browser.send(f"{HERE}/search", **form)
            assert answer.status_code == 422, changed
            assert f'id="{field}-error"' in answer.text, changed
            assert said in shown(answer.text), changed
        assert not browser.harness.engine.called("Search")


async def test_all_fields_that_cannot_be_searched_with_are_shown_at_once() -> None:
    async with exploring("Search", "Query", "IndexDetail", answers=with_fields) as browser:
        form = {"field": "vector", "vector": "[1, 2", "limit": "many", "ef": "0", "radius": "near"}
        page = (await browser.send(f"{HERE}/search", **form)).text
        assert [name for name in form if f'id="{name}-error"' in page] == ["vector", "limit", "ef", "radius"]


async def test_a_search_is_sent_as_it_was_asked() -> None:
    async with exploring("Search", answers=with_fields) as browser:
        request = await sent(browser, filter="id > 1", limit="7", metric="IP", column="title")
        assert (request.db_name, request.collection_name, request.dsl) == ("default", "docs", "id > 1")
        assert [*request.output_fields] == ["id", "title"]
        assert parameters(request)["topk"] == "7"
        assert parameters(request)["metric_type"] == "IP"
        assert parameters(request)["anns_field"] == "vector"
        assert struct.pack("<4f", 0.25, 0.5, 0.75, 1) in request.placeholder_group
        assert "metric_type" not in {key for key, value in parameters(await sent(browser)).items() if value}


async def test_the_index_is_told_its_parameters_and_a_range() -> None:
    async with exploring("Search", "IndexDetail", answers=with_fields) as browser:
        form = (await browser.open(f"{HERE}/search")).text
        assert "vector (dimension 4, HNSW, L2)" in shown(form)
        assert 'name="ef"' in form
        assert 'name="drop_ratio_search"' in form
        assert 'name="nprobe"' not in form
        told = json.loads(parameters(await sent(browser, ef="64", radius="10", range_filter="0.5"))["params"])
        assert told == {"ef": 64, "radius": 10.0, "range_filter": 0.5}
        told = json.loads(
            parameters(await sent(browser, field="sparse", vector='{"7": 1}', drop_ratio_search=".2"))["params"]
        )
        assert told == {"drop_ratio_search": 0.2}
        assert json.loads(parameters(await sent(browser))["params"]) == {}


async def test_without_sight_of_the_index_a_search_has_no_parameters_of_it() -> None:
    async with exploring("Search", answers=with_fields) as browser:
        browser.harness.engine.answers["DescribeIndex"] = milvus_pb2.DescribeIndexResponse(
            status=messages.Status(code=700, reason="index not found")
        ).SerializeToString()
        form = (await browser.open(f"{HERE}/search")).text
        assert "The collection has no index, or none is shown to you." in shown(form)
        assert 'name="ef"' not in form


KINDS = (
    ("bits", "[1, 255]", b"\x01\xff"),
    ("bits", "Af8=", b"\x01\xff"),
    ("small", "[-1, 2]", b"\xff\x02"),
    ("sparse", '{"7": 0.5}', struct.pack("<If", 7, 0.5)),
    ("words", "red [fox", b"red [fox"),
)


async def test_vectors_of_every_kind_and_texts_are_searched_with() -> None:
    async with exploring("Search", answers=with_fields) as browser:
        for field, vector, found in KINDS:
            assert found in (await sent(browser, field=field, vector=vector)).placeholder_group, vector


async def test_hits_are_shown_with_scores_in_their_order_and_say_what_is_near() -> None:
    async with exploring("Search", answers=with_fields) as browser:
        form = {"field": "vector", "vector": VECTOR, "limit": "10"}
        page = (await browser.send(f"{HERE}/search", **form)).text
        assert "distances of the metric L2: smaller is nearer" in shown(page)
        assert shown(page).index(" 0.1 5 ") < shown(page).index(" 2.5 3 ")
        assert "<script>alert" not in page
        assert "/row?key=" not in page
        page = (await browser.send(f"{HERE}/search", **form, metric="COSINE")).text
        assert "larger is nearer" in shown(page)
        page = (await browser.send(f"{HERE}/search", **form, metric="BM25")).text
        assert "The nearest row is the first." in shown(page)


async def test_similar_rows_are_searched_with_the_vector_of_the_row() -> None:
    async with exploring("Search", "Query", answers=with_fields) as browser:
        page = await browser.open(f"{HERE}/search?field=vector&like=1")
        assert page.status_code == 200
        engine = browser.harness.engine
        assert engine.called("Query")[-1].request.expr == "id in [1]"
        assert struct.pack("<4f", 0.25, 0.5, 0.75, 1) in engine.called("Search")[-1].request.placeholder_group
        assert "[0.25, 0.5, 0.75, 1.0]" in page.text
        assert f"{HERE}/search?field=vector&amp;like=5" in page.text
        assert (await browser.open(f"{HERE}/search?field=title&like=1")).status_code == 422
        await sent(browser, vector="[1, 1, 1, 1]", like="2", filter="id > 1")
        assert engine.called("Query")[-1].request.expr == "id in [2]"
        request = engine.called("Search")[-1].request
        assert (request.dsl, struct.pack("<4f", 0.25, 0.5, 0.75, 1.0) in request.placeholder_group) == ("id > 1", True)


async def test_the_vector_of_a_row_is_not_read_by_those_who_may_not_query() -> None:
    async with exploring("Search", answers=with_fields) as browser:
        assert 'name="like"' not in (await browser.open(f"{HERE}/search")).text
        answer = await browser.send(f"{HERE}/search", field="vector", vector=VECTOR, limit="10", like="1")
        assert answer.status_code == 403
        assert not browser.harness.engine.called("Query")


async def test_a_refused_filter_is_shown_at_its_field() -> None:
    async with exploring("Search", answers=with_fields) as browser:
        status = messages.Status(code=1100, reason="no such field")
        browser.harness.engine.answers["Search"] = messages.SearchResults(status=status).SerializeToString()
        form = {"field": "vector", "vector": VECTOR, "limit": "10", "filter": "nope == 1"}
        page = (await browser.send(f"{HERE}/search", **form)).text
        assert 'id="filter-error"' in page
        assert "The filter is not valid." in page
        assert "no such field" in page
        assert VECTOR in page
