"""Replace named fields of a request without decoding it, so that everything else is forwarded as it came."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from google.protobuf.descriptor import FieldDescriptor

from kiteward.domain.errors import PayloadMalformed
from kiteward.milvus.messages import descriptor_of, method_of
from kiteward.milvus.wire_format import LENGTH, encode_varint, without_fields


def replace(payload: bytes, method: str, values: Mapping[str, str | Sequence[str]]) -> bytes:
    """Return a request in which top-level string fields hold exactly these values and everything else is as it was.

    Args:
        payload: the request.
        method: its RPC.
        values: a string for each singular field and a sequence of strings for each repeated field that is to change.

    Raises:
        OperationUnknown: there is no such RPC.
        PayloadMalformed: the payload is not a message, or a value cannot be written as UTF-8.
        ValueError: a name is not a top-level string field outside oneofs, or its value is of the wrong shape.
    """
    added: list[bytes] = []
    tags = set()
    for name, value in values.items():
        field = _string_field(method, name)
        if isinstance(value, str) is field.is_repeated:
            raise ValueError(
                f"`{name}` of {method} takes {'a sequence of strings' if field.is_repeated else 'a string'}"
            )
        tag = field.number << 3 | LENGTH
        tags.add(tag)
        added += (_encode(tag, name, text) for text in ([value] if isinstance(value, str) else value))
    return b"".join([*without_fields(payload, tags), *added])


@lru_cache(maxsize=256)
def _string_field(method: str, name: str) -> FieldDescriptor:
    field = descriptor_of(method_of(method).request).fields_by_name.get(name)
    oneof = None if field is None else field.containing_oneof
    if field is None or field.type != FieldDescriptor.TYPE_STRING or (oneof is not None and len(oneof.fields) > 1):
        raise ValueError(f"`{name}` is not a top-level string field of {method}")
    return field


def _encode(tag: int, name: str, text: str) -> bytes:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise PayloadMalformed(f"`{name}` is not text that UTF-8 can write") from None
    return encode_varint(tag) + encode_varint(len(encoded)) + encoded
