"""The settings of the console."""

from dataclasses import dataclass, field

from kiteward.authn.sessions import SessionRules


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The settings of the console.

    Attributes:
        enabled: whether the console is enabled, `kiteward.console.enabled`.
        sessions: how long sessions last, `kiteward.console.idleTimeout` and `sessionLifetime`.
    """

    enabled: bool = True
    sessions: SessionRules = field(default_factory=SessionRules)
