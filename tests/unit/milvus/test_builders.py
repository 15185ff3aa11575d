from collections.abc import Callable
from typing import Any

import pytest
from pymilvus import CollectionSchema, DataType, FieldSchema, Function, FunctionType
from pymilvus.client.prepare import Prepare

from kiteward.api.rest.schemas import FieldReq, FunctionReq, SchemaReq, schema_message
from kiteward.domain.errors import InvalidArgument
from kiteward.milvus import builders, messages

SCHEMA: Any = {
    "fields": [
        {"name": "id", "data_type": 5, "is_primary_key": True},
        {"name": "vector", "data_type": 101, "type_params": [{"key": "dim", "value": "2"}]},
        {"name": "note", "data_type": 21, "nullable": True},
    ],
    "enable_dynamic_field": True,
}
DESCRIBED = messages.DescribeCollectionResponse(schema=SCHEMA, update_timestamp=77)


def search(**fields: Any) -> Any:
    return builders.search(collection="c", field="vector", limit=3, **{"field_type": 101, **fields})


def test_rows_become_columns() -> None:
    rows = [{"id": 1, "vector": [0.5, 1.0], "note": None, "extra": 5}, {"id": 2, "vector": [1.0, 2.0], "note": "n"}]
    request = builders.insert(DESCRIBED, rows, collection="c", partition="p")
    assert (request.collection_name, request.partition_name, request.num_rows) == ("c", "p", 2)
    assert request.schema_timestamp == 77
    columns = {each.field_name: each for each in request.fields_data}
    assert list(columns["id"].scalars.long_data.data) == [1, 2]
    assert list(columns["vector"].vectors.float_vector.data) == [0.5, 1.0, 1.0, 2.0]
    assert (list(columns["note"].valid_data), list(columns["note"].scalars.string_data.data)) == ([False, True], ["n"])
    assert list(columns["$meta"].scalars.json_data.data) == [b'{"extra":5}', b"{}"]


def test_an_upsert_with_an_operation_is_partial() -> None:
    request = builders.upsert(DESCRIBED, [{"id": 1}], collection="c", field_operations={"note": "array_append"})
    assert request.partial_update
    assert request.field_ops[0].field_name == "note"


@pytest.mark.parametrize(
    "row", [{"id": 1}, {"id": "x", "vector": [1.0, 2.0]}, {"id": 1, "vector": "x"}, {"id": 2**70, "vector": [1.0, 2.0]}]
)
def test_rows_that_pymilvus_refuses_are_invalid_arguments(row: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        builders.insert(DESCRIBED, [row], collection="c")
    assert str(caught.value)


def test_a_query_in_key_order_asks_as_the_iterators_of_sdks_do() -> None:
    for in_order, expected in ((True, {"iterator": "True", "reduce_stop_for_best": "True"}), (False, {})):
        request = builders.query(collection="c", expression="", output_fields=["id"], limit=5, in_key_order=in_order)
        found = {pair.key: pair.value for pair in request.query_params}
        assert found["limit"] == "5"
        assert {key: value for key, value in found.items() if key in expected} == expected
        assert ("iterator" in found) is in_order


def test_bytes_are_searched_as_the_fields_type_says() -> None:
    for kind, raw in ((100, b"\x01"), (102, b"\x00\x3c"), (103, b"\x80\x3f"), (105, b"\x01")):
        request = search(field_type=kind, vectors=[raw])
        assert isinstance(request, messages.SearchRequest)
        assert raw in request.placeholder_group
        assert request.nq == 1
        # The type is the placeholder's second field: tag 0x10, then the number.
        assert b"\x10" + bytes([kind]) in request.placeholder_group


BUILDS: dict[str, Callable[[], Any]] = {
    "an object": lambda: builders.delete(collection="c", expression="a in {b}", values={"b": {"c": 1}}),
    "nothing": lambda: builders.query(collection="c", expression="a in {b}", output_fields=[], values={"b": None}),
    "a value beyond 64 bits": lambda: search(vectors=[[0.5]], values={"b": 2**70}),
    "a parameter beyond 64 bits": lambda: search(vectors=[[0.5]], parameters={"params": {"a": 2**70}}),
    "neither vectors nor ids": search,
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_what_the_protocol_cannot_express_is_an_invalid_argument(build: Callable[[], Any]) -> None:
    with pytest.raises(InvalidArgument):
        build()


def test_a_schema_from_json_is_the_message_of_the_sdk() -> None:
    """The same collection, declared with pymilvus and in JSON."""
    fields = [
        FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True),
        FieldSchema("kind", DataType.VARCHAR, max_length=10, is_partition_key=True),
        FieldSchema("text", DataType.VARCHAR, max_length=99, enable_analyzer=True, description="what it says"),
        FieldSchema("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=4, max_length=5, nullable=True),
        FieldSchema("count", DataType.INT64, default_value=3),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=8),
        FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR),
    ]
    function = Function("bm25", FunctionType.BM25, ["text"], ["sparse"])
    model = CollectionSchema(fields, "books", functions=[function], enable_dynamic_field=True)
    made = schema_message(
        "c",
        SchemaReq(
            fields=[
                FieldReq(field_name="id", data_type="Int64", is_primary=True),
                FieldReq(
                    field_name="kind",
                    data_type="VarChar",
                    element_type_params={"max_length": 10},
                    is_partition_key=True,
                ),
                FieldReq(
                    field_name="text",
                    data_type="VarChar",
                    element_type_params={"max_length": "99", "enable_analyzer": True},
                    description="what it says",
                ),
                FieldReq(
                    field_name="tags",
                    data_type="Array",
                    element_data_type="VarChar",
                    element_type_params={"max_capacity": 4, "max_length": 5},
                    nullable=True,
                ),
                FieldReq(field_name="count", data_type="Int64", default_value=3),
                FieldReq(field_name="vector", data_type="FloatVector", element_type_params={"dim": 8}),
                FieldReq(field_name="sparse", data_type="SparseFloatVector"),
            ],
            functions=[
                FunctionReq(name="bm25", type="BM25", input_field_names=["text"], output_field_names=["sparse"])
            ],
            auto_id=True,
            enable_dynamic_field=True,
        ),
        description="books",
    )
    wanted = Prepare.get_schema_from_collection_schema("c", model)
    for message in (made, wanted):
        for field in message.fields:
            field.type_params.sort(key=lambda pair: pair.key)
    assert made == wanted
