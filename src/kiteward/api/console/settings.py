"""The settings of the console."""

from dataclasses import dataclass, field

from kiteward.authn.second_factor.rules import SecondFactorRules
from kiteward.authn.sessions import SessionRules
from kiteward.domain.identity import Secret


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The settings of the console.

    Attributes:
        enabled: whether the console is enabled, `kiteward.console.enabled`.
        sessions: how long sessions last, `kiteward.console.idleTimeout` and `sessionLifetime`.
        factors: who must have a second factor, and for which pages passkeys are, `kiteward.console.secondFactor` and
            `passkeys`.
        factor_key: what seals the secrets of authenticator apps, `kiteward.console.factorKey` or `factorKeyFile`; empty
            for none.
    """

    enabled: bool = True
    sessions: SessionRules = field(default_factory=SessionRules)
    factors: SecondFactorRules = field(default_factory=SecondFactorRules)
    factor_key: Secret = field(default_factory=lambda: Secret(""))
