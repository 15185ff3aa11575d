"""Where in a request rules about fields apply, whatever the rules are about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class AboutField(Protocol):
    """A rule about one field of a type of message."""

    @property
    def message(self) -> str:
        """The full name of the type."""
        ...

    @property
    def field(self) -> str:
        """The path of the field inside it."""
        ...


R_co = TypeVar("R_co", bound=AboutField, covariant=True)
_R = TypeVar("_R", bound=AboutField)


@dataclass(frozen=True, slots=True)
class Place(Generic[R_co]):
    """A field of a request to which a rule applies."""

    path: str
    rule: R_co


def places(rules: Iterable[_R], paths: Mapping[str, Sequence[str]]) -> tuple[Place[_R], ...]:
    """Return the fields of an RPC's request to which rules apply.

    Args:
        rules: the rules.
        paths: what the request holds; see `messages.paths_in`.
    """
    return tuple(
        Place(f"{path}.{rule.field}" if path else rule.field, rule)
        for rule in rules
        for path in paths.get(rule.message, ())
    )
