"""Reads the settings of token exchange."""

from collections.abc import Mapping

from kiteward.config.exchange_keys import KEYS_PER_SERVICE, LIFETIME, ROLES
from kiteward.config.reader import Reader
from kiteward.domain.errors import ConfigurationError
from kiteward.iam.settings import ExchangeRules


def exchange_rules(reader: Reader) -> ExchangeRules:
    """Return the rules of token exchange.

    Raises:
        ConfigurationError: an entry is no pair of a service and a role.
    """
    return ExchangeRules(
        _roles(reader.get(ROLES)), longest=reader.get(LIFETIME), per_service=reader.get(KEYS_PER_SERVICE)
    )


def _roles(entries: frozenset[str]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for entry in sorted(entries):
        service, _, role = (part.strip() for part in entry.partition("="))
        if not service or not role:
            raise ConfigurationError(
                f"{ROLES.name} takes pairs of a service and a role that it may hand out, such as `search-api=viewer`"
            )
        found.setdefault(service, set()).add(role)
    return {service: frozenset(roles) for service, roles in found.items()}
