"""All operations by name: the RPCs of the protocol and our own."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kiteward.gateway.operations import OPERATIONS, Operation
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import AdminOperation

Row = Operation | AdminOperation

ROWS: Final[Mapping[str, Row]] = MappingProxyType({**OPERATIONS, **ADMIN_OPERATIONS})
"""Operations without a row are refused."""
