"""Resolves a request, once: database, collections behind aliases, conditions, and the payload to forward.

Exactly the resolved request is authorized and forwarded (contract 4.8, in its column for 3.0; design 5).
"""

import re
from collections.abc import Mapping
from typing import Final

from kiteward.authz.policy import Condition
from kiteward.authz.privileges import PRIVILEGES, Level, ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AliasConflict, InvalidArgument
from kiteward.domain.naming import ANY, DEFAULT_DATABASE, NamingRules
from kiteward.gateway import providers, row_properties
from kiteward.gateway.call import Call
from kiteward.gateway.catalog import NamesUnknown, Resolver
from kiteward.gateway.object_ids import Owner
from kiteward.gateway.operations import Operation
from kiteward.gateway.resolved_request import ResolvedRequest, Value
from kiteward.milvus.replacing import replace
from kiteward.milvus.request_reader import Check

_CREATED: Final[Mapping[str, str]] = {"alias": "alias", "name": "snapshot name"}
"""What a field gives a name to, where that is not a collection."""

_UNDERSCORED: Final = re.compile(r"_([a-z])")


def resolve_request(operation: Operation, call: Call[bytes], catalog: Resolver, check: Check) -> ResolvedRequest:
    """Read the fields of a request that select objects, and resolve it.

    Args:
        operation: its row.
        call: the request.
        catalog: resolves the names in it.
        check: raises an error for a field that is not accepted.

    Raises:
        PayloadMalformed: the bytes are not a message of this operation.
        InvalidArgument: it holds a field that is not accepted.
        NamesUnknown: the catalog does not hold its database, or names in it.
    """
    fields: Mapping[str, Value] = operation.reader.read(call.payload, check) if operation.reader else {}
    database = str(fields.get(operation.database) or "") or call.database or DEFAULT_DATABASE
    try:
        resolved = _resolved(operation, call.payload, fields, database, catalog)
        if operation.needs_catalog and not resolved.collections:
            catalog.has_database(database)
    except NamesUnknown as unknown:
        paths = (*operation.collections, *operation.aliases, *operation.must_match)
        others = (name for path in paths for name in _texts(fields[path]))
        raise NamesUnknown(database, {*unknown.names, *others}) from None
    return resolved


def _resolved(
    operation: Operation, payload: bytes, fields: Mapping[str, Value], database: str, catalog: Resolver
) -> ResolvedRequest:
    if not fields:  # no field of it selects an object
        return ResolvedRequest(database, _conditions(operation, fields, database, (), catalog), payload, (), fields)
    replacements: dict[str, str | list[str]] = {}
    if database != DEFAULT_DATABASE and fields.get(operation.database) == "" and operation.by_engine:
        # Milvus 2.3 ignores the database of the connection for some requests, and would use `default`.
        replacements[operation.database] = database
    fields = _named_by_id(operation, fields, database, catalog, replacements)
    collections = _resolve(operation, fields, database, catalog, replacements)
    other_database = _target_database(operation, fields, database, replacements)
    conditions = _conditions(operation, fields, ANY if other_database else database, collections, catalog)
    payload = replace(payload, operation.name, replacements) if replacements else payload
    refusal = _contradiction(operation, fields, database, collections, catalog) or _alias_conflict(
        operation, fields, database, collections, catalog
    )
    named = collections
    for path in operation.aliases:
        named += tuple(catalog.resolve(database, name) for name in _texts(fields[path]))
    return ResolvedRequest(database, conditions, payload, collections, fields, refusal, named)


def check_new_names(operation: Operation, resolved: ResolvedRequest, naming: NamingRules) -> None:
    """Refuse illegal names of objects that are to be created. It must be called after the decision.

    Engines accept more than Milvus does, for example names that differ only by spaces, and names that are paths.

    Raises:
        InvalidArgument: a collection, alias, snapshot, partition or index.
        FieldNameInvalid: a field.
        DatabaseNameInvalid: a database.
    """
    if not operation.creates_names:
        return
    for path in operation.creates:
        for argument, name in _named(path, resolved.fields[path]):
            naming.check_new_name(name, _CREATED.get(path, "collection name"), field=argument)
    for paths, check in (
        (operation.creates_partitions, naming.check_partition_name),
        (operation.creates_fields, naming.check_field_name),
        (operation.creates_indexes, naming.check_index_name),
    ):
        for path in paths:
            for argument, name in _named(path, resolved.fields[path]):
                check(name, field=argument)
    if operation.creates_database:
        naming.check_database_name(str(resolved.fields[operation.creates_database]))


def _named(path: str, value: Value) -> list[tuple[str, str]]:
    """Return the names in a field, each with the argument for errors: `collectionName`, `schema.fields[2].name`."""
    if not isinstance(value, list):
        return [(_UNDERSCORED.sub(lambda found: found[1].upper(), path), str(value))]
    parent, _, last = path.rpartition(".")
    return [(f"{parent}[{position}].{last}", str(name)) for position, name in enumerate(value)]


def _texts(value: Value) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _named_by_id(
    operation: Operation,
    fields: Mapping[str, Value],
    database: str,
    catalog: Resolver,
    replacements: dict[str, str | list[str]],
) -> Mapping[str, Value]:
    """Return the fields that were read, with the name of a collection that was selected by its id alone.

    The name is forwarded, so that the engine uses the collection that was authorized.
    """
    if operation.collections != ("collection_name",) or fields["collection_name"] != "":
        return fields
    owners = {catalog.ids.owner(path, given) for path in operation.ids for given in _ids(fields[path])}
    owner = owners.pop() if len(owners) == 1 else None
    if owner is None or owner.database != database:
        return fields
    replacements["collection_name"] = owner.collection
    return {**fields, "collection_name": owner.collection}


