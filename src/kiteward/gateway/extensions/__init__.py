"""What Kiteward adds to the protocol. Each operation is one row; there is no other way to them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kiteward.gateway.extensions import access, accounts, audit, grants, keys, server, sessions, unused, views
from kiteward.gateway.extensions.base import AdminOperation

TOPICS: Final = (access, unused, accounts, audit, grants, keys, server, sessions, views)
"""The rooms of the extensions."""

ADMIN_OPERATIONS: Final[Mapping[str, AdminOperation]] = MappingProxyType(
    {row.name: row for topic in TOPICS for row in topic.ADMIN_OPERATIONS}
)
"""Every extension by its name; a test proves that no name and no path stands twice, and that no RPC has one."""
