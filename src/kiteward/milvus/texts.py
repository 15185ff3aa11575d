"""Finds texts of messages that no database can hold."""

from collections.abc import Iterator, Mapping, Sequence

from kiteward.domain.naming import can_be_stored
from kiteward.milvus import messages


def field_not_stored(message: messages.ProtocolMessage) -> str:
    """Return the first field of a message that holds a text that no database can; empty where there is none."""
    fields = ((field.name, _texts_in(value)) for field, value in message.ListFields())
    return next((name for name, texts in fields if not all(map(can_be_stored, texts))), "")


def _texts_in(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case messages.ProtocolMessage():
            for _, each in value.ListFields():
                yield from _texts_in(each)
        case Mapping():
            for key, each in value.items():
                yield from (*_texts_in(key), *_texts_in(each))
        case Sequence() if not isinstance(value, bytes):
            for each in value:
                yield from _texts_in(each)
