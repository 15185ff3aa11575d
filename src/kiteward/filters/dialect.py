"""What each reader of filters accepts: the table that the parser and the writer go by."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

MAX_LENGTH: Final = 262_144
"""Most characters of a filter, as it is read and as it is written."""

MAX_NESTING: Final = 50
"""Most parentheses, negations and signs inside one another. Milvus Lite 3.2.2 takes 108 of them, within its own limit
on recursion; more are refused before it is asked."""

MAX_ARITHMETIC: Final = 128
"""Most arithmetic operators in a filter: a chain of them is as deep as it is long."""


class Dialect(StrEnum):
    """A reader of filters."""

    EMBEDDED = auto()
    """Milvus Lite 3.2.2 with the extensions of `kiteward.engine.embedded.filters`."""
    MILVUS = auto()
    """Milvus 2.3.5 and newer."""
    POLICY = auto()
    """The conditions of row policies: a part of both, with variables."""


class Feature(Enum):
    """A part of the language that not every dialect has."""

    ANY_DIVISOR = auto()
    """What is divided by may be anything; see `kiteward.filters.divisors`."""
    ARITHMETIC = auto()
    BARE_FIELD = auto()
    """A boolean field is a condition."""
    CONSTANT = auto()
    """`true` and `false` are conditions."""
    EXISTS = auto()
    FLOAT = auto()
    INEQUALITY = auto()
    """`!= < <= > >=`"""
    LIKE = auto()
    LITERALS_COMPARED = auto()
    """Both sides of a comparison may be literals."""
    LOOSE = auto()
    """`not` binds weaker than comparisons, `exists` stronger, and blanks may be anywhere between tokens."""
    META_ARGUMENT = auto()
    """A path in the dynamic field is an argument of functions."""
    MOMENT = auto()
    NEGATION = auto()
    NULL = auto()
    PATH = auto()
    SIGNED_ARGUMENT = auto()
    """A negative number is an argument of functions without parentheses."""
    SYMBOLS = auto()
    """`&&`, `||` and `!`"""
    TEMPLATE = auto()
    UNICODE_NAMES = auto()
    VARIABLE = auto()


class Argument(Enum):
    """What a function takes in a place."""

    FIELD = "a field"
    PLACE = "a field or a path in it"
    SCALAR = "a value"
    ELEMENT = "a value or a list"
    LIST = "a list that is not empty"
    TEXT = "a string"
    AMOUNT = "a number that is not negative"


@dataclass(frozen=True, slots=True)
class Function:
    """A function of filters.

    Attributes:
        arguments: what it takes.
        optional: how many of the last ones may be left out.
        condition: whether its value is true or false; otherwise it is a number.
    """

    arguments: tuple[Argument, ...]
    optional: int = 0
    condition: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """A dialect.

    Attributes:
        name: what it is called in messages.
        features: the parts that it has.
        functions: its functions by name, in lower case.
        any_case: whether keywords and functions may be written in any mix of cases, or in one case only.
    """

    name: str
    features: frozenset[Feature]
    functions: Mapping[str, Function]
    any_case: bool = False


_CONTAINS: Final = ("array_contains", "json_contains")
_CONTAINS_LIST: Final[Mapping[str, Function]] = {
    f"{name}_{which}": Function((Argument.PLACE, Argument.LIST)) for name in _CONTAINS for which in ("all", "any")
}
_SPATIAL: Final = ("contains", "within", "intersects")

_FIELD_TEXT: Final = Function((Argument.FIELD, Argument.TEXT))
_GEOMETRY: Final[Mapping[str, Function]] = {
    f"{prefix}_{name}": _FIELD_TEXT for prefix in ("st", "geometry") for name in _SPATIAL
}

_EMBEDDED: Final = Grammar(
    name="the embedded engine",
    features=frozenset(Feature) - {Feature.VARIABLE, Feature.META_ARGUMENT, Feature.SIGNED_ARGUMENT},
    functions={
        **{name: Function((Argument.PLACE, Argument.SCALAR)) for name in _CONTAINS},
        **_CONTAINS_LIST,
        "array_length": Function((Argument.FIELD,), condition=False),
        "text_match": _FIELD_TEXT,
        **_GEOMETRY,
        "st_isvalid": Function((Argument.FIELD,)),
        "geometry_isvalid": Function((Argument.FIELD,)),
        "st_dwithin": Function((Argument.FIELD, Argument.TEXT, Argument.AMOUNT)),
        "geometry_dwithin": Function((Argument.FIELD, Argument.TEXT, Argument.AMOUNT)),
    },
    any_case=True,
)

_MILVUS: Final = Grammar(
    name="Milvus",
    features=frozenset(Feature)
    - {
        Feature.ANY_DIVISOR,
        Feature.VARIABLE,
        Feature.LOOSE,
        Feature.UNICODE_NAMES,
        Feature.CONSTANT,
        Feature.BARE_FIELD,
        Feature.LITERALS_COMPARED,
        Feature.MOMENT,
    },
    functions={
        **{name: Function((Argument.PLACE, Argument.ELEMENT)) for name in _CONTAINS},
        **_CONTAINS_LIST,
        "array_length": Function((Argument.PLACE,), condition=False),
        "text_match": _FIELD_TEXT,
        **{f"st_{name}": _FIELD_TEXT for name in (*_SPATIAL, "equals", "touches", "overlaps", "crosses")},
        "st_isvalid": Function((Argument.FIELD,)),
        "st_dwithin": Function((Argument.FIELD, Argument.TEXT, Argument.AMOUNT)),
        "phrase_match": Function((Argument.FIELD, Argument.TEXT, Argument.AMOUNT), optional=1),
    },
)

_POLICY: Final = Grammar(
    name="row policies",
    features=frozenset({Feature.VARIABLE, Feature.CONSTANT, Feature.LOOSE, Feature.SIGNED_ARGUMENT}),
    functions={
        "array_contains": Function((Argument.FIELD, Argument.SCALAR)),
        "array_contains_all": Function((Argument.FIELD, Argument.LIST)),
        "array_contains_any": Function((Argument.FIELD, Argument.LIST)),
    },
)

GRAMMARS: Final[Mapping[Dialect, Grammar]] = {
    Dialect.EMBEDDED: _EMBEDDED,
    Dialect.MILVUS: _MILVUS,
    Dialect.POLICY: _POLICY,
}
