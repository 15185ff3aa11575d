"""The settings of the console."""

from dataclasses import dataclass, field

from kiteward.authn.local_sign_in import LocalSignIn
from kiteward.authn.second_factor.rules import SecondFactorRules
from kiteward.authn.session_rules import SessionRules
from kiteward.domain.identity import Secret


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The settings of the console.

    Attributes:
        enabled: whether the console is enabled, `kiteward.console.enabled`.
        sessions: how long sessions last, `kiteward.console.idleTimeout` and `sessionLifetime`.
        local_sign_in: who signs in with a password, `kiteward.console.localSignIn`.
        address: scheme and host at which browsers find the server, `kiteward.console.address`; empty for those of each
            request.
        factors: who must have a second factor, and for which pages passkeys are, `kiteward.console.secondFactor` and
            `passkeys`.
        factor_key: what seals the secrets of authenticator apps, `kiteward.console.factorKey` or `factorKeyFile`; empty
            for none.
    """

    enabled: bool = True
    sessions: SessionRules = field(default_factory=SessionRules)
    local_sign_in: LocalSignIn = LocalSignIn.EVERYONE
    address: str = ""
    factors: SecondFactorRules = field(default_factory=SecondFactorRules)
    factor_key: Secret = field(default_factory=lambda: Secret(""))
