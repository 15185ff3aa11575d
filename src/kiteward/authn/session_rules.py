"""How long sessions of the console may last."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How long a session may last, and how many there may be.

    Attributes:
        idle: seconds without a request after which it ends, `kiteward.console.idleTimeout`.
        lifetime: seconds after which it ends in any case, `kiteward.console.sessionLifetime`.
        per_user: most sessions of one user; a further one ends the one that was idle longest.
        total: most sessions of all users.
    """

    idle: float = 30 * 60
    lifetime: float = 12 * 3600
    per_user: int = 50
    total: int = 10_000

    def ends_at(self, began_at: float, used_at: float) -> float:
        """Return when a session expires if it is not used again.

        Args:
            began_at: when it began, in seconds since the epoch.
            used_at: when it was last used.
        """
        return min(used_at + self.idle, began_at + self.lifetime)
