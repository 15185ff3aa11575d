"""Kiteward's own operations: typed arguments and outcomes, for REST, console and command line.

Each operation is one row, whose function calls a service of `kiteward.iam`. No rule of identity management belongs
here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kiteward.iam.json_api import (
    access,
    accounts,
    audit,
    grants,
    identities,
    issuers,
    keys,
    limits,
    many,
    missing,
    overview,
    policy,
    privilege_groups,
    role_details,
    roles,
    row_policies,
    row_preview,
    scim,
    second_factors,
    server,
    sessions,
    tags,
    token_exchange,
    unused,
    views,
)
from kiteward.iam.json_api.base import AdminOperation

TOPICS: Final = (
    access,
    missing,
    unused,
    accounts,
    audit,
    grants,
    identities,
    issuers,
    policy,
    row_policies,
    row_preview,
    tags,
    limits,
    keys,
    role_details,
    roles,
    privilege_groups,
    many,
    scim,
    token_exchange,
    server,
    overview,
    sessions,
    second_factors,
    views,
)
"""The modules that declare operations."""

ADMIN_OPERATIONS: Final[Mapping[str, AdminOperation]] = MappingProxyType(
    {row.name: row for topic in TOPICS for row in topic.ADMIN_OPERATIONS}
)
"""Every operation by name. A test checks that names and paths are unique, and that no RPC has such a name."""
