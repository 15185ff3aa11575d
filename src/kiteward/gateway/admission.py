"""Checks what a request holds beyond the fields that are accepted of it (decision 0046)."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.gateway.settings import Providers, UnknownParameters

if TYPE_CHECKING:
    from kiteward.milvus.request_reader import Unaccepted

_PACKAGES: Final = "milvus.proto."


@functools.cache
def _reasons() -> Mapping[str, str]:
    """Return full name of a field -> why it is refused."""
    # Loaded here: the settings need `Admission`, and not the table of operations.
    from kiteward.gateway.operations import OPERATIONS  # noqa: PLC0415
    from kiteward.gateway.operations.message_fields import MESSAGES  # noqa: PLC0415
    from kiteward.milvus import messages  # noqa: PLC0415

    refused = {name: fields.refused for name, fields in MESSAGES.items()}
    for row in OPERATIONS.values():
        refused[messages.descriptor_of(messages.method_of(row.name).request).full_name] = row.refused
    return {f"{message}.{field}": why for message, fields in refused.items() for field, why in fields.items()}


@dataclass(frozen=True, slots=True)
class Admission:
    """What the operator lets pass that is refused otherwise.

    Attributes:
        forwarded_fields: message and number of fields that the remote engine knows and this server does not.
        unknown_parameters: what happens to parameters with unknown names.
        providers: the model providers that functions may call, with the addresses that they may name.
    """

    forwarded_fields: frozenset[tuple[str, int]] = frozenset()
    unknown_parameters: UnknownParameters = UnknownParameters.FORWARD
    providers: Providers = frozenset()

    @classmethod
    def of(cls, fields: frozenset[str], unknown_parameters: UnknownParameters) -> Self:
        """Return the rules for fields that are written `QueryRequest.27`.

        Raises:
            ValueError: a field is not written so. The message completes a sentence that begins with the name of the
                setting.
        """
        return cls(frozenset(map(_parsed, fields)), unknown_parameters)

    def check(self, field: "Unaccepted") -> None:
        """Refuse a field, unless it may pass or is not set.

        Raises:
            InvalidArgument: the error names it and its message.
        """
        message = _short(field.message)
        if not field.name:
            if (message, field.number) not in self.forwarded_fields:
                raise InvalidArgument(
                    f"{message} has the field {field.number}, which this server does not know; leave it out",
                    ErrorDetail(ErrorCode.FIELD_UNKNOWN, {"message": message, "number": field.number}),
                )
        elif field.enum_value is not None:
            raise InvalidArgument(
                f"`{field.name}` of {message} has the value {field.enum_value}, which this server does not know",
                ErrorDetail(ErrorCode.VALUE_UNKNOWN, {"message": message, "name": field.name}),
            )
        elif field.is_set:
            why = _reasons().get(f"{field.message}.{field.name}", "it is not encoded as the protocol says")
            raise InvalidArgument(
                f"`{field.name}` of {message} is not accepted: {why}",
                ErrorDetail(ErrorCode.FIELD_NOT_ACCEPTED, {"message": message, "name": field.name}),
            )


def _short(name: str) -> str:
    """Return the name of a message without that of its package."""
    return name.removeprefix(_PACKAGES).partition(".")[2]


def _parsed(text: str) -> tuple[str, int]:
    message, _, number = text.rpartition(".")
    if not message or not number.isdecimal():
        raise ValueError("must name fields as QueryRequest.27, message and number")
    return message, int(number)
