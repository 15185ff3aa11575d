"""Filters responses that list objects, and creates those for objects that are hidden (contract 4.9).

Rows of the operation table name these functions. A filter is called for principals who may not see everything. It
returns the engine's response byte for byte where nothing is removed.
"""

from collections.abc import Sequence
from typing import Final

from kiteward.authz.policy import PolicySnapshot, listed_collections, listed_databases
from kiteward.domain.errors import EngineResponseUnreadable
from kiteward.domain.identity import Principal
from kiteward.gateway.catalog import Catalog, NamesUnknown
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.milvus import messages

_COLLECTION_COLUMNS: Final = (
    "collection_names",
    "collection_ids",
    "created_timestamps",
    "created_utc_timestamps",
    "inMemory_percentages",
    "query_service_available",
    "shards_num",
)
_DATABASE_COLUMNS: Final = ("db_names", "created_timestamp", "db_ids")


def _keep(message: messages.ProtocolMessage, columns: Sequence[str], kept: Sequence[bool]) -> bytes:
    """Remove entries from parallel columns; a column that the engine left empty stays empty.

    Raises:
        EngineResponseUnreadable: a column has another length than the names have.
    """
    for name in columns:
        column = getattr(message, name)
        if len(column) not in (0, len(kept)):
            raise EngineResponseUnreadable(f"the engine's list has another number of {name} than of names")
        values = [value for value, keep in zip(column, kept, strict=True) if keep] if len(column) else []
        del column[:]
        column.extend(values)
    return bytes(message.SerializeToString())


def collections(
    answer: bytes, principal: Principal, snapshot: PolicySnapshot, resolved: ResolvedRequest, _: Catalog
) -> bytes:
    """Filter the response of ShowCollections."""
    message = messages.read_response(messages.ShowCollectionsResponse, answer)
    kept = listed_collections(principal, resolved.database, list(message.collection_names), snapshot)
    return answer if all(kept) else _keep(message, _COLLECTION_COLUMNS, kept)


def databases(answer: bytes, principal: Principal, snapshot: PolicySnapshot, _: ResolvedRequest, __: Catalog) -> bytes:
    """Filter the response of ListDatabases."""
    message = messages.read_response(messages.ListDatabasesResponse, answer)
    kept = listed_databases(principal, list(message.db_names), snapshot)
    return answer if all(kept) else _keep(message, _DATABASE_COLUMNS, kept)


def aliases(
    answer: bytes, principal: Principal, snapshot: PolicySnapshot, resolved: ResolvedRequest, catalog: Catalog
) -> bytes:
    """Filter the response of ListAliases: an alias is shown with its collection."""
    message = messages.read_response(messages.ListAliasesResponse, answer)
    targets = [_behind(catalog, resolved.database, alias) for alias in message.aliases]
    kept = listed_collections(principal, resolved.database, targets, snapshot)
    return answer if all(kept) else _keep(message, ("aliases",), kept)


def _behind(catalog: Catalog, database: str, alias: str) -> str:
    """Return the collection of an alias; one that the catalog does not hold yet is on nothing that anybody may see."""
    try:
        return catalog.resolve(database, alias)
    except NamesUnknown:
        return ""


def describes_behind_alias(answer: bytes, resolved: ResolvedRequest) -> bool:
    """Return whether a response of DescribeCollection is about the collection behind the name that was forwarded."""
    message = messages.read_response(messages.DescribeCollectionResponse, answer)
    return any(name in message.aliases for name in resolved.collections)


def has_no_collection(_: ResolvedRequest) -> bytes:
    """Return the response of HasCollection for a collection that does not exist."""
    return bytes(messages.BoolResponse(status=messages.Status(), value=False).SerializeToString())


def collection_not_found(resolved: ResolvedRequest) -> bytes:
    """Return the response of DescribeCollection for a collection that does not exist."""
    # The name as given: the collection behind an alias must not be revealed.
    name = resolved.fields["collection_name"]
    return messages.failure(
        "DescribeCollection",
        code=messages.COLLECTION_NOT_FOUND,
        legacy_code=messages.LEGACY_COLLECTION_NOT_EXISTS,
        reason=f"collection not found[database={resolved.database}][collection={name}]",
    )
