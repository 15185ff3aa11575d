"""Reads resources and values that clients send: names in any case, and values of the types that the schemas declare."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kiteward.iam.scim.faults import invalid_syntax, invalid_value
from kiteward.iam.scim.schemas import Attribute, Kind, Mutability, ResourceSchema

LONGEST_TEXT: Final = 1024
"""Characters of one value at most."""

MOST_VALUES: Final = 100
"""Values of an attribute at most, besides the members of a group."""

MOST_MEMBERS: Final = 100_000
"""Members of one group at most."""

_TRUE_OR_FALSE: Final = {"true": True, "false": False}
"""Booleans as text, which Entra sends as `True` and `False`."""


def accepted(schema: ResourceSchema, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a resource that a client sends to create or replace one.

    Attributes that clients cannot set, and those that are not kept, are left out; `null` and an empty list stand for no
    value (RFC 7643, 2.5).

    Raises:
        InvalidArgument: it is not of this schema, an attribute has a value of another type, or a required one has none.
    """
    _require_schema(schema, body.get("schemas"))
    kept: dict[str, Any] = {}
    for name, value in body.items():
        attribute = schema.attribute(name.removeprefix(f"{schema.urn}:"))
        if attribute is None or attribute.mutability is Mutability.READ_ONLY:
            continue
        if attribute.name in kept:
            raise invalid_syntax(f"`{attribute.name}` is given twice")
        read = typed(attribute, value)
        if read is not None:
            kept[attribute.name] = read
    require_complete(schema, kept)
    return kept


def require_complete(schema: ResourceSchema, resource: Mapping[str, Any]) -> None:
    """Require that each required attribute has a value, and that at most one of several values is the primary one.

    Raises:
        InvalidArgument: one has none, or an attribute has several primary values.
    """
    for attribute in schema.attributes:
        value = resource.get(attribute.name)
        if attribute.required and not value:
            raise invalid_value(attribute.name, "is required")
        if attribute.multi_valued and sum(each.get("primary") is True for each in value or ()) > 1:
            raise invalid_value(attribute.name, "has more than one primary value")


def typed(attribute: Attribute, value: object) -> Any:
    """Return a value as its attribute holds it, or None for no value.

    A single value stands for a list of one, and in a list a text for a complex value with that `value`.

    Raises:
        InvalidArgument: it is of another type, too long, or there are too many.
    """
    if value is None:
        return None
    if not attribute.multi_valued:
        return one(attribute, value)
    values = value if isinstance(value, list) else [value]
    require_few(attribute, values)
    return distinct([one(attribute, each) for each in values]) or None


def require_few(attribute: Attribute, values: Sequence[object]) -> None:
    """Require that an attribute has no more values than it may have.

    Raises:
        InvalidArgument: there are too many.
    """
    most = MOST_MEMBERS if attribute.name == "members" else MOST_VALUES
    if len(values) > most:
        raise invalid_value(attribute.name, f"has more than {most} values")


def one(attribute: Attribute, value: object) -> Any:
    """Return one value of an attribute.

    Raises:
        InvalidArgument: it is of another type, or too long.
    """
    if attribute.kind is Kind.COMPLEX:
        return _complex(attribute, value)
    if attribute.kind is Kind.BOOLEAN:
        return _boolean(attribute, value)
    if not isinstance(value, str):
        raise invalid_value(attribute.name, "takes a text")
    if len(value) > LONGEST_TEXT or "\0" in value or not _is_unicode(value):
        raise invalid_value(attribute.name, f"takes a text of at most {LONGEST_TEXT} characters, without NUL")
    return value


def _is_unicode(text: str) -> bool:
    """Return whether a text has no half of a character, which JSON can write and nothing can store."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def distinct(values: Sequence[Any]) -> list[Any]:
    """Return the values without repetition; complex ones with the same `value` and `type` are the same."""
    found: dict[Any, Any] = {}
    for each in values:
        named = isinstance(each, dict) and "value" in each
        found[(each["value"], each.get("type")) if named else repr(each)] = each
    return list(found.values())


def _boolean(attribute: Attribute, value: object) -> bool:
    found = _TRUE_OR_FALSE.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise invalid_value(attribute.name, "takes true or false")
    return found


def _complex(attribute: Attribute, value: object) -> dict[str, Any]:
    if isinstance(value, str) and attribute.multi_valued:
        value = {"value": value}
    if not isinstance(value, dict):
        raise invalid_value(attribute.name, "takes an object")
    read: dict[str, Any] = {}
    for name, given in value.items():
        part = attribute.part(str(name))
        if part is None or part.mutability is Mutability.READ_ONLY or given is None:
            continue
        read[part.name] = one(part, given)
    if attribute.name == "members":
        return _member(read)
    if not read:
        raise invalid_value(attribute.name, "has an object without any of its parts")
    return read


def _member(read: Mapping[str, Any]) -> dict[str, Any]:
    if not read.get("value"):
        raise invalid_value("members", "needs the id of a user in `value`")
    if str(read.get("type", "User")).lower() != "user":
        raise invalid_value("members", "takes users; groups within groups are not supported")
    return {"value": read["value"], "type": "User"}


def _require_schema(schema: ResourceSchema, given: object) -> None:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise invalid_syntax(f"`schemas` must be a list with {schema.urn}")
    if schema.urn.lower() not in (each.lower() for each in given):
        raise invalid_syntax(f"`schemas` does not contain {schema.urn}")
