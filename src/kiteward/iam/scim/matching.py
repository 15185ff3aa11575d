"""Decides whether a resource meets a filter, and which equal values a filter requires."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from kiteward.iam.scim.faults import invalid_filter
from kiteward.iam.scim.filters import Combination, Comparison, Filter, Negation, NotKept, Present, Selection, Target
from kiteward.iam.scim.schemas import Attribute, Kind

_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda held, given: bool(held == given),
    "co": lambda held, given: given in held,
    "sw": lambda held, given: bool(held.startswith(given)),
    "ew": lambda held, given: bool(held.endswith(given)),
    "gt": lambda held, given: bool(held > given),
    "ge": lambda held, given: bool(held >= given),
    "lt": lambda held, given: bool(held < given),
    "le": lambda held, given: bool(held <= given),
}
_OF_TEXT_ALONE: Final = frozenset({"co", "sw", "ew"})


def matches(found: Filter, resource: Mapping[str, Any]) -> bool:
    """Return whether a resource, or one of several values, meets a filter.

    Raises:
        InvalidArgument: a time that it compares with cannot be read.
    """
    match found:
        case Combination():
            results = (matches(term, resource) for term in found.terms)
            return all(results) if found.every else any(results)
        case Negation():
            return not matches(found.term, resource)
        case Present():
            return any(value not in (None, "", {}) for value in _values(found.target, resource))
        case Selection():
            held = resource.get(found.attribute.name) or ()
            return any(matches(found.inner, each) for each in held)
        case Comparison():
            return _compare(found, resource)
        case NotKept():
            return False


def required_values(found: Filter) -> Mapping[str, str]:
    """Return the values that every matching resource has: `userName`, or `members.value`, -> text.

    Only comparisons by `eq` with a text are taken into account, alone or joined by `and`.
    """
    match found:
        case Combination(every=True):
            return {name: value for term in found.terms for name, value in required_values(term).items()}
        case Comparison(operator="eq", value=str()):
            compared, attribute = found.target.compared, found.target.attribute
            name = attribute.name if compared is attribute else f"{attribute.name}.{compared.name}"
            return {name: str(found.value)}
        case Selection():
            inner = required_values(found.inner)
            return {f"{found.attribute.name}.{name}": value for name, value in inner.items()}
        case _:
            return {}


def names_attribute(found: Filter, name: str) -> bool:
    """Return whether a filter reads an attribute."""
    match found:
        case Combination():
            return any(names_attribute(term, name) for term in found.terms)
        case Negation():
            return names_attribute(found.term, name)
        case Selection():
            return found.attribute.name == name
        case Present() | Comparison():
            return found.target.attribute.name == name
        case NotKept():
            return False


def _compare(found: Comparison, resource: Mapping[str, Any]) -> bool:
    if found.operator == "ne":
        return not _compare(Comparison(found.target, "eq", found.value), resource)
    values = [each for each in _values(found.target, resource) if each is not None]
    if found.value is None:
        return not values
    attribute = found.target.compared
    given = _comparable(attribute, found.value, found.operator)
    compare = _COMPARED[found.operator]
    return any(compare(_comparable(attribute, each, found.operator), given) for each in values)


def _values(target: Target, resource: Mapping[str, Any]) -> Sequence[Any]:
    held = resource.get(target.attribute.name)
    values = held if isinstance(held, list) else [held]
    compared = target.compared
    if compared is target.attribute:
        return values
    return [each.get(compared.name) for each in values if isinstance(each, Mapping)]


def _comparable(attribute: Attribute, value: Any, operator: str) -> Any:
    if attribute.kind is Kind.DATE_TIME and operator not in _OF_TEXT_ALONE:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise invalid_filter(f"`{attribute.name}` is compared with a text that is not a time") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value.casefold() if isinstance(value, str) and not attribute.case_exact else value
