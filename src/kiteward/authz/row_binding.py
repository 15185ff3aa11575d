"""Policy expressions with the values of a principal in place of variables, and their combination; pure.

What comes out holds no variable. Comparisons without a field, and everything that they decide, are evaluated here, so
that a constant is either the whole expression or does not occur: not every engine reads constants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kiteward.filters import (
    And,
    Call,
    Comparison,
    Constant,
    Expression,
    ListOf,
    Literal,
    Membership,
    Or,
    Principal,
    Tag,
)

_EVERY_ELEMENT: Final = "array_contains_all"
"""The function for which each element of its list counts; for others, one that is missing matches nothing."""

_NOTHING: Final = Constant(False)


@dataclass(frozen=True, slots=True)
class Bindings:
    """The values of the variables.

    Attributes:
        principal: `$current_principal`.
        tags: `$current_principal_tags`, by key.
    """

    principal: str
    tags: Mapping[str, str]


def bound(expression: Expression, bindings: Bindings) -> Expression:
    """Return a policy's expression with values in place of its variables.

    A comparison with a tag that is missing is false. In a list, a missing tag is left out; `array_contains_all` is then
    false. So a missing tag never shows a row.

    Args:
        expression: as it is parsed in the dialect of policies. What that dialect does not have is false.
        bindings: the values.
    """
    if isinstance(expression, Constant):
        return expression
    if isinstance(expression, And):
        return conjunction([bound(each, bindings) for each in expression.operands])
    if isinstance(expression, Or):
        return disjunction([bound(each, bindings) for each in expression.operands])
    if isinstance(expression, Comparison):
        return _compared(expression, bindings)
    if isinstance(expression, Membership):
        return _contained(expression, bindings)
    if isinstance(expression, Call):
        return _called(expression, bindings)
    return _NOTHING


def conjunction(operands: Sequence[Expression]) -> Expression:
    """Return what is true where every operand is; without any, what is always true."""
    kept = _flattened(operands, And)
    if _NOTHING in kept:
        return _NOTHING
    kept = [each for each in kept if each != Constant(True)]
    if len(kept) > 1:
        return And(tuple(kept))
    return kept[0] if kept else Constant(True)


def disjunction(operands: Sequence[Expression]) -> Expression:
    """Return what is true where some operand is; without any, what is never true."""
    kept = _flattened(operands, Or)
    if Constant(True) in kept:
        return Constant(True)
    kept = [each for each in kept if each != _NOTHING]
    if len(kept) > 1:
        return Or(tuple(kept))
    return kept[0] if kept else _NOTHING


def _flattened(operands: Sequence[Expression], kind: type[And] | type[Or]) -> list[Expression]:
    """Return the operands, with those of an operand of the same kind in its place."""
    found: list[Expression] = []
    for each in operands:
        found += each.operands if isinstance(each, kind) else (each,)
    return found


def _valued(value: Expression, bindings: Bindings) -> Expression | None:
    """Return a value with variables replaced; None for a tag that is missing."""
    if isinstance(value, Principal):
        return Literal(bindings.principal)
    if isinstance(value, Tag):
        found = bindings.tags.get(value.key)
        return None if found is None else Literal(found)
    return value


def _compared(comparison: Comparison, bindings: Bindings) -> Expression:
    left, right = _valued(comparison.left, bindings), _valued(comparison.right, bindings)
    if left is None or right is None or comparison.operator != "==":
        return _NOTHING
    if isinstance(left, Literal) and isinstance(right, Literal):
        return Constant(_same(left, right))
    return replace(comparison, left=left, right=right)


def _contained(membership: Membership, bindings: Bindings) -> Expression:
    value = _valued(membership.field, bindings)
    if value is None or membership.negated or not isinstance(membership.values, ListOf):
        return _NOTHING
    listed = [found for each in membership.values.items if (found := _listed(each, bindings)) is not None]
    if isinstance(value, Literal):
        return Constant(any(_same(value, each) for each in listed))
    return replace(membership, field=value, values=ListOf(tuple(listed))) if listed else _NOTHING


def _called(call: Call, bindings: Bindings) -> Expression:
    arguments: list[Expression | ListOf] = []
    for argument in call.arguments:
        if isinstance(argument, ListOf):
            listed = [found for each in argument.items if (found := _listed(each, bindings)) is not None]
            if not listed or (call.function == _EVERY_ELEMENT and len(listed) < len(argument.items)):
                return _NOTHING
            arguments.append(ListOf(tuple(listed)))
            continue
        value = _valued(argument, bindings)
        if value is None:
            return _NOTHING
        arguments.append(value)
    return replace(call, arguments=tuple(arguments))


def _listed(item: object, bindings: Bindings) -> Literal | None:
    """Return an element of a list with its variable replaced; None for what has no value."""
    if isinstance(item, Principal | Tag):
        item = _valued(item, bindings)
    return item if isinstance(item, Literal) else None


def _same(left: Literal, right: Literal) -> bool:
    return type(left.value) is type(right.value) and left.value == right.value
