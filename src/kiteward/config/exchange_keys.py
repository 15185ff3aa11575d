"""The rows of the settings of token exchange."""

from typing import Final

from kiteward.config.key import Key
from kiteward.config.kinds import Names, Number
from kiteward.iam.settings import ExchangeRules

_DEFAULTS: Final = ExchangeRules()
_LONGEST: Final = 24 * 3600
_MOST_KEYS: Final = 1_000_000

KEYS_PER_SERVICE: Final[Key[int]] = Key(
    "kiteward.tokenExchange.maxKeysPerService",
    Number("number", 1, _MOST_KEYS),
    _DEFAULTS.per_service,
    "maximum number of keys of one service by token exchange that have not expired",
)
LIFETIME: Final[Key[int]] = Key(
    "kiteward.tokenExchange.maxLifetime",
    Number("seconds", 1, _LONGEST),
    _DEFAULTS.longest,
    "longest life of a key by token exchange; it never outlives the credentials that it came of",
)
ROLES: Final[Key[frozenset[str]]] = Key(
    "kiteward.tokenExchange.roles",
    Names("service=role, several"),
    frozenset(),
    "roles that services may hand out by token exchange; * for every role but admin",
    unset="none",
)
