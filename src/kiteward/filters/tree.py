"""Filters as trees. What a filter means is in its nodes; how its literals were spelled is kept beside their values."""

from dataclasses import dataclass, field
from typing import Literal as OneOf


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the collection, or a key of its dynamic field; as a condition, a boolean field."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value.

    Attributes:
        value: the value. Strings are decoded, numbers are as exact as Python reads them.
        spelling: how the user wrote it, where an engine reads the spelling; empty for a value that is quoted here.
    """

    value: bool | int | float | str
    spelling: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A place in a JSON field, the dynamic field (`$meta`) or an array.

    Attributes:
        root: the field.
        keys: strings and non-negative whole numbers, at least one.
    """

    root: str
    keys: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time or a duration.

    Attributes:
        keyword: which of the two.
        text: its ISO 8601 form.
    """

    keyword: OneOf["ISO", "INTERVAL"]
    text: Literal


@dataclass(frozen=True, slots=True)
class Template:
    """A place for a value that the request has apart from the filter, for example `{ids}`."""

    name: str


@dataclass(frozen=True, slots=True)
class Principal:
    """The name of the caller, `$current_principal`; in policies only."""


@dataclass(frozen=True, slots=True)
class Tag:
    """The value of a tag of the caller, `$current_principal_tags['key']`; in policies only."""

    key: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values."""

    items: "tuple[Literal | Moment | Template | Principal | Tag | ListOf, ...]"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A computed number; `operator` is one of + - * / %."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """A function's value, for most functions true or false; `function` is in lower case."""

    function: str
    arguments: "tuple[Expression | ListOf, ...]"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values compared; `operator` is one of == != < <= > >=."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Range:
    """A value between two others: `left first middle second right`, both operators in one direction."""

    left: "Expression"
    first: str
    middle: "Expression"
    second: str
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether a value is in a list: `in`, or `not in` where `negated`."""

    field: "Expression"
    values: ListOf | Template
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Like:
    """Whether a string matches a pattern."""

    value: "Expression"
    pattern: Literal


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether there is no value: `is null`, or `is not null` where `negated`."""

    value: Field | JsonPath
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether a key of a JSON field or of the dynamic field has a value."""

    value: Field | JsonPath


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition, as the engine understands it for missing values."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more conditions."""

    operands: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """One of two or more conditions."""

    operands: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Constant:
    """Every row, or none."""

    value: bool


Value = Field | JsonPath | Literal | Moment | Template | Principal | Tag | Arithmetic | Call
"""What has a value for a row that is no condition; a field or a call can be either."""

Condition = Comparison | Range | Membership | Like | IsNull | Exists | Not | And | Or | Constant | Call | Field
"""What is true or false for a row."""

Expression = Value | Condition
