"""Every operation there is: the RPCs of the protocol and our own, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kiteward.gateway.operations import OPERATIONS, Operation
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import AdminOperation

Row = Operation | AdminOperation

ROWS: Final[Mapping[str, Row]] = MappingProxyType({**OPERATIONS, **ADMIN_OPERATIONS})
"""What has no row is unknown and refused."""
