"""What a request is about; created by `kiteward.gateway.resolve` and read by everything after it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from kiteward.authz.policy import Condition
from kiteward.domain.errors import RequestRefused

Value = str | int | list[str] | list[int]


class ResolvedRequest(NamedTuple):
    """What a request is about. It is a tuple, which costs half of a frozen dataclass: one is created for every request.

    Attributes:
        database: from the message, else from the connection, else `default`.
        conditions: all must hold for it to be allowed.
        payload: what is forwarded: the request with aliases resolved, otherwise the bytes as received.
        collections: the collections it names, aliases resolved.
        fields: the fields that were read from the request.
        refusal: why nobody may make it: a contradicting sub-request, or an alias that is not allowed; else None.
        named: the collections, and what is behind the aliases that it names.
    """

    database: str
    conditions: tuple[Condition, ...]
    payload: bytes
    collections: tuple[str, ...]
    fields: Mapping[str, Value]
    refusal: RequestRefused | None = None
    named: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return what it is about without the payload, which may hold a password."""
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name != "payload")
        return f"ResolvedRequest({', '.join(shown)})"

    def require_consistent(self) -> None:
        """Refuse a request that nobody may make, with any privileges.

        It must be called after the decision, because the refusal reveals which names are aliases.

        Raises:
            InvalidArgument: a sub-request names another collection or database than the request.
            AliasConflict: an alias is named where only a collection can be, or prevents a drop.
        """
        if self.refusal is not None:
            raise self.refusal


NOTHING_RESOLVED: Final = ResolvedRequest("", (), b"", (), {})
"""For requests to operations of our own, whose fields select no object of the engine by an RPC's rules."""
