"""Read and replace named fields of a request without decoding it.

A payload of 100 MB costs what its top-level fields cost: vectors and other unread fields are stepped over. The rules of
reading, which are those of the real parser, are in `kiteward.milvus.wire_format`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Self

from kiteward.domain.errors import PayloadMalformed
from kiteward.milvus.messages import MessageType, field_path
from kiteward.milvus.wire_format import LENGTH, FieldReader, Kind, Step, encode_varint, without_fields

REQUEST_BUDGET = 16_384
"""Most fields that a request may hold, enough for 1,024 searches in one. Bulk data is in a few large fields; a request
with more can only be meant to exhaust the server."""


class FieldSelection:
    """The fields that an operation needs to know of its requests, resolved once and read from every payload.

    A path names a field, through messages if need be: `collection_name`, `user.name`, `requests.partition_names`. The
    value of a path without repeated elements is a single value, by default `""`, 0 or False. A path with repeated
    elements gives a flat list in the order of the payload: all values of a repeated field; for a field of a repeated
    message one value per element, the default where an element lacks it. The entries of a map are elements with the
    fields `key` and `value`, and a key may occur in several.
    """

    __slots__ = ("_reader", "fields")

    def __init__(self, fields: tuple[str, ...], reader: FieldReader) -> None:
        self.fields = fields
        self._reader = reader

    @classmethod
    def of(cls, source: str | MessageType, fields: Sequence[str], *, erasable: Sequence[str] = ()) -> Self:
        """Resolve paths.

        Args:
            source: the RPC whose request is read, or a message class.
            fields: the paths.
            erasable: further paths, which may pass a oneof: what is read there may hold values that the parser drops.

        Raises:
            OperationUnknown: there is no such RPC.
            ValueError: a path leads nowhere, to a value that is neither a string nor an integer, or through a oneof;
                or it is given twice.
        """
        paths = (*fields, *erasable)
        if len(set(paths)) != len(paths):
            raise ValueError(f"a path is given twice: {', '.join(paths)}")
        read = [field_path(source, path) for path in fields]
        read += [field_path(source, path, erasable=True) for path in erasable]
        return cls(paths, FieldReader(read, budget=REQUEST_BUDGET))

    def read(self, payload: bytes) -> dict[str, Any]:
        """Return the value of each path.

        Raises:
            PayloadMalformed: the payload is not a message. A fault inside an unread field goes unnoticed.
        """
        return dict(zip(self.fields, self._reader.read(payload), strict=True))


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
        step = _string_field(method, name)
        if isinstance(value, str) is step.repeated:
            raise ValueError(f"`{name}` of {method} takes {'a sequence of strings' if step.repeated else 'a string'}")
        tags.add(step.tag(LENGTH))
        added += (_encode(step, text) for text in ([value] if isinstance(value, str) else value))
    return b"".join([*without_fields(payload, tags), *added])


@lru_cache(maxsize=256)
def _string_field(method: str, name: str) -> Step:
    step = field_path(method, name)[0]
    if step.kind is not Kind.STRING:
        raise ValueError(f"`{name}` is not a top-level string field of {method}")
    return step


def _encode(step: Step, text: str) -> bytes:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise PayloadMalformed(f"`{step.name}` is not text that UTF-8 can write") from None
    return encode_varint(step.tag(LENGTH)) + encode_varint(len(encoded)) + encoded
