"""What a request turned out to be about; made by `kiteward.gateway.resolve`, read by everything after it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from kiteward.authz.policy import Condition
from kiteward.domain.errors import RequestRefused

Value = str | int | list[str] | list[int]


class ResolvedRequest(NamedTuple):
    """What a request is about; one is made for every request, and a tuple costs half of what a frozen dataclass does.

    Attributes:
        database: body first, then the connection's, then `default`.
        conditions: what must hold for it to be allowed.
        payload: what is forwarded: the request with aliases resolved, otherwise byte for byte as it came.
        collections: the collections it names, aliases resolved.
        fields: what was read from the request.
        refusal: why nobody may have this: sub-requests that look elsewhere, or an alias out of place; None for nothing.
    """

    database: str
    conditions: tuple[Condition, ...]
    payload: bytes
    collections: tuple[str, ...]
    fields: Mapping[str, Value]
    refusal: RequestRefused | None = None

    def __repr__(self) -> str:
        """Return what it is about without the payload, which may hold a password."""
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name != "payload")
        return f"ResolvedRequest({', '.join(shown)})"

    def require_consistent(self) -> None:
        """Refuse a request that nobody may have, whatever they hold.

        To be called after the decision: the refusal tells which names are aliases.

        Raises:
            InvalidArgument: a sub-request names another collection or database than the request.
            AliasConflict: an alias is named where only a collection can be, or stands for what is to be dropped.
        """
        if self.refusal is not None:
            raise self.refusal


NOTHING_RESOLVED: Final = ResolvedRequest("", (), b"", (), {})
"""What a request to an operation of our own is about: its fields select no object of the engine by an RPC's rules."""
