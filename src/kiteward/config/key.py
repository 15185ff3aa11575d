"""What is known of a setting."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from kiteward.config.kinds import Kind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """A setting.

    Attributes:
        name: the dotted key.
        kind: the type of its value.
        default: its value where none is given.
        meaning: what it sets, for the documents.
        secret: whether its value is never shown.
        unset: what the documents show as the default, where that is not `default` itself.
    """

    name: str
    kind: Kind[T]
    default: T
    meaning: str
    secret: bool = False
    unset: str = ""
