"""The table of all REST endpoints, by path."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final

from kiteward.api.rest import (
    admin_api,
    aliases,
    alter_collection,
    cluster,
    collections,
    create_collection,
    databases,
    entities,
    indexes,
    jobs,
    partitions,
    privilege_groups,
    roles,
    searches,
    token_endpoint,
    users,
)
from kiteward.api.rest.endpoints import Endpoint, Table


def table_of(endpoints: Iterable[Endpoint[Any]]) -> Table:
    """Return the endpoints by full path.

    Raises:
        ValueError: two have the same path.
    """
    table: dict[str, Endpoint[Any]] = {}
    for endpoint in endpoints:
        path = f"{endpoint.prefix}{endpoint.path}"
        if path in table:
            raise ValueError(f"endpoint `{endpoint.path}` is in the table twice")
        table[path] = endpoint
    return MappingProxyType(table)


TABLE: Final = table_of(
    (
        *users.ENDPOINTS,
        *roles.ENDPOINTS,
        *privilege_groups.ENDPOINTS,
        *databases.ENDPOINTS,
        *collections.ENDPOINTS,
        *create_collection.ENDPOINTS,
        *alter_collection.ENDPOINTS,
        *partitions.ENDPOINTS,
        *indexes.ENDPOINTS,
        *aliases.ENDPOINTS,
        *entities.ENDPOINTS,
        *searches.ENDPOINTS,
        *jobs.ENDPOINTS,
        *cluster.ENDPOINTS,
        *admin_api.ENDPOINTS,
        *token_endpoint.ENDPOINTS,
    )
)
"""Every endpoint."""
