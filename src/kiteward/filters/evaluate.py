"""Whether a row that is to be written matches a policy. Engines are not asked: the row is not stored yet."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kiteward.filters.tree import And, Call, Comparison, Constant, Expression, Field, ListOf, Literal, Membership, Or

Value = bool | int | float | str | Sequence["Value"] | None
"""A value of a row; None for a field without one."""


def matches(tree: Expression, row: Mapping[str, Value]) -> bool:
    """Return whether a row matches a policy.

    What a policy cannot say is not matched, nor is a comparison with a field that the row does not have, that has no
    value, or whose value is of another type. Whole numbers and fractions are one type, booleans are another.

    Args:
        tree: the policy, with values in place of its variables.
        row: value of each field by its name.
    """
    match tree:
        case Constant(value):
            return value
        case And(operands):
            return all(matches(each, row) for each in operands)
        case Or(operands):
            return any(matches(each, row) for each in operands)
        case Comparison("==", Field(name), Literal(value)):
            return _equal(row.get(name), value)
        case Membership(Field(name), ListOf(items), False):
            return any(_equal(row.get(name), value) for value in _values(items))
        case Call(function, (Field(name), argument)) if function in _CONTAINS:
            return _contains(function, row.get(name), argument)
    return False


def _contains(function: str, held: Value, argument: Expression | ListOf) -> bool:
    if isinstance(held, str) or not isinstance(held, Sequence):
        return False
    sought = _values(argument.items if isinstance(argument, ListOf) else (argument,))
    if not sought:
        return False
    return _CONTAINS[function](any(_equal(each, value) for each in held) for value in sought)


_CONTAINS: Final[Mapping[str, Callable[..., bool]]] = {
    "array_contains": all,
    "array_contains_all": all,
    "array_contains_any": any,
}


def _values(items: Sequence[object]) -> list[Value]:
    """Return the values of literals; None, which equals nothing, for everything else."""
    return [item.value if isinstance(item, Literal) else None for item in items]


def _equal(held: Value, value: Value) -> bool:
    if isinstance(held, bool) or isinstance(value, bool):
        return isinstance(held, bool) and held is value
    if isinstance(held, int | float):
        return isinstance(value, int | float) and held == value
    return isinstance(held, str) and isinstance(value, str) and held == value
