"""What can be set about the console."""

from dataclasses import dataclass, field

from kiteward.authn.sessions import SessionRules


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Switches and limits of the console.

    Attributes:
        enabled: whether it is offered, `kiteward.console.enabled`.
        sessions: how long they last, `kiteward.console.idleTimeout` and `sessionLifetime`.
    """

    enabled: bool = True
    sessions: SessionRules = field(default_factory=SessionRules)
