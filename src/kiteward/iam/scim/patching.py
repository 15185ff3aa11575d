"""Applies the operations of a PATCH to a resource (RFC 7644, 3.5.2), also as Entra and Okta send them.

What deviates from the RFC is accepted where it can mean one thing only; docs/scim.md lists it.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from kiteward.iam.scim.faults import invalid_path, invalid_syntax, invalid_value, no_target, not_changeable
from kiteward.iam.scim.filters import Path, parse_path
from kiteward.iam.scim.matching import matches, required_values
from kiteward.iam.scim.resources import distinct, one, require_complete, require_few, typed
from kiteward.iam.scim.schemas import Attribute, Kind, Mutability, ResourceSchema

PATCH_URN: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

MOST_OPERATIONS: Final = 1000
"""Operations of one PATCH at most."""

_ACTIVE: Final = "active"


class Verb(StrEnum):
    """What an operation does."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `path` is empty for the resource as a whole."""

    verb: Verb
    path: str
    value: Any


def operations_of(body: Mapping[str, Any]) -> Sequence[Operation]:
    """Return the operations of a request. `op` and the names of members are read in any case, as Entra sends them.

    Raises:
        InvalidArgument: it is not a request of this kind.
    """
    given = {str(name).lower(): value for name, value in body.items()}
    schemas = given.get("schemas")
    if not isinstance(schemas, list) or PATCH_URN.lower() not in (str(each).lower() for each in schemas):
        raise invalid_syntax(f"`schemas` must be a list with {PATCH_URN}")
    operations = given.get("operations")
    if not isinstance(operations, list) or not 0 < len(operations) <= MOST_OPERATIONS:
        raise invalid_syntax(f"`Operations` must be a list of 1 to {MOST_OPERATIONS} operations")
    return [_operation(each) for each in operations]


def _operation(given: object) -> Operation:
    if not isinstance(given, dict):
        raise invalid_syntax("an operation must be an object")
    read = {str(name).lower(): value for name, value in given.items()}
    path = read.get("path")
    if path is not None and not isinstance(path, str):
        raise invalid_path("it must be a text")
    try:
        verb = Verb(str(read.get("op")).lower())
    except ValueError:
        raise invalid_syntax("`op` must be add, replace or remove") from None
    if verb is Verb.REMOVE and not path:
        raise no_target("remove needs a path")
    if verb is Verb.ADD and "value" not in read:
        raise invalid_value("value", "is missing in an operation that adds")
    return Operation(verb, path or "", read.get("value"))


def relevant(schema: ResourceSchema, operations: Sequence[Operation]) -> Sequence[Operation]:
    """Return operations without what they say of attributes that are not kept, or that clients cannot set as a whole.

    Members of values that no attribute has are left out too, so that no password in one reaches the audit trail.

    Raises:
        InvalidArgument: a path cannot be read.
    """
    return [each for each in (_relevant(schema, operation) for operation in operations) if each is not None]


def _relevant(schema: ResourceSchema, operation: Operation) -> Operation | None:
    if operation.path:
        named = _target(schema, operation.path)
        return None if named is None else replace(operation, value=_known(named, operation.value))
    if not isinstance(operation.value, dict):
        raise invalid_value("value", "must be an object in an operation without a path")
    value: dict[str, Any] = {}
    for name, each in operation.value.items():
        named = None if str(name).lower() == "schemas" else _target(schema, str(name))  # a name is a path here
        if named is not None and named.mutability is not Mutability.READ_ONLY:
            value[name] = _known(named, each)
    return replace(operation, value=value) if value else None


def _target(schema: ResourceSchema, text: str) -> Attribute | None:
    """Return the attribute that a path names, or its part; None for an attribute that is not kept."""
    path = parse_path(schema, text)
    return path.part or path.attribute


def _known(attribute: Attribute, value: object) -> object:
    """Return a value of an attribute without the members that it does not have."""
    if isinstance(value, list):
        return [_known(attribute, each) for each in value]
    if isinstance(value, dict):
        parts = {name: attribute.part(str(name)) for name in value}
        return {name: _known(part, value[name]) for name, part in parts.items() if part is not None}
    return value


