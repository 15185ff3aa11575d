"""The columns of an Insert or Upsert, read from its bytes without decoding what nobody asks for, such as vectors.

A column is decoded by the generated classes, after the contents of the fields that are not wanted were taken out of its
bytes. What remains of such a field is that it is there, so that of the alternatives of a oneof the last one counts.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from kiteward.domain.errors import PayloadMalformed
from kiteward.milvus import messages
from kiteward.milvus.messages import schema_pb2
from kiteward.milvus.wire_format import LENGTH, encode_varint, top_level


def _tag(message: messages.MessageType, field: str) -> int:
    return int(messages.descriptor_of(message).fields_by_name[field].number) << 3 | LENGTH


_SCALARS: Final = _tag(schema_pb2.FieldData, "scalars")
_OTHERS: Final = frozenset({_tag(schema_pb2.FieldData, "vectors"), _tag(schema_pb2.FieldData, "struct_arrays")})


class Column(NamedTuple):
    """One element of `fields_data`.

    Attributes:
        head: everything but its values, which are empty.
        content: its bytes.
    """

    head: schema_pb2.FieldData
    content: memoryview

    def values(self) -> schema_pb2.FieldData:
        """Return the column with its values, if they are scalars.

        Raises:
            PayloadMalformed: its bytes are no column.
        """
        return _decoded(self.content, _OTHERS)


class WriteRequest(NamedTuple):
    """An Insert or Upsert.

    Attributes:
        message: the decoded request, whose `fields_data` are empty.
        columns: its columns, in order.
    """

    message: messages.InsertRequest | messages.UpsertRequest
    columns: tuple[Column, ...]


def read_write(method: str, payload: bytes) -> WriteRequest:
    """Return the request to `Insert` or `Upsert` that a payload holds.

    Raises:
        PayloadMalformed: the payload is not such a request.
    """
    request = messages.method_of(method).request
    fields_data = _tag(request, "fields_data")
    view = memoryview(payload)
    contents = [view[begin:end] for tag, _, begin, end in top_level(view) if tag == fields_data]
    message = messages.decode(method, _emptied(view, {fields_data}))
    if not isinstance(message, messages.InsertRequest | messages.UpsertRequest):
        raise TypeError(f"{method} writes no rows")
    return WriteRequest(message, tuple(Column(_decoded(each, {_SCALARS, *_OTHERS}), each) for each in contents))


def _decoded(content: memoryview, left_out: Collection[int]) -> schema_pb2.FieldData:
    try:
        return schema_pb2.FieldData.FromString(_emptied(content, left_out))
    except DecodeError:
        raise PayloadMalformed("a column of the request is not readable") from None


def _emptied(view: memoryview, tags: Collection[int]) -> bytes:
    """Return a message whose fields of these tags, which have a length, are empty."""
    pieces: list[bytes | memoryview] = []
    kept = 0
    for tag, start, _, end in top_level(view):
        if tag in tags:
            pieces += [view[kept:start], encode_varint(tag), b"\0"]
            kept = end
    pieces.append(view[kept:])
    return b"".join(pieces)
