"""The settings of the console."""

from dataclasses import dataclass, field

from kiteward.authn.local_sign_in import LocalSignIn
from kiteward.authn.sessions import SessionRules


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The settings of the console.

    Attributes:
        enabled: whether the console is enabled, `kiteward.console.enabled`.
        sessions: how long sessions last, `kiteward.console.idleTimeout` and `sessionLifetime`.
        local_sign_in: who signs in with a password, `kiteward.console.localSignIn`.
        address: scheme and host at which browsers find the server, `kiteward.console.address`; empty for those of each
            request.
    """

    enabled: bool = True
    sessions: SessionRules = field(default_factory=SessionRules)
    local_sign_in: LocalSignIn = LocalSignIn.EVERYONE
    address: str = ""
