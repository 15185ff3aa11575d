"""Message types that hold what is accepted of requests and nothing else, derived from the protocol's descriptors.

A derived type has the name of the real one, in a pool of its own, and only the fields that are accepted. The parser
then puts everything else where unknown fields go: fields of a newer protocol, fields that are not accepted, values of
an enum that have no name, and values in another encoding. It differs in two more ways:

1. Enums are closed, but for some, so that a value that is not accepted is an unknown field.
2. Bulk data is bytes, which the parser does not walk through: a request of 30 MB costs about a millisecond.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    Edition,
    EnumDescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from kiteward.milvus.messages import MessageType, descriptor_of

Admitted = Mapping[str, Collection[str]]
"""Full name of a message type -> its fields that are accepted."""

AdmittedValues = Mapping[str, Collection[int]]
"""Full name of an enum -> its values that are accepted."""


class RequestTypes:
    """The derived types of some requests."""

    def __init__(
        self,
        requests: Collection[MessageType],
        admitted: Admitted,
        *,
        enums: AdmittedValues,
        open_enums: Collection[str] = (),
        bulk: Collection[str],
    ) -> None:
        """Derive the types.

        Args:
            requests: the real types of the requests, and of the messages that are serialised in bytes fields.
            admitted: what is accepted of these and of all types inside them, but for the entries of maps.
            enums: the values that are accepted of every enum in these.
            open_enums: further enums, of which every value is accepted.
            bulk: full names of message types and of repeated fields of numbers that are bytes here.

        Raises:
            KeyError: nothing is said about a message type or an enum that an accepted field holds.
        """
        self._admitted: Final = admitted
        self._enums: Final = enums
        self._open_enums: Final = frozenset(open_enums)
        self._bulk: Final = frozenset(bulk)
        self._types: Final[dict[str, Descriptor]] = {}
        for request in requests:
            self._reach(descriptor_of(request))
        self._pool: Final = DescriptorPool()
        for file in self._files():
            self._pool.Add(file)

    def derived(self, request: MessageType) -> MessageType:
        """Return the type that is derived from a real one."""
        return GetMessageClass(self._pool.FindMessageTypeByName(descriptor_of(request).full_name))

    def real(self, derived: Descriptor) -> Descriptor:
        """Return what the protocol declares of the message that a derived type stands for."""
        return self._types[derived.full_name]

    def _reach(self, message: Descriptor) -> None:
        if message.full_name in self._types:
            return
        self._types[message.full_name] = message
        for field in self._fields(message):
            kind = field.enum_type
            if kind is not None and kind.full_name not in self._enums and kind.full_name not in self._open_enums:
                raise KeyError(kind.full_name)
            if field.message_type is not None and not self._is_bulk(field):
                self._reach(field.message_type)

    def _fields(self, message: Descriptor) -> Iterator[FieldDescriptor]:
        accepted = None if message.GetOptions().map_entry else self._admitted[message.full_name]
        return (field for field in message.fields if accepted is None or field.name in accepted)

    def _is_bulk(self, field: FieldDescriptor) -> bool:
        held = field.message_type.full_name if field.message_type else field.full_name
        return held in self._bulk

    def _files(self) -> Iterator[FileDescriptorProto]:
        """Yield a file for each package, in an order in which each one needs only those before it."""
        files = {message.file.name: message.file for message in self._types.values()}
        ordered: list[Any] = []

        def add(file: Any) -> None:
            if file not in ordered:
                for needed in file.dependencies:
                    add(needed)
                ordered.append(file)

        for file in files.values():
            add(file)
        written: list[str] = []
        for file in (each for each in ordered if each.name in files or each.enum_types_by_name):
            yield self._file(file, written)
            written.append(file.name)

    def _file(self, file: Any, needed: list[str]) -> FileDescriptorProto:
        real = FileDescriptorProto()
        file.CopyToProto(real)
        made = FileDescriptorProto(
            name=real.name, package=real.package, syntax="editions", edition=Edition.EDITION_2023, dependency=needed
        )
        made.options.features.enum_type = FeatureSet.EnumType.CLOSED
        made.enum_type.extend(self._kept_enums(real.enum_type, real.package))
        kept = (self._message(each, f"{real.package}.{each.name}") for each in real.message_type)
        made.message_type.extend(each for each in kept if each is not None)
        return made

    def _kept_enums(self, real: Iterable[EnumDescriptorProto], inside: str) -> Iterator[EnumDescriptorProto]:
        """Yield the enums that are accepted, each with the values that are."""
        for enum in real:
            if f"{inside}.{enum.name}" in self._open_enums:
                made = EnumDescriptorProto(name=enum.name, value=enum.value, options=enum.options)
                made.options.features.enum_type = FeatureSet.EnumType.OPEN
                yield made
            accepted = self._enums.get(f"{inside}.{enum.name}", ())
            values = [value for value in enum.value if value.number in accepted]
            if values:
                yield EnumDescriptorProto(name=enum.name, value=values, options=enum.options)

    def _message(self, real: DescriptorProto, name: str) -> DescriptorProto | None:
        """Return the derived type of a message, None if neither it nor a message inside it is needed."""
        nested = [self._message(each, f"{name}.{each.name}") for each in real.nested_type]
        kept = [each for each in nested if each is not None]
        descriptor = self._types.get(name)
        if descriptor is None and not kept:
            return None
        made = DescriptorProto(name=real.name, nested_type=kept)
        if descriptor is None:
            return made
        made.enum_type.extend(self._kept_enums(real.enum_type, name))
        made.options.map_entry = real.options.map_entry
        oneofs: dict[int, int] = {}
        written = {field.name: field for field in real.field}
        for field in self._fields(descriptor):
            made.field.append(self._field(field, written[field.name], oneofs))
        made.oneof_decl.extend(real.oneof_decl[index] for index in oneofs)
        return made

    def _field(
        self, field: FieldDescriptor, real: FieldDescriptorProto, oneofs: dict[int, int]
    ) -> FieldDescriptorProto:
        made = FieldDescriptorProto(name=real.name, number=real.number, label=real.label, type=real.type)
        if real.HasField("oneof_index") and not real.proto3_optional:
            made.oneof_index = oneofs.setdefault(real.oneof_index, len(oneofs))
        if self._is_bulk(field):
            made.type = FieldDescriptorProto.TYPE_BYTES
        elif real.type_name:
            made.type_name = real.type_name
        return made
