"""What policies may compare. These conditions mean the same in all engines, and none holds for what is missing."""

from collections.abc import Iterable

from kiteward.filters.refusals import refusal
from kiteward.filters.tokens import Token
from kiteward.filters.tree import Comparison, Expression, Field, ListOf, Literal, Principal, Tag


def compared_in_policy(left: Expression, right: Expression, start: Token) -> Comparison:
    """Return an equality of a policy, a field first.

    Args:
        left: one side.
        right: the other.
        start: where it begins.

    Raises:
        FilterSyntaxError: it compares two fields, or two values without a variable.
    """
    sides = (left, right)
    if isinstance(left, Field) and isinstance(right, Field):
        raise refusal(
            "two fields are compared",
            start.position,
            right="compare a field with a value or a variable, and write text in quotes",
        )
    if all(isinstance(side, Literal) for side in sides):
        raise refusal("two values are compared", start.position, right="compare a field or a variable with a value")
    if not all(isinstance(side, Field | Literal | Principal | Tag) for side in sides):
        raise refusal("this cannot be compared", start.position, right="compare a field with a value or a variable")
    return Comparison("==", right, left) if isinstance(right, Field) else Comparison("==", left, right)


def check_list(values: ListOf, start: Token) -> None:
    """Refuse a list whose values have different types.

    Args:
        values: the list.
        start: where it begins.

    Raises:
        FilterSyntaxError: they have.
    """
    if len(set(_types(values.items))) > 1:
        raise refusal(
            "a list has values of different types", start.position, right="write strings only, or numbers only"
        )


def _types(items: Iterable[object]) -> Iterable[type]:
    """Yield the types of values; those of variables are strings."""
    return (type(item.value) if isinstance(item, Literal) else str for item in items)
