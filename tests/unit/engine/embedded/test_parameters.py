"""Parameters by name: known ones pass, what only tunes an index passes, and what would be ignored is refused."""

import json

import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from kiteward.engine.embedded import data_rpcs, parameters


def pairs(given: dict[str, str]) -> list[common_pb2.KeyValuePair]:
    return [common_pb2.KeyValuePair(key=key, value=value) for key, value in given.items()]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"topk": "3", "metric_type": "L2", "params": '{"ef": 8, "radius": 2}'},
        {"params": '{"nprobe": 8, "hints": "iterative_filter"}', "ignore_growing": "True"},
        {"order_by_fields": "", "json_path": "null"},
        {"group_by_field": "n", "params": '{"group_by_field": "n"}'},
    ],
)
def test_search_that_is_heeded_is_not_refused(given: dict[str, str]) -> None:
    assert not parameters.search_refusal(milvus_pb2.SearchRequest(search_params=pairs(given)))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"radios": "2"}, "`radios`"),
        ({"params": '{"radios": 2}'}, "`radios`"),
        ({"params": '{"group_by_field": "n"}'}, "`group_by_field` is not read inside `params`"),
        ({"params": "x"}, "`params`"),
        ({"round_decimal": "7"}, "round_decimal [7]"),
        ({"topk": "20000"}, "topk [20000]"),
    ],
)
def test_search_that_would_be_ignored_in_part_is_refused(given: dict[str, str], named: str) -> None:
    assert named in parameters.search_refusal(milvus_pb2.SearchRequest(search_params=pairs(given)))


def test_vectors_beyond_the_first_group_are_refused() -> None:
    value = common_pb2.PlaceholderValue(tag="$0", type=common_pb2.PlaceholderType.FloatVector, values=[b"1234"])
    one = common_pb2.PlaceholderGroup(placeholders=[value]).SerializeToString()
    two = common_pb2.PlaceholderGroup(placeholders=[value, value]).SerializeToString()
    assert not parameters.search_refusal(milvus_pb2.SearchRequest(placeholder_group=one, nq=1))
    assert "one group" in parameters.search_refusal(milvus_pb2.SearchRequest(placeholder_group=two, nq=2))
    assert "nq [5]" in parameters.search_refusal(milvus_pb2.SearchRequest(placeholder_group=one, nq=5))


@pytest.mark.parametrize(
    ("rank", "part", "named"),
    [
        ({"strict_group_size": "true"}, {}, "strict_group_size"),
        ({"radios": "1"}, {}, "`radios`"),
        ({}, {"offset": "2"}, "`offset`"),
        ({}, {"params": '{"radius": 2}'}, "`radius`"),
    ],
)
def test_hybrid_search_that_would_be_ignored_in_part_is_refused(
    rank: dict[str, str], part: dict[str, str], named: str
) -> None:
    search = milvus_pb2.SearchRequest(search_params=pairs(part))
    assert named in parameters.hybrid_refusal(
        milvus_pb2.HybridSearchRequest(rank_params=pairs(rank), requests=[search])
    )


@pytest.mark.parametrize(
    ("given", "fields", "named"),
    [
        ({"limit": "x"}, ["id"], "limit [x]"),
        ({"limit": "0"}, ["id"], "limit [0]"),
        ({"offset": "-1"}, ["id"], "offset [-1]"),
        ({"order_by_fields": "n"}, ["id"], "`order_by_fields`"),
        ({"limit": "2"}, ["count(*)"], "pagination"),
        ({}, ["count(*)", "id"], "count(*)"),
    ],
)
def test_query_that_would_be_ignored_in_part_is_refused(given: dict[str, str], fields: list[str], named: str) -> None:
    request = milvus_pb2.QueryRequest(query_params=pairs(given), output_fields=fields)
    assert named in parameters.query_refusal(request)


@pytest.mark.parametrize("beginning", parameters.PROPERTIES_WITHOUT_EFFECT)
def test_property_by_which_only_milvus_acts_is_refused_unless_it_asks_for_nothing(beginning: str) -> None:
    assert beginning in parameters.properties_refusal(pairs({f"{beginning}x": "1"}))
    assert not parameters.properties_refusal(pairs({f"{beginning}x": "0", "team": "search", "timezone": "UTC"}))


@pytest.mark.parametrize(
    ("given", "named"),
    [({"dim": "40000"}, "32768"), ({"dims": "4"}, "`dims`"), ({"analyzer_params": "{"}, "analyzer_params")],
)
def test_field_that_cannot_be_as_described_is_refused(given: dict[str, str], named: str) -> None:
    field = schema_pb2.FieldSchema(name="f", type_params=pairs(given))
    schema = schema_pb2.CollectionSchema(name="docs", fields=[field]).SerializeToString()
    request = milvus_pb2.CreateCollectionRequest(collection_name="docs", schema=schema)
    assert named in parameters.schema_refusal(request)


def test_schema_of_another_name_and_partitions_without_a_key_are_refused() -> None:
    schema = schema_pb2.CollectionSchema(name="docs").SerializeToString()
    other = milvus_pb2.CreateCollectionRequest(collection_name="papers", schema=schema)
    assert "schema.Name=docs" in parameters.schema_refusal(other)
    spread = milvus_pb2.CreateCollectionRequest(collection_name="docs", schema=schema, num_partitions=4)
    assert "partition key" in parameters.schema_refusal(spread)


def test_deeply_nested_parameters_are_refused() -> None:
    deep = json.dumps(1)
    for _ in range(2_000):
        deep = f"[{deep}]"
    given = pairs({"params": f'{{"ef": {deep}}}'})
    assert "`params`" in parameters.search_refusal(milvus_pb2.SearchRequest(search_params=given))


@pytest.mark.parametrize("given", ["maybe", "TrUe", "2", "null"])
def test_group_size_is_strict_or_not(given: str) -> None:
    asked = milvus_pb2.SearchRequest(search_params=pairs({"strict_group_size": given}))
    assert "strict_group_size" in parameters.search_refusal(asked)


@pytest.mark.parametrize(("given", "strict"), [("False", False), ("0", False), ("", False), ("t", True)])
def test_strict_group_size_reaches_milvus_lite_as_it_was_meant(given: str, strict: bool) -> None:
    prepared = milvus_pb2.SearchRequest(search_params=pairs({"strict_group_size": given}))
    assert parameters.search_refusal(prepared) == ""
    data_rpcs._prepare(prepared)
    (pair,) = prepared.search_params
    assert json.loads(pair.value) is strict
