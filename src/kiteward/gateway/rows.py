"""Every operation there is: the RPCs of the protocol and our own, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kiteward.gateway.extensions import ADMIN_OPERATIONS
from kiteward.gateway.extensions.base import AdminOperation
from kiteward.gateway.operations import OPERATIONS, Operation

Row = Operation | AdminOperation

ROWS: Final[Mapping[str, Row]] = MappingProxyType({**OPERATIONS, **ADMIN_OPERATIONS})
"""What has no row is unknown and refused."""
