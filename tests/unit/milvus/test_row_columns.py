"""Columns of a write, read from its bytes without decoding vectors."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from pymilvus.grpc_gen import milvus_pb2, schema_pb2

from kiteward.domain.errors import PayloadMalformed
from kiteward.milvus.row_columns import read_write

SCALARS, VECTORS, STRUCTS = 3 << 3 | 2, 4 << 3 | 2, 8 << 3 | 2


def scalar_column(name: str = "owner", *values: str) -> schema_pb2.FieldData:
    data = schema_pb2.FieldData(field_name=name, type=schema_pb2.DataType.VarChar, valid_data=[True] * len(values))
    data.scalars.string_data.data.extend(values)
    return data


def vector_column(rows: int) -> schema_pb2.FieldData:
    data = schema_pb2.FieldData(field_name="vector", type=schema_pb2.DataType.FloatVector)
    data.vectors.dim = 4
    data.vectors.float_vector.data.extend([0.5] * 4 * rows)
    return data


def request_of(*contents: bytes) -> bytes:
    head = milvus_pb2.UpsertRequest(collection_name="docs", num_rows=2, partial_update=True).SerializeToString()
    return head + b"".join(bytes((5 << 3 | 2,)) + _length(len(each)) + each for each in contents)


def _length(number: int) -> bytes:
    encoded = b""
    while number > 127:
        encoded, number = encoded + bytes((number & 127 | 128,)), number >> 7
    return encoded + bytes((number,))


def test_values_are_read_of_the_columns_that_are_asked_for() -> None:
    write = read_write(
        "Upsert",
        request_of(*(each.SerializeToString() for each in (scalar_column("owner", "a", "b"), vector_column(2)))),
    )
    assert [column.head.field_name for column in write.columns] == ["owner", "vector"]
    assert write.columns[0].values() == scalar_column("owner", "a", "b")
    assert write.message.num_rows == 2
    assert isinstance(write.message, milvus_pb2.UpsertRequest)
    assert write.message.partial_update


def test_vectors_are_not_decoded() -> None:
    head = schema_pb2.FieldData(field_name="vector", type=schema_pb2.DataType.FloatVector).SerializeToString()
    unreadable = bytes((VECTORS, 3)) + b"\xff\xff\xff"
    write = read_write("Insert", request_of(head + unreadable))
    assert write.columns[0].head.WhichOneof("field") == "vectors"
    assert write.columns[0].values().WhichOneof("field") == "vectors"


@given(st.lists(st.sampled_from([SCALARS, VECTORS, STRUCTS]), max_size=6))
def test_of_several_alternatives_the_last_one_counts_as_it_does_for_the_engine(tags: list[int]) -> None:
    content = scalar_column().SerializeToString()
    for index, tag in enumerate(tags):
        value = schema_pb2.ScalarField(string_data=schema_pb2.StringArray(data=[str(index)])).SerializeToString()
        body = value if tag == SCALARS else b""
        content += bytes((tag, len(body))) + body
    column = read_write("Insert", request_of(content)).columns[0]
    engines = schema_pb2.FieldData.FromString(content)
    assert column.head.WhichOneof("field") == engines.WhichOneof("field")
    assert column.values() == engines


@given(st.binary(max_size=60))
def test_whatever_a_column_contains_it_is_read_as_the_engine_reads_it_or_refused(content: bytes) -> None:
    try:
        engines = milvus_pb2.InsertRequest.FromString(request_of(content)).fields_data[0]
    except DecodeError:
        engines = None
    try:
        column = read_write("Insert", request_of(content)).columns[0].values()
    except PayloadMalformed:
        return
    if engines is not None:
        engines.ClearField("vectors" if engines.HasField("vectors") else "struct_arrays")
        column.ClearField("vectors" if column.HasField("vectors") else "struct_arrays")
        assert column.SerializeToString(deterministic=True) == engines.SerializeToString(deterministic=True)


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(PayloadMalformed):
        read_write("Insert", b"\x0a\xff")
    with pytest.raises(PayloadMalformed):
        read_write("Insert", request_of(b"\x12\x05a"))


def test_an_rpc_that_writes_no_rows_is_an_error() -> None:
    with pytest.raises((TypeError, KeyError)):
        read_write("Query", b"")
