"""The rules of operations that the engine executes: contract 4.2 and 4.9, decisions 0002 and 0027."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.unit.gateway.model.authorization import ANY, Authorizer, Key
from tests.unit.gateway.model.reference import DENIED, DONE, Outcome, Reference, Rule, Step, refused
from tests.unit.gateway.model.world import COLLECTION_NOT_FOUND, DATABASE_NOT_FOUND

NO_DATABASE: Final = refused(DATABASE_NOT_FOUND, 1)

ON_ONE_COLLECTION: Final = {
    "LoadCollection": "Load",
    "LoadPartitions": "Load",
    "ReleaseCollection": "Release",
    "ReleasePartitions": "Release",
    "GetLoadState": "GetLoadState",
    "GetLoadingProgress": "GetLoadState",
    "GetCollectionStatistics": "GetStatistics",
    "GetPartitionStatistics": "GetStatistics",
    "CreatePartition": "CreatePartition",
    "DropPartition": "DropPartition",
    "HasPartition": "HasPartition",
    "ShowPartitions": "ShowPartitions",
    "CreateIndex": "CreateIndex",
    "AlterIndex": "CreateIndex",
    "DropIndex": "DropIndex",
    "Insert": "Insert",
    "Upsert": "Upsert",
    "Delete": "Delete",
    "Search": "Search",
    "Query": "Query",
    "Import": "Import",
    "GetFlushState": "GetFlushState",
    "ManualCompaction": "Compaction",
    "AlterCollection": "CreateCollection",
    "AlterCollectionField": "CreateCollection",
    "AddCollectionField": "AddCollectionField",
    "AlterCollectionSchema": "AlterCollectionSchema",
    "TruncateCollection": "DropCollection",
    "CreateSnapshot": "CreateSnapshot",
    "DescribeSnapshot": "DescribeSnapshot",
    "RefreshExternalCollection": "RefreshExternalCollection",
}
"""Operations on the collection of the field `collection_name`."""

ANY_PRIVILEGE_SUFFICES: Final = ("DescribeIndex", "GetIndexStatistics", "GetIndexState", "GetIndexBuildProgress")

ON_THE_CLUSTER: Final = {
    "CreateResourceGroup": "CreateResourceGroup",
    "DescribeResourceGroup": "DescribeResourceGroup",
    "ListResourceGroups": "ListResourceGroups",
    "TransferNode": "TransferNode",
    "ListFileResources": "ListFileResources",
    "FlushAll": "FlushAll",
}

CHANGES: Final = frozenset(
    {
        "CreateDatabase",
        "DropDatabase",
        "CreateCollection",
        "DropCollection",
        "RenameCollection",
        "CreateAlias",
        "AlterAlias",
        "DropAlias",
    }
)


def subject(operation: str, request: Any) -> tuple[str, ...]:
    """Return the names in a request that say what it is about."""
    if operation == "RenameCollection":
        return (request.oldName, request.newDBName, request.newName)
    if operation in ("CreateAlias", "AlterAlias"):
        return (request.alias, request.collection_name)
    if operation in ("DropAlias", "DescribeAlias"):
        return (request.alias,)
    if operation == "Flush":
        return tuple(request.collection_names)
    if operation == "BatchDescribeCollection":
        return tuple(request.collection_name)
    if operation == "LoadBalance":
        return (request.collectionName,)
    named = "collection_name" in request.DESCRIPTOR.fields_by_name
    return (request.collection_name,) if named else ()


def database_of(step: Step) -> str:
    """Return the database a request is about: the body's, else the connection's, else `default` [contract 4.8]."""
    return str(getattr(step.message, "db_name", "")) or step.database or "default"


def _forwarded(database: str, names: Sequence[str] = (), content: Any = None) -> Outcome:
    return Outcome("ok", content=content, forwarded=(database, *names))


def _answered(code: int, database: str, names: Sequence[str]) -> Outcome:
    if code:
        return Outcome("status", code, 1, forwarded=(database, *names))
    return _forwarded(database, names)


# [contract 3, decision 0026] what is created has a legal name; seen before the engine is asked, after the database
_NEW_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,254}")
_ILLEGAL_NAME: Final = Outcome("status", 1100, 5)
_ALIAS_CONFLICT: Final = refused(65535, 1)
_ILLEGAL_DATABASE: Final = Outcome("status", 802, 1)


def _on_collections(privilege: str, *, visible: bool = False) -> Rule:
    def rule(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
        database = database_of(step)
        names = [reference.world.resolve(database, name) for name in subject(step.operation, step.message)]
        owners = [reference.world.told.get(number) for number in _ids(step.message)]
        if names == [""] and len(set(owners)) == 1 and owners[0] is not None and owners[0][0] == database:
            names = [owners[0][1]]
        # [contract 4.2] an id is authorized as the collection it was returned for; any other id needs a grant on all
        by_id = [owner[1] if owner is not None and owner[0] == database else ANY for owner in owners]
        wanted = [*(name for name in names if name or not owners), *by_id] or [ANY]
        allowed = authorizer.may_or_sees if visible else authorizer.may
        open_to_all = (step.operation, wanted) == ("GetFlushState", [""])
        if not open_to_all and not allowed(privilege, database, wanted):
            return _HIDDEN.get(step.operation, DENIED)
        if _wanders(reference, step, database, names):
            return refused(1100, 5)
        found = reference.world.databases.get(database)
        # [decision 0027] a database that its caller may not see is answered as one that does not exist
        hidden = open_to_all and database != "default" and not authorizer.lists_database(database)
        if found is None or hidden:
            return NO_DATABASE
        if step.operation == "HasCollection":
            return _forwarded(database, names, content=found.taken(names[0]))
        if step.operation == "DescribeCollection":
            ids = {number: name for name, number in found.collections.items()}
            name = names[0] or ids.get(step.message.collectionID, "")
            described = name in found.collections
            return _forwarded(database, names, name) if described else _answered(COLLECTION_NOT_FOUND, database, names)
        return _forwarded(database, names)

    return rule


def _ids(request: Any) -> list[int]:
    ids = getattr(request, "collectionID", 0)
    return [number for number in ([ids] if isinstance(ids, int) else ids) if number]


def _telling(rule: Rule) -> Rule:
    """Record the ids in a response about a database's collections."""

    def telling(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
        outcome = rule(reference, step, authorizer)
        if outcome.forwarded is not None and database_of(step) in reference.world.databases:
            reference.world.tell_ids(database_of(step))
        return outcome

    return telling


def _ending(rule: Rule) -> Rule:
    """Forget the ids of what the engine is asked to drop or rename."""

    def ending(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
        outcome = rule(reference, step, authorizer)
        if outcome.forwarded is not None:
            database, *names = outcome.forwarded
            reference.world.forget_ids(database, names[0] if names else None)
        return outcome

    return ending


_HIDDEN: Final = {"HasCollection": Outcome("ok", content=False), "DescribeCollection": refused(COLLECTION_NOT_FOUND, 4)}
"""A collection that the caller may not see does not exist for it [decision 0002]."""


def _wanders(reference: Reference, step: Step, database: str, names: Sequence[str]) -> bool:
    """Return whether a sub-request names another collection or database than the request does."""
    if step.operation != "HybridSearch":
        return False
    return any(
        (part.collection_name and reference.world.resolve(database, part.collection_name) not in names)
        or part.db_name not in ("", database)
        for part in step.message.requests
    )


def _on_cluster(privilege: str) -> Rule:
    def rule(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
        if not authorizer.may(privilege):
            return DENIED
        if step.operation == "FlushAll" and database_of(step) not in reference.world.databases:
            return NO_DATABASE
        return _forwarded(database_of(step))

    return rule


def _on_database(privilege: str) -> Rule:
    def rule(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
        database = database_of(step)
        by_id = [ANY] if getattr(step.message, "db_id", "") else []
        if not authorizer.may(privilege, database, by_id or [ANY]):
            return DENIED
        return _forwarded(database) if database in reference.world.databases else NO_DATABASE

    return rule


def _create_database(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    if not authorizer.may("CreateDatabase"):
        return DENIED
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,254}", step.message.db_name):
        return _ILLEGAL_DATABASE
    return _answered(reference.world.create_database(step.message.db_name), database_of(step), ())


def _drop_database(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    database = database_of(step)
    if not authorizer.may("DropDatabase"):
        return DENIED
    if database not in reference.world.databases:
        return DONE  # [Milvus 3.0] dropping what is not there succeeds
    code = reference.world.drop_database(database)
    if not code:
        _forget(reference, lambda key: key.database == database)
    return _answered(code, database, ())


def _forget(reference: Reference, gone: Callable[[Key], bool]) -> None:
    for role, grants in reference.policy.roles.items():
        for key in [key for key in grants if gone(key)]:
            reference.policy.take(role, key)


def _create_collection(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    database, name = database_of(step), step.message.collection_name
    if not authorizer.may("CreateCollection", database, [name]):
        return DENIED
    if database not in reference.world.databases:
        return NO_DATABASE
    if not _NEW_NAME.fullmatch(name):
        return _ILLEGAL_NAME
    found = reference.world.databases[database]
    if not found.taken(name):
        # [decision 0030] what an administrator creates is nobody's of before
        reference.policy.release(
            database, name, *(("", ()) if authorizer.unlimited else (authorizer.user, authorizer.bound))
        )
    code = reference.world.create_collection(database, name)
    if not code:
        for role, key in [*reference.policy.kept]:
            if (key.database, key.name) == (database, name):
                del reference.policy.kept[role, key]
    return _answered(code, database, [name])


def _drop_collection(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    database = database_of(step)
    name = reference.world.resolve(database, step.message.collection_name)
    if not authorizer.may("DropCollection", database, [name]):
        return DENIED
    found = reference.world.databases.get(database)
    if found is None:
        return NO_DATABASE
    # [decision 0027, Milvus 2.6] neither by an alias, nor while one stands for it
    if name != step.message.collection_name or name in found.aliases.values():
        return _ALIAS_CONFLICT
    code = reference.world.drop_collection(database, name)
    if not code:
        own = set() if authorizer.unlimited else authorizer.bound - {"public"}
        for role, grants in reference.policy.roles.items():
            for key in [key for key in grants if (key.database, key.name) == (database, name) and key.kind != "User"]:
                if role in own:
                    reference.policy.kept[role, key] = authorizer.user  # [decision 0030]
                else:
                    reference.policy.take(role, key)
    return _answered(code, database, [name])


def _rename_collection(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    database = database_of(step)
    target = step.message.newDBName or database
    old, new = reference.world.resolve(database, step.message.oldName), step.message.newName
    # [contract 4.2, decision 0007] old and new name; into another database the privilege is needed on every database
    if not authorizer.may("RenameCollection", database if target == database else ANY, [old, new]):
        return DENIED
    if database not in reference.world.databases:
        return NO_DATABASE
    if old != step.message.oldName:
        return _ALIAS_CONFLICT
    if not _NEW_NAME.fullmatch(new):
        return _ILLEGAL_NAME
    there = reference.world.databases[database].taken(old)
    goal = reference.world.databases.get(target)
    if there and not (goal and goal.taken(new)):
        reference.policy.release(target, new)
    code = reference.world.rename_collection((database, old), (target, new))
    if not code:
        _move(reference, (database, old), (target, new))
    return _answered(code, database, [old, target, new])


def _move(reference: Reference, source: tuple[str, str], target: tuple[str, str]) -> None:
    for role, grants in reference.policy.roles.items():
        for key in [key for key in grants if (key.database, key.name) == source and key.kind != "User"]:
            grantor = grants[key]
            reference.policy.take(role, key)
            reference.policy.give(role, key._replace(database=target[0], name=target[1]), grantor)


def _create_alias(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    database, alias = database_of(step), step.message.alias
    name = reference.world.resolve(database, step.message.collection_name)
    # [decision 0027] an alias is authorized as its target, an unused name as itself
    if not authorizer.may("CreateAlias", database, [name, reference.world.resolve(database, alias)]):
        return DENIED
    if database not in reference.world.databases:
        return NO_DATABASE
    if step.operation == "CreateAlias" and not _NEW_NAME.fullmatch(alias):
        return _ILLEGAL_NAME
    world = reference.world
    change = world.alter_alias if step.operation == "AlterAlias" else world.create_alias
    return _answered(change(database, alias, name), database, [alias, name])


def _drop_alias(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    database, alias = database_of(step), step.message.alias
    if not authorizer.may("DropAlias", database, [reference.world.resolve(database, alias)]):
        return DENIED
    if database not in reference.world.databases:
        return NO_DATABASE
    return _answered(reference.world.drop_alias(database, alias), database, [alias])


def _describe_alias(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    database, alias = database_of(step), step.message.alias
    name = reference.world.resolve(database, alias)
    if not authorizer.may("DescribeAlias", database, [name]):
        return DENIED
    found = reference.world.databases.get(database)
    if found is None:
        return NO_DATABASE
    if alias not in found.aliases:
        return _answered(1600, database, [alias])
    return _forwarded(database, [alias], (alias, name))


def _list_aliases(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    database, given = database_of(step), step.message.collection_name
    wanted = reference.world.resolve(database, given)
    if given and not authorizer.may("ListAliases", database, [wanted]):
        return DENIED
    if not authorizer.lists_database(database):
        return Outcome("ok", content=[])
    found = reference.world.databases.get(database)
    if found is None:
        return NO_DATABASE
    aliases = [
        alias
        for alias, name in found.aliases.items()
        if wanted in ("", name)
        if authorizer.lists_collection(database, name)
    ]
    return _forwarded(database, [wanted], aliases)


def _show_collections(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    database = database_of(step)
    if not authorizer.lists_database(database):
        return Outcome("ok", content=[])
    found = reference.world.databases.get(database)
    if found is None:
        return NO_DATABASE
    shown = [
        (name, number, number * 10, number * 100)
        for name, number in found.collections.items()
        if authorizer.lists_collection(database, name)
    ]
    return _forwarded(database, (), shown)


def _list_databases(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    shown = [(name, len(name)) for name in reference.world.databases if authorizer.lists_database(name)]
    return _forwarded(database_of(step), (), shown)


def _connect(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    known = step.database in reference.world.databases and authorizer.lists_database(step.database)
    return DONE if step.database in ("", "default") or known else NO_DATABASE


RULES: Final[dict[str, Rule]] = {
    **{operation: _on_collections(privilege) for operation, privilege in ON_ONE_COLLECTION.items()},
    **{operation: _on_collections("IndexDetail", visible=True) for operation in ANY_PRIVILEGE_SUFFICES},
    **{operation: _on_cluster(privilege) for operation, privilege in ON_THE_CLUSTER.items()},
    "HasCollection": _on_collections("DescribeCollection", visible=True),
    "DescribeCollection": _on_collections("DescribeCollection", visible=True),
    "BatchDescribeCollection": _on_collections("DescribeCollection", visible=True),
    "GetReplicas": _on_collections("GetLoadState"),
    "LoadBalance": _on_collections("LoadBalance"),
    "Flush": _on_collections("Flush"),
    "HybridSearch": _on_collections("Search"),
    "DescribeDatabase": _on_database("DescribeDatabase"),
    "AlterDatabase": _on_database("AlterDatabase"),
    "CreateDatabase": _create_database,
    "DropDatabase": _ending(_drop_database),
    "CreateCollection": _create_collection,
    "DropCollection": _ending(_drop_collection),
    "RenameCollection": _ending(_rename_collection),
    "CreateAlias": _create_alias,
    "AlterAlias": _create_alias,
    "DropAlias": _drop_alias,
    "DescribeAlias": _describe_alias,
    "ListAliases": _list_aliases,
    "ShowCollections": _telling(_show_collections),
    "ListDatabases": _list_databases,
    "Connect": _connect,
}
