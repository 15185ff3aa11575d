"""The settings of identity management."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LONGEST_LIFE: Final = 10 * 366 * 24 * 3600
"""Most seconds until an API key expires."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The configured limits of users and roles.

    Attributes:
        users: `proxy.maxUserNum`, `root` included.
        roles: `proxy.maxRoleNum`, `admin` and `public` included.
    """

    users: int = 100_000
    roles: int = 10_000


@dataclass(frozen=True, slots=True)
class KeyRules:
    """The rules for new API keys.

    Attributes:
        per_user: most keys of one user, `kiteward.apiKeys.maxPerUser`.
        default_lifetime: seconds until a key expires that is created without an expiry, from
            `kiteward.apiKeys.defaultExpiry`; None if it does not expire.
    """

    per_user: int = 100
    default_lifetime: int | None = None


EVERY_ROLE: Final = "*"
"""Stands for every role but `admin` among those that a service may hand out."""


@dataclass(frozen=True, slots=True)
class ExchangeRules:
    """The rules for exchanging credentials of users for short-lived API keys.

    Attributes:
        roles: service -> the roles that it may hand out, `kiteward.tokenExchange.roles`; a service that is not in it
            gets no key.
        longest: most seconds until such a key expires, `kiteward.tokenExchange.maxLifetime`.
        per_service: most keys of one service that have not expired, `kiteward.tokenExchange.maxKeysPerService`.
    """

    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    longest: int = 900
    per_service: int = 1_000
