"""Reads requests with the derived types (`kiteward.milvus.request_types`), and finds what they hold beyond these."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from kiteward.milvus.large_payloads import LargePayloads
from kiteward.milvus.messages import MessageType, descriptor_of, serialised_in
from kiteward.milvus.request_types import RequestTypes
from kiteward.milvus.wire_format import malformed

Values = dict[str, Any]
"""Path -> a value, or a list of them if the path has a repeated element."""


@dataclass(frozen=True, slots=True)
class Unaccepted:
    """A field of a request that its derived type does not hold.

    Attributes:
        message: the full name of the message's type.
        number: the number of the field.
        name: the name that the protocol gives to it; empty for a field that the protocol does not know.
        is_set: whether it has a value other than the default, or is of a kind whose default differs from none.
        enum_value: the value, if it is one that the protocol gives no name to.
    """

    message: str
    number: int
    name: str
    is_set: bool
    enum_value: int | None = None


Check = Callable[[Unaccepted], None]
"""Raises an error for a field that is to be refused."""


class RequestReader:
    """Reads the fields of one RPC's requests that the gateway needs to know.

    A path names a field, through messages if need be: `collection_name`, `user.name`, `requests.partition_names`. The
    value of a path without repeated elements is a single value, by default `""`, 0 or False. A path with repeated
    elements gives a flat list: all values of a repeated field; for a field of a repeated message one value per element,
    the default where an element lacks it. The entries of a map are elements with the fields `key` and `value`. A path
    also leads through a message that is serialised in a bytes field (`SERIALISED`).
    """

    __slots__ = ("_defaults", "_groups", "_large", "_parse", "_serialised", "_singles", "_types")

    def __init__(
        self, types: RequestTypes, request: MessageType, paths: Sequence[str], *, most_fields: int = 0
    ) -> None:
        """Prepare a reader.

        Args:
            types: the derived types.
            request: the real type of the request.
            paths: the fields to read.
            most_fields: how many fields a request may hold, nested ones included; 0 stands for any number.

        Raises:
            ValueError: a path leads nowhere, or is given twice.
        """
        if len(set(paths)) != len(paths):
            raise ValueError(f"a path is given twice: {', '.join(paths)}")
        derived = types.derived(request)
        descriptor = descriptor_of(derived)
        self._types = types
        self._parse = derived.FromString
        self._large = LargePayloads(descriptor, most_fields) if most_fields else None
        self._serialised = {
            name: RequestReader(types, held, _below(name, paths), most_fields=most_fields)
            for name, held in serialised_in(request).items()
        }
        fields = {
            path: _fields_of(descriptor, path) for path in paths if path.partition(".")[0] not in self._serialised
        }
        self._defaults: Values = {path: _default(steps) for path, steps in fields.items()}
        for name, inside in self._serialised.items():
            self._defaults.update(_prefixed(name, inside.absent()))
        singles = [path for path, steps in fields.items() if len(steps) == 1 and not steps[0].is_repeated]
        self._singles = tuple((path, attrgetter(path)) for path in singles)
        self._groups = _groups({path: steps for path, steps in fields.items() if path not in singles})

    def read(self, payload: bytes, check: Check) -> Values:
        """Return the value of each path. Its lists are not to be changed.

        Args:
            payload: the request.
            check: is called for each field that is not accepted. The fields for which it raises nothing are ignored.

        Raises:
            PayloadMalformed: the payload is not a message of this type, or has too many fields.
        """
        if not payload:
            return self.absent()
        if self._large is not None:
            payload = self._large.without_bulk(payload)
        message = self._message(payload)
        size = message.ByteSize()
        message.DiscardUnknownFields()
        if message.ByteSize() != size:
            for unaccepted in _unaccepted(self._message(payload), self._types):
                check(unaccepted)
        values = self._defaults.copy()
        for path, get in self._singles:
            values[path] = get(message)
        for content_of, opened, paths in self._groups:
            if content := content_of(message):
                content = opened(content)
                for path, read in paths:
                    values[path] = read(content)
        for name, inside in self._serialised.items():
            values.update(_prefixed(name, inside.read(getattr(message, name), check)))
        return values

    def absent(self) -> Values:
        """Return the values of a request that holds nothing."""
        return self._defaults.copy()

    def _message(self, payload: bytes) -> Message:
        try:
            return self._parse(payload)
        except DecodeError:
            raise malformed("it is not of this operation") from None


_MOST_LOOKED_AT: Final = 1_000
"""Most messages, and most unknown fields of one, that are looked at to name a field. It takes two milliseconds."""

_Get = Callable[[Any], Any]


def _prefixed(name: str, values: Values) -> Values:
    return {f"{name}.{path}": value for path, value in values.items()}


def _below(name: str, paths: Sequence[str]) -> list[str]:
    return [path.removeprefix(f"{name}.") for path in paths if path.startswith(f"{name}.")]


def _fields_of(message: Descriptor, path: str) -> list[FieldDescriptor]:
    steps = []
    inside: Descriptor | None = message
    for name in path.split("."):
        field = inside.fields_by_name.get(name) if inside is not None else None
        if field is None:
            raise ValueError(f"what is accepted of {message.name} has no field `{path}`")
        inside = field.message_type
        steps.append(field)
    if inside is not None:
        raise ValueError(f"`{path}` of {message.name} is a message, not a value")
    return steps


def _default(steps: Sequence[FieldDescriptor]) -> Any:
    if any(step.is_repeated for step in steps):
        return []
    return steps[-1].default_value


_Group = tuple[_Get, _Get, tuple[tuple[str, _Get], ...]]


def _groups(paths: Mapping[str, Sequence[FieldDescriptor]]) -> tuple[_Group, ...]:
    """Return the paths by the field of the request in which they lead on, most of which most requests do not have.

    Returns:
        What returns the content of that field, which is false if there is none; what makes an object of each element of
        a list, once for all paths; and each path, with what returns its value from that.
    """
    groups: dict[str, list[tuple[str, _Get]]] = {}
    first = {steps[0].name: steps[0] for steps in paths.values()}
    for path, (begin, *steps) in paths.items():
        groups.setdefault(begin.name, []).append((path, _getter(begin, steps)))
    return tuple(
        (_content(field), _elements if field.is_repeated and not _is_map(field) else _as_it_is, tuple(groups[name]))
        for name, field in first.items()
    )


_elements: Final[_Get] = itemgetter(slice(None))


def _as_it_is(content: Any) -> Any:
    return content


def _content(field: FieldDescriptor) -> _Get:
    name = field.name
    if field.is_repeated:
        return attrgetter(name)
    return lambda message: getattr(message, name) if message.HasField(name) else None


def _getter(begin: FieldDescriptor, steps: Sequence[FieldDescriptor]) -> _Get:
    """Return what returns the value of a path from the content of its first field."""
    if not begin.is_repeated and not any(step.is_repeated for step in steps):
        return attrgetter(".".join(step.name for step in steps))
    if len(steps) == 1 and not steps[0].is_repeated and not _is_map(begin):  # as of nearly all parameters
        get = attrgetter(steps[0].name)
        return lambda elements: list(map(get, elements))

    def read(content: Any) -> list[Any]:
        found = content.items() if _is_map(begin) else content if begin.is_repeated else [content]
        for step in steps:
            found = _inside(found, step)
        return list(found)

    return read


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _inside(found: Iterable[Any], step: FieldDescriptor) -> Iterator[Any]:
    for each in found:
        if type(each) is tuple:  # the entry of a map
            yield each[0] if step.name == "key" else each[1]
        elif not step.is_repeated:
            yield getattr(each, step.name)
        elif _is_map(step):
            yield from getattr(each, step.name).items()
        else:
            yield from getattr(each, step.name)


def _unaccepted(message: Message, types: RequestTypes) -> Iterator[Unaccepted]:
    """Yield every field of a message, through messages inside it, that its type does not hold."""
    waiting = [message]
    for _ in range(_MOST_LOOKED_AT):
        if not waiting:
            return
        inside = waiting.pop()
        descriptor = descriptor_of(type(inside))
        unknown_fields: Any = UnknownFieldSet(inside)  # a sequence, which its stubs do not say
        if len(unknown_fields) > _MOST_LOOKED_AT:
            break
        for unknown in unknown_fields:
            yield _described(types.real(descriptor), descriptor, unknown)
        for field, value in inside.ListFields():
            if field.message_type is not None:
                waiting += _messages_in(field, field.message_type, value)
    raise malformed("it holds a field that this server does not know, among too many others to name it")


def _messages_in(field: FieldDescriptor, kind: Descriptor, value: Any) -> Sequence[Message]:
    if kind.GetOptions().map_entry:
        return [] if kind.fields_by_name["value"].message_type is None else list(value.values())
    return value if field.is_repeated else [value]


_VARINT: Final = 0


def _described(real: Descriptor, derived: Descriptor, unknown: Any) -> Unaccepted:
    number = unknown.field_number
    field = real.fields_by_number.get(number)
    if field is None:
        return Unaccepted(real.full_name, number, "", is_set=True)
    value = unknown.data if unknown.wire_type == _VARINT else None
    is_enum = field.enum_type is not None and number in derived.fields_by_number
    has_default = unknown.data in (0, b"") and not field.has_presence and field.message_type is None
    return Unaccepted(
        real.full_name,
        number,
        field.name,
        is_set=not has_default,
        enum_value=value if is_enum else None,
    )
