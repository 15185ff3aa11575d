"""Random values of each type: few of each, so that filters, policies and rows meet."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.access.equivalence.random_values import Draw

_ODD_TEXTS: Final = (
    "",
    "it's",
    'say "so"',
    "back\\slash",
    "tab\tstop",
    "größe",
    '") or true or ("',
    "' or '1'=='1",
    "$current_principal",
    "x" * 60,
)
_INTEGERS: Final = (-1, 0, 1, 2, 3, 4)
_LARGE: Final = (2**31, -(2**40), 2**53 + 1)
"""For 64 bits only; beyond 2^53 the engine refuses to compare with fractions."""

_FLOATS: Final = (-1.25, 0.0, 0.5, 1.0, 2.0, 3.75)
"""The same in 32 bits and in 64."""

_PLACES: Final = ("POINT (1 2)", "POINT (3 4)")
_TIMES: Final = ("2025-01-01T00:00:00Z", "2025-06-30T12:00:00Z")
_COORDINATES: Final = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0)
_BOOL, _INT64, _FLOAT, _DOUBLE, _VARCHAR, _ARRAY, _JSON, _GEOMETRY, _TIMESTAMPTZ = 1, 5, 10, 11, 21, 22, 23, 24, 26


@dataclass(frozen=True, slots=True)
class Pool:
    """Values that a case uses again and again.

    Attributes:
        names: of its users.
        tags: values of tags.
    """

    names: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def texts(self) -> Sequence[str]:
        """Return texts that rows, filters and policies contain."""
        return (*self.names, *self.tags)

    def text(self, draw: Draw) -> str:
        """Return a text: a name, a value of a tag, or one that is hard to quote."""
        return draw.of(self.texts) if draw.chance(0.85) else draw.of(_ODD_TEXTS)

    def integer(self, draw: Draw, kind: int) -> int:
        """Return a whole number that fits the type."""
        return draw.of(_LARGE) if kind == _INT64 and draw.chance(0.08) else draw.of(_INTEGERS)

    def value(self, draw: Draw, kind: int, element: int | None = None) -> Any:
        """Return a value of a type, never none."""
        if kind == _ARRAY:
            assert element is not None
            return [self.value(draw, element) for _ in range(draw.random.randint(0, 4))]
        if kind == _BOOL:
            return draw.chance(0.5)
        if kind in (_FLOAT, _DOUBLE):
            return draw.of(_FLOATS)
        if kind == _VARCHAR:
            return self.text(draw)
        if kind == _JSON:
            return self.document(draw)
        if kind in (_GEOMETRY, _TIMESTAMPTZ):
            return draw.of(_PLACES if kind == _GEOMETRY else _TIMES)
        return self.integer(draw, kind)

    def document(self, draw: Draw) -> dict[str, Any]:
        """Return a JSON object; each of its keys always has the same type."""
        made: dict[str, Any] = {}
        if draw.chance(0.7):
            made["n"] = None if draw.chance(0.15) else draw.of(_INTEGERS)
        if draw.chance(0.7):
            made["s"] = self.text(draw)
        if draw.chance(0.5):
            made["l"] = [draw.of(_INTEGERS) for _ in range(draw.random.randint(0, 3))]
        return made

    def dynamic(self, draw: Draw) -> dict[str, Any]:
        """Return further values of a row; each key always has the same type."""
        made: dict[str, Any] = {}
        if draw.chance(0.5):
            made["extra"] = draw.of(_INTEGERS)
        if draw.chance(0.5):
            made["note"] = draw.of(self.texts)
        return made


def vector(draw: Draw) -> list[float]:
    """Return a vector; its distances are nearly the same in 32 bits and in 64, and seldom those of another."""
    if draw.chance(0.5):
        return [draw.of(_COORDINATES), draw.of(_COORDINATES)]
    return [draw.random.randint(1, 4_000) / 512, draw.random.randint(-4_000, 4_000) / 512]


def as_json(value: Any) -> bytes:
    """Return a document as bytes."""
    return json.dumps(value).encode()
