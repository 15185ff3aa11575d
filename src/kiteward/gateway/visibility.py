"""Trims list answers to what the principal may see, and answers for objects it may not learn of (contract 4.9)."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from kiteward.domain.identity import Principal
from kiteward.domain.policy import PolicySnapshot, listed_collections, listed_databases
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.settling import Settled
from kiteward.wire import messages

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


def trim(
    operation: str, answer: bytes, principal: Principal, snapshot: PolicySnapshot, settled: Settled, catalog: Catalog
) -> bytes:
    """Return the engine's answer without what the principal may not see.

    Answers that list nothing stay byte for byte.
    """
    trimmer = TRIMMED.get(operation)
    if trimmer is None or principal.unrestricted:
        return answer
    return trimmer(answer, principal, snapshot, settled, catalog)


def _keep(message: Any, columns: Sequence[str], kept: Sequence[bool]) -> bytes:
    """Reduce parallel columns in step; a column the engine left empty stays empty."""
    for name in columns:
        column = getattr(message, name)
        values = [value for value, keep in zip(column, kept, strict=True) if keep] if len(column) else []
        del column[:]
        column.extend(values)
    return bytes(message.SerializeToString())


def _collections(answer: bytes, principal: Principal, snapshot: PolicySnapshot, settled: Settled, _: Catalog) -> bytes:
    message = messages.ShowCollectionsResponse.FromString(answer)
    kept = listed_collections(principal, settled.database, list(message.collection_names), snapshot)
    return answer if all(kept) else _keep(message, _COLLECTION_COLUMNS, kept)


def _databases(answer: bytes, principal: Principal, snapshot: PolicySnapshot, _: Settled, __: Catalog) -> bytes:
    message = messages.ListDatabasesResponse.FromString(answer)
    kept = listed_databases(principal, list(message.db_names), snapshot)
    return answer if all(kept) else _keep(message, _DATABASE_COLUMNS, kept)


def _aliases(
    answer: bytes, principal: Principal, snapshot: PolicySnapshot, settled: Settled, catalog: Catalog
) -> bytes:
    message = messages.ListAliasesResponse.FromString(answer)
    targets = [catalog.resolve(settled.database, alias) for alias in message.aliases]
    kept = listed_collections(principal, settled.database, targets, snapshot)
    return answer if all(kept) else _keep(message, ("aliases",), kept)


TRIMMED: Final[Mapping[str, Callable[[bytes, Principal, PolicySnapshot, Settled, Catalog], bytes]]] = MappingProxyType(
    {"ShowCollections": _collections, "ListDatabases": _databases, "ListAliases": _aliases}
)
"""Operations whose answers list objects."""


def absent(operation: str, settled: Settled) -> bytes | None:
    """Return the answer for a collection the principal may not learn of: the one for a collection that does not exist.

    Returns:
        The answer, or None where an operation is refused openly instead.
    """
    if operation == "HasCollection":
        return bytes(messages.BoolResponse(status=messages.Status(), value=False).SerializeToString())
    if operation == "DescribeCollection":
        # The name as it was given: behind an alias stands a collection that is not to be told.
        name = settled.fields["collection_name"]
        return messages.failure(
            operation,
            code=messages.COLLECTION_NOT_FOUND,
            legacy_code=messages.LEGACY_COLLECTION_NOT_EXISTS,
            reason=f"collection not found[database={settled.database}][collection={name}]",
        )
    return None


def empty(operation: str) -> bytes:
    """Return the answer of a list operation that lists nothing."""
    return messages.success(operation)