def patched(schema: ResourceSchema, resource: Mapping[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
    """Return a resource after operations, one after another; all of them or none.

    Args:
        schema: its schema.
        resource: what is kept of it: attributes that clients can set.
        operations: what changes.

    Raises:
        InvalidArgument: an operation is not possible; the error says which attribute and why.
    """
    working = deepcopy(dict(resource))
    for operation in operations:
        if operation.path:
            path = parse_path(schema, operation.path)
            _require_changeable(path, operation.path)
            _apply(working, operation.verb, path, operation.value)
        else:
            _apply_to_all(schema, working, operation)
    require_complete(schema, working)
    return working


def _apply_to_all(schema: ResourceSchema, working: dict[str, Any], operation: Operation) -> None:
    """Apply an operation without a path: the members of its value are paths. What clients cannot set is left out."""
    found = _relevant(schema, operation)
    for name, value in ({} if found is None else found.value).items():
        _apply(working, operation.verb, parse_path(schema, name), value)


def _require_changeable(path: Path, text: str) -> None:
    attribute = path.attribute
    if attribute is None:
        return
    if Mutability.READ_ONLY in (attribute.mutability, path.part.mutability if path.part else None):
        raise not_changeable(text[:64], "is read-only")
    if path.part is not None and path.part.mutability is Mutability.IMMUTABLE:
        raise not_changeable(text[:64], "cannot be changed: remove the value and add another one")


def _apply(working: dict[str, Any], verb: Verb, path: Path, value: Any) -> None:
    attribute = path.attribute
    if attribute is None:
        return
    # RFC 7643, 2.5: null and an empty list are no value.
    if verb is Verb.REPLACE and value in (None, []):
        verb = Verb.REMOVE
    if verb is Verb.REMOVE:
        _remove(working, attribute, path, value)
    elif not attribute.multi_valued:
        _set(working, attribute, path.part, value)
    elif path.selected is not None:
        _set_selected(working, attribute, path, verb, value)
    elif path.part is not None:
        _set_part_of_all(working, attribute, path.part, value)
    else:
        _set_values(working, attribute, verb, value)


def _set(working: dict[str, Any], attribute: Attribute, part: Attribute | None, value: Any) -> None:
    if part is not None:
        working[attribute.name] = {**working.get(attribute.name, {}), part.name: one(part, value)}
        return
    read = typed(attribute, value)
    if attribute.kind is Kind.COMPLEX and read is not None:
        read = {**working.get(attribute.name, {}), **read}
    if read is not None:
        working[attribute.name] = read


def _set_values(working: dict[str, Any], attribute: Attribute, verb: Verb, value: Any) -> None:
    held = working.get(attribute.name, []) if verb is Verb.ADD else []
    new = typed(attribute, value) or []
    if any(each.get("primary") for each in new):
        held = [{**each, "primary": False} if each.get("primary") else each for each in held]
    _keep(working, attribute, [*held, *new])
    require_few(attribute, working.get(attribute.name, ()))


def _set_part_of_all(working: dict[str, Any], attribute: Attribute, part: Attribute, value: Any) -> None:
    read = one(part, value)
    _keep(working, attribute, [{**each, part.name: read} for each in working.get(attribute.name) or [{}]])


def _set_selected(working: dict[str, Any], attribute: Attribute, path: Path, verb: Verb, value: Any) -> None:
    """Set what a filter selects. Entra fills values that are not there yet by a filter that describes them."""
    assert path.selected is not None  # noqa: S101  the caller has looked
    held = working.get(attribute.name, [])
    chosen = [each for each in held if matches(path.selected, each)]
    if not chosen:
        described = dict(required_values(path.selected))
        if not described or path.part is None:
            raise no_target(f"no value of `{attribute.name}` is selected")
        chosen = [described]
        held = [*held, described]
    change = {path.part.name: one(path.part, value)} if path.part else one(attribute, value)
    if change.get("primary"):
        held = [{**each, "primary": False} if each.get("primary") and each not in chosen else each for each in held]
    merged = path.part is not None or verb is Verb.ADD
    _keep(working, attribute, [({**each, **change} if merged else change) if each in chosen else each for each in held])


def _remove(working: dict[str, Any], attribute: Attribute, path: Path, value: Any) -> None:
    if attribute.name == _ACTIVE or (attribute.required and path.selected is None):
        raise not_changeable(attribute.name, "cannot be removed: give it another value")
    held = working.get(attribute.name)
    if held is None:
        return
    if not attribute.multi_valued:
        left = {} if path.part is None else {name: each for name, each in held.items() if name != path.part.name}
        working.pop(attribute.name)
        if left:
            working[attribute.name] = left
        return
    given = None if value in (None, []) else typed(attribute, value)
    _keep(working, attribute, _left(held, path, given))


def _left(held: Sequence[dict[str, Any]], path: Path, given: Sequence[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Return which values are left; Entra lists those to be removed as `given`, instead of a filter."""
    unwanted = {each.get("value") for each in given or ()}
    named = _named_by(path)
    left = []
    for each in held:
        if named is not None and each.get("value") != named:
            chosen = False
        elif path.selected is not None:
            chosen = matches(path.selected, each)
        else:
            chosen = given is None or each.get("value") in unwanted
        if not chosen:
            left.append(each)
        elif path.part is not None:
            left.append({name: part for name, part in each.items() if name != path.part.name})
    return left


def _named_by(path: Path) -> str | None:
    """Return the `value` that all selected values have, where it is compared exactly; None if that is not known.

    Comparing it first matters where each of many operations removes one of many members.
    """
    part = None if path.attribute is None else path.attribute.part("value")
    if path.selected is None or part is None or not part.case_exact:
        return None
    return required_values(path.selected).get("value")


def _keep(working: dict[str, Any], attribute: Attribute, values: Sequence[dict[str, Any]]) -> None:
    """Keep the values of an attribute that are left, without repetition and without empty ones."""
    kept = distinct([each for each in values if each])
    if kept:
        working[attribute.name] = kept
    else:
        working.pop(attribute.name, None)
