"""The properties of collections that are about row policies: read from requests, kept here, shown in descriptions.

They are never forwarded: an engine that knew such a property would enforce it in its own way.
"""

from collections.abc import Mapping
from typing import Final

from kiteward.authz.policy import PolicySnapshot
from kiteward.authz.row_policies import CompiledRowRules
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.gateway.operations import Operation
from kiteward.gateway.resolved_request import ResolvedRequest, Value
from kiteward.iam.row_policies import ENABLED, FORCE, PROPERTIES, PropertyChange, is_row_property
from kiteward.milvus import messages

_VALUES: Final[Mapping[str, bool]] = {"true": True, "false": False}
_KEYS: Final = "properties.key"
_GIVEN: Final = "properties.value"
_DELETED: Final = "delete_keys"


def are_named(operation: Operation, fields: Mapping[str, Value]) -> bool:
    """Return whether a request names a property about row policies, in any spelling."""
    paths = (path for path in operation.properties if path != _GIVEN)
    return any(is_row_property(key) for path in paths for key in _texts(fields.get(path, [])))


def require_as_given(rules: CompiledRowRules | None, collection: str, properties: PropertyChange) -> None:
    """Require that a collection that exists already is protected as the request to create it says.

    An engine may answer that the collection was created, where it exists with the same schema.

    Args:
        rules: its row policies, enforced or not; None for none.
        collection: its name.
        properties: what the request says.

    Raises:
        InvalidArgument: it is not.
    """
    given = ((ENABLED, properties.enabled), (FORCE, properties.force))
    held = (False, False) if rules is None else (rules.enabled, rules.force)
    for (name, wanted), value in zip(given, held, strict=True):
        if wanted not in (None, value):
            raise InvalidArgument(
                f"the collection {collection} exists with another {name}: change it with AlterCollection",
                ErrorDetail(ErrorCode.RLS_PROPERTY_DIFFERS, {"name": name}),
            )


def read(operation: Operation, resolved: ResolvedRequest) -> PropertyChange | None:
    """Return what a request changes of these properties; None where it names none.

    Raises:
        InvalidArgument: there is no such property, it has another value than `true` or `false`, it is named twice, in a
            schema, or for no collection by name.
    """
    if not are_named(operation, resolved.fields):
        return None
    given = _texts(resolved.fields[_KEYS])
    pairs = list(zip(given, _texts(resolved.fields[_GIVEN]), strict=True))
    values: dict[str, bool] = {}
    for key, value in (*pairs, *((key, "false") for key in _texts(resolved.fields.get(_DELETED, [])))):
        if is_row_property(key):
            _require_known(key)
            if key in values:
                raise InvalidArgument(
                    f"{key} is named more than once", ErrorDetail(ErrorCode.RLS_PROPERTY_TWICE, {"name": key})
                )
            values[key] = _value(key, value)
    in_schema = {_KEYS, _GIVEN, _DELETED}
    for path in operation.properties:
        for key in _texts(resolved.fields[path]) if path not in in_schema else ():
            if is_row_property(key):
                raise InvalidArgument(
                    f"{key} is a property of the request, not of its schema",
                    ErrorDetail(ErrorCode.RLS_PROPERTY_IN_SCHEMA, {"name": key}),
                )
    return PropertyChange(values.get(ENABLED), values.get(FORCE))


def without(method: str, payload: bytes) -> bytes | None:
    """Return a request without these properties; None where it then changes nothing any more.

    Args:
        method: CreateCollection or AlterCollection.
        payload: the request.
    """
    message = messages.decode(method, payload)
    if isinstance(message, messages.CreateCollectionRequest):
        _remove(message)
        return bytes(message.SerializeToString())
    if not isinstance(message, messages.milvus_pb2.AlterCollectionRequest):
        raise TypeError(f"{method} has no properties of a collection")
    _remove(message)
    kept = [key for key in message.delete_keys if not is_row_property(key)]
    del message.delete_keys[:]
    message.delete_keys.extend(kept)
    return bytes(message.SerializeToString()) if message.properties or kept else None


def shown(method: str, answer: bytes, snapshot: PolicySnapshot, resolved: ResolvedRequest) -> bytes:
    """Return a description of collections with these properties, where they were ever set or there are policies.

    Args:
        method: DescribeCollection or BatchDescribeCollection.
        answer: the response of the engine.
        snapshot: the policy in force.
        resolved: the request.
    """
    if not snapshot.row_rules:
        return answer
    if method == "DescribeCollection":
        one = messages.read_response(messages.DescribeCollectionResponse, answer)
        # The name that was authorized and forwarded. An engine may answer with the alias that it was asked for.
        name = next(filter(None, resolved.collections), one.collection_name)
        return bytes(one.SerializeToString()) if _add(one, snapshot, resolved.database, name) else answer
    many = messages.read_response(messages.milvus_pb2.BatchDescribeCollectionResponse, answer)
    changed = [_add(one, snapshot, one.db_name or resolved.database, one.collection_name) for one in many.responses]
    return bytes(many.SerializeToString()) if any(changed) else answer


def _add(one: messages.DescribeCollectionResponse, snapshot: PolicySnapshot, database: str, name: str) -> bool:
    rules = snapshot.row_rules.get((database, name))
    if rules is None:
        return False
    for key, value in ((ENABLED, rules.enabled), (FORCE, rules.force)):
        one.properties.add(key=key, value=str(value).lower())
    return True


def _remove(message: messages.CreateCollectionRequest | messages.milvus_pb2.AlterCollectionRequest) -> None:
    kept = [pair for pair in message.properties if not is_row_property(pair.key)]
    del message.properties[:]
    message.properties.extend(kept)


def _require_known(key: str) -> None:
    if key not in PROPERTIES:
        known = ", ".join(PROPERTIES)
        raise InvalidArgument(
            f"there is no property {key}: those about row policies are {known}",
            ErrorDetail(ErrorCode.RLS_PROPERTY_UNKNOWN, {"name": key, "known": known}),
        )


def _value(key: str, value: str) -> bool:
    if value.lower() not in _VALUES:
        raise InvalidArgument(f"{key} must be true or false", ErrorDetail(ErrorCode.RLS_PROPERTY_VALUE, {"name": key}))
    return _VALUES[value.lower()]


def _texts(value: Value) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
