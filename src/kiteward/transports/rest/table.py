"""The REST table: every endpoint by its path."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final

from kiteward.transports.rest import (
    aliases,
    altering,
    cluster,
    collections,
    creating,
    databases,
    entities,
    extensions,
    indexes,
    jobs,
    partitions,
    privilege_groups,
    roles,
    searches,
    users,
)
from kiteward.transports.rest.endpoints import Endpoint, Table


def table_of(endpoints: Iterable[Endpoint[Any]]) -> Table:
    """Return endpoints by full path.

    Raises:
        ValueError: two have the same path.
    """
    table: dict[str, Endpoint[Any]] = {}
    for endpoint in endpoints:
        path = f"{endpoint.prefix}{endpoint.path}"
        if path in table:
            raise ValueError(f"endpoint `{endpoint.path}` stands twice in the table")
        table[path] = endpoint
    return MappingProxyType(table)


TABLE: Final = table_of(
    (
        *users.ENDPOINTS,
        *roles.ENDPOINTS,
        *privilege_groups.ENDPOINTS,
        *databases.ENDPOINTS,
        *collections.ENDPOINTS,
        *creating.ENDPOINTS,
        *altering.ENDPOINTS,
        *partitions.ENDPOINTS,
        *indexes.ENDPOINTS,
        *aliases.ENDPOINTS,
        *entities.ENDPOINTS,
        *searches.ENDPOINTS,
        *jobs.ENDPOINTS,
        *cluster.ENDPOINTS,
        *extensions.ENDPOINTS,
    )
)
"""Every endpoint."""
