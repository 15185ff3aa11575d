"""The RPCs that the gateway sends to an engine, by the operation table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kiteward.engine.base import Access
from kiteward.gateway.operations import OPERATIONS

ENGINE_RPCS: Final[Mapping[str, Access]] = MappingProxyType(
    {row.name: row.access for row in OPERATIONS.values() if row.by_engine}
)
"""The RPCs that the gateway sends to an engine -> what each does to stored data."""
