"""Which RPCs change a collection or the catalogue, and which locks each of them holds meanwhile."""

from collections.abc import Callable
from typing import Any

from kiteward.engine.embedded.database import ServedDatabase

# (database, collection). The catalogue of a database is locked by the empty collection name, which sorts first.
LockKey = tuple[str, str]
LockKeys = Callable[[ServedDatabase, str, Any], set[LockKey]]


def _collection(database: ServedDatabase, name: str, request: Any) -> set[LockKey]:
    return {_resolved(database, name, request.collection_name)}


def _named_collections(database: ServedDatabase, name: str, request: Any) -> set[LockKey]:
    return {_resolved(database, name, collection) for collection in request.collection_names}


def _catalogue(_database: ServedDatabase, name: str, _request: Any) -> set[LockKey]:
    return {(name, "")}


def _collection_and_catalogue(database: ServedDatabase, name: str, request: Any) -> set[LockKey]:
    return {(name, ""), (name, request.collection_name), _resolved(database, name, request.collection_name)}


def _both_names(database: ServedDatabase, name: str, request: Any) -> set[LockKey]:
    return {(name, ""), _resolved(database, name, request.oldName), (name, request.newName)}


def _alias(database: ServedDatabase, name: str, request: Any) -> set[LockKey]:
    """Return the locks of an alias, of its target and of its new target.

    A write through an alias holds its target, so the target cannot change midway.
    """
    keys = {(name, ""), (name, request.alias), _resolved(database, name, request.alias)}
    if "collection_name" in request.DESCRIPTOR.fields_by_name:
        keys.add(_resolved(database, name, request.collection_name))
    return keys


def _every_collection(database: ServedDatabase, name: str, _request: Any) -> set[LockKey]:
    """Return the locks of every collection and of the catalogue, so that none is created meanwhile."""
    collections = database.list_collections(database_name=name) if database.is_known(name) else []
    return {(name, ""), *((name, collection) for collection in collections)}


def _resolved(database: ServedDatabase, name: str, collection: str) -> LockKey:
    if not database.is_known(name):
        return (name, collection)
    return (name, database.resolve_collection_name(collection, database_name=name))


# INVARIANT: every RPC of the servicer that writes is here. What is not here runs beside writers, as a read.
MUTATIONS: dict[str, LockKeys] = {
    "Insert": _collection,
    "Upsert": _collection,
    "Delete": _collection,
    "Flush": _named_collections,
    "FlushAll": _every_collection,
    "CreateIndex": _collection,
    "DropIndex": _collection,
    "LoadCollection": _collection,
    "ReleaseCollection": _collection,
    "CreatePartition": _collection,
    "DropPartition": _collection,
    "AlterCollection": _collection,
    "TruncateCollection": _collection_and_catalogue,
    "CreateCollection": _collection_and_catalogue,
    "DropCollection": _collection_and_catalogue,
    "RenameCollection": _both_names,
    "CreateAlias": _alias,
    "AlterAlias": _alias,
    "DropAlias": _alias,
    "CreateDatabase": _catalogue,
    "DropDatabase": _catalogue,
    "AlterDatabase": _catalogue,
}

READS: frozenset[str] = frozenset(
    {
        "AllocTimestamp",
        "CheckHealth",
        "Connect",
        "DescribeAlias",
        "DescribeCollection",
        "DescribeDatabase",
        "DescribeIndex",
        "GetCollectionStatistics",
        "GetCompactionState",
        "GetCompactionStateWithPlans",
        "GetFlushAllState",
        "GetFlushState",
        "GetIndexBuildProgress",
        "GetIndexState",
        "GetIndexStatistics",
        "GetLoadState",
        "GetLoadingProgress",
        "GetPartitionStatistics",
        "GetPersistentSegmentInfo",
        "GetQuerySegmentInfo",
        "GetReplicas",
        "GetVersion",
        "HasCollection",
        "HasPartition",
        "HybridSearch",
        "ListAliases",
        "ListDatabases",
        "LoadPartitions",
        "ManualCompaction",
        "Query",
        "ReleasePartitions",
        "Search",
        "ShowCollections",
        "ShowPartitions",
    }
)

ON_THE_LOOP: frozenset[str] = frozenset({"AllocTimestamp", "HasCollection"})
"""Reads that take less time than handing them to a thread.

They read names at most, open no file, and take no lock once the aliases of a database have been read.
"""
