"""Trims list answers to what the principal may see, and answers for objects it may not learn of (contract 4.9)."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from kiteward.authz.policy import PolicySnapshot, listed_collections, listed_databases
from kiteward.domain.identity import Principal
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.resolve import ResolvedRequest
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


def filter_response(
    operation: str,
    answer: bytes,
    principal: Principal,
    snapshot: PolicySnapshot,
    resolved: ResolvedRequest,
    catalog: Catalog,
) -> bytes:
    """Return the engine's answer without what the principal may not see.

    Answers that list nothing stay byte for byte.
    """
    trimmer = FILTERED_OPERATIONS.get(operation)
    if trimmer is None or principal.unrestricted:
        return answer
    return trimmer(answer, principal, snapshot, resolved, catalog)


def _keep(message: Any, columns: Sequence[str], kept: Sequence[bool]) -> bytes:
    """Reduce parallel columns in step; a column the engine left empty stays empty."""
    for name in columns:
        column = getattr(message, name)
        values = [value for value, keep in zip(column, kept, strict=True) if keep] if len(column) else []
        del column[:]
        column.extend(values)
    return bytes(message.SerializeToString())


def _collections(
    answer: bytes, principal: Principal, snapshot: PolicySnapshot, resolved: ResolvedRequest, _: Catalog
) -> bytes:
    message = messages.ShowCollectionsResponse.FromString(answer)
    kept = listed_collections(principal, resolved.database, list(message.collection_names), snapshot)
    return answer if all(kept) else _keep(message, _COLLECTION_COLUMNS, kept)


def _databases(answer: bytes, principal: Principal, snapshot: PolicySnapshot, _: ResolvedRequest, __: Catalog) -> bytes:
    message = messages.ListDatabasesResponse.FromString(answer)
    kept = listed_databases(principal, list(message.db_names), snapshot)
    return answer if all(kept) else _keep(message, _DATABASE_COLUMNS, kept)


def _aliases(
    answer: bytes, principal: Principal, snapshot: PolicySnapshot, resolved: ResolvedRequest, catalog: Catalog
) -> bytes:
    message = messages.ListAliasesResponse.FromString(answer)
    targets = [catalog.resolve(resolved.database, alias) for alias in message.aliases]
    kept = listed_collections(principal, resolved.database, targets, snapshot)
    return answer if all(kept) else _keep(message, ("aliases",), kept)


FILTERED_OPERATIONS: Final[
    Mapping[str, Callable[[bytes, Principal, PolicySnapshot, ResolvedRequest, Catalog], bytes]]
] = MappingProxyType({"ShowCollections": _collections, "ListDatabases": _databases, "ListAliases": _aliases})
"""Operations whose answers list objects."""


def not_found_response(operation: str, resolved: ResolvedRequest) -> bytes | None:
    """Return the answer for a collection the principal may not learn of: the one for a collection that does not exist.

    Returns:
        The answer, or None where an operation is refused openly instead.
    """
    if operation == "HasCollection":
        return bytes(messages.BoolResponse(status=messages.Status(), value=False).SerializeToString())
    if operation == "DescribeCollection":
        # The name as it was given: behind an alias stands a collection that is not to be told.
        name = resolved.fields["collection_name"]
        return messages.failure(
            operation,
            code=messages.COLLECTION_NOT_FOUND,
            legacy_code=messages.LEGACY_COLLECTION_NOT_EXISTS,
            reason=f"collection not found[database={resolved.database}][collection={name}]",
        )
    return None


def empty_response(operation: str) -> bytes:
    """Return the answer of a list operation that lists nothing."""
    return messages.success(operation)