def _ids(value: Value) -> list[int | str]:
    """Return the ids in a field, numbers or texts; zero and an empty text select nothing."""
    return [each for each in (value if isinstance(value, list) else [value]) if each]


def _resolve(
    operation: Operation,
    fields: Mapping[str, Value],
    database: str,
    catalog: Resolver,
    replacements: dict[str, str | list[str]],
) -> tuple[str, ...]:
    """Return the named collections, aliases resolved, and add the changed fields to `replacements`."""
    found: list[str] = []
    for path in operation.collections:
        given = _texts(fields[path])
        resolved = [catalog.resolve(database, name) for name in given]
        if resolved != given:
            replacements[path] = resolved if isinstance(fields[path], list) else resolved[0]
        found += resolved
    return tuple(found)


def _contradiction(
    operation: Operation, fields: Mapping[str, Value], database: str, collections: tuple[str, ...], catalog: Resolver
) -> InvalidArgument | None:
    """Return the error for sub-requests that name other objects than the request. Engines ignore those names."""
    for path in operation.must_match:
        for name in _texts(fields[path]):
            if name and catalog.resolve(database, name) not in collections:
                return InvalidArgument(
                    f"a sub-request names the collection {name}; it must name the collection of the request or none"
                )
    for path in operation.database_must_match:
        for name in _texts(fields[path]):
            if name and name != database:
                return InvalidArgument(
                    f"a sub-request names the database {name}; it must name the database of the request or none"
                )
    return None


def _alias_conflict(
    operation: Operation, fields: Mapping[str, Value], database: str, collections: tuple[str, ...], catalog: Resolver
) -> AliasConflict | None:
    """Return the error for an alias that prevents an operation on the collection itself."""
    if operation.not_by_alias:
        given = (name for path in operation.collections for name in _texts(fields[path]))
        for name, collection in zip(given, collections, strict=True):
            if name != collection:
                return AliasConflict(operation.not_by_alias.format(alias=name))
    if operation.not_while_aliased:
        for name in collections:
            if aliases := catalog.aliases_of(database, name):
                told = operation.not_while_aliased.format(collection=name, aliases=" ".join(aliases))
                detail = ErrorDetail(ErrorCode.COLLECTION_HAS_ALIASES, {"name": name, "aliases": ", ".join(aliases)})
                return AliasConflict(told, detail)
    return None


def _target_database(
    operation: Operation, fields: Mapping[str, Value], database: str, replacements: dict[str, str | list[str]]
) -> bool:
    """Return whether the request names another database; an unnamed target is the resolved one (contract Q36)."""
    if not operation.target_database:
        return False
    target = str(fields[operation.target_database])
    if not target:
        replacements[operation.target_database] = database
    return target not in ("", database)


def _conditions(
    operation: Operation, fields: Mapping[str, Value], database: str, collections: tuple[str, ...], catalog: Resolver
) -> tuple[Condition, ...]:
    privilege = operation.privilege
    if privilege is None:
        return ()
    if privilege.object_type is ObjectType.USER:
        named = str(fields[operation.user]) if operation.user else ""
        return (Condition(privilege, names=(named or ANY,), not_oneself=operation.not_oneself),)
    if privilege.level is Level.CLUSTER:
        own_role = str(fields[operation.own_role]) if operation.own_role else ""
        return (Condition(privilege, own_role=own_role),)
    judged: tuple[str, ...] = ()
    if operation.ids:
        database, collections, judged = _by_ids(operation, fields, database, collections, catalog)
    names = (*collections, *_others(operation, fields, database, catalog), *judged)
    if operation.if_named and not any(names):
        return ()
    distinct = names if len(names) == 1 else tuple(dict.fromkeys(names)) or (ANY,)
    conditions: tuple[Condition, ...] = (Condition(privilege, database, distinct, operation.visibility_is_enough),)
    if operation.properties and row_properties.are_named(operation, fields):
        conditions += (Condition(PRIVILEGES["ManageRLS"], database, distinct),)
    if operation.functions and providers.are_called(operation.functions, fields):
        conditions += (Condition(PRIVILEGES["CallProvider"], database, distinct),)
    return conditions


def _others(operation: Operation, fields: Mapping[str, Value], database: str, catalog: Resolver) -> tuple[str, ...]:
    """Return the new collections and the collections behind aliases that the request names."""
    if not (operation.new_collections or operation.aliases):
        return ()
    created = (name for path in operation.new_collections for name in _texts(fields[path]))
    aliased = (catalog.resolve(database, name) for path in operation.aliases for name in _texts(fields[path]))
    return (*created, *aliased)


def _by_ids(
    operation: Operation, fields: Mapping[str, Value], database: str, collections: tuple[str, ...], catalog: Resolver
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the database, the named collections, and the objects that ids in the request select."""
    owners, unknown = _owners(operation, fields, catalog)
    if not operation.database and len({owner.database for owner in owners}) == 1:
        # The request is about no database; the ids in it are.
        database = owners[0].database
    judged = [owner.collection if owner.database == database else ANY for owner in owners]
    if owners or unknown:
        # Selected by ids alone: the empty name selects nothing.
        collections = tuple(filter(None, collections))
    return database, collections, (*judged, *([ANY] if unknown else []))


def _owners(operation: Operation, fields: Mapping[str, Value], catalog: Resolver) -> tuple[list[Owner], bool]:
    """Return the collections that ids belong to, and whether there is an id whose collection is not known.

    Such an id selects without a name, so that the privilege is needed on every object.
    """
    found = [catalog.ids.owner(path, given) for path in operation.ids for given in _ids(fields[path])]
    known = [owner for owner in found if owner is not None]
    return known, len(known) < len(found)
