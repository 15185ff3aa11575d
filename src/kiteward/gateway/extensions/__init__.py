"""What Kiteward adds to the protocol. Each operation is one row; there is no other way to them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kiteward.gateway.extensions import accounts, grants, keys, sessions, views
from kiteward.gateway.extensions.base import Extension

EXTENSIONS: Final[Mapping[str, Extension]] = MappingProxyType(
    {
        row.name: row
        for row in (*accounts.EXTENSIONS, *keys.EXTENSIONS, *grants.EXTENSIONS, *views.EXTENSIONS, *sessions.EXTENSIONS)
    }
)
"""Every extension by its name; a test proves that no name and no path stands twice, and that no RPC has one."""
