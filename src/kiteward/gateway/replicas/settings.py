"""The settings of a server among others on the same store."""

import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """How this server appears to the others, and how soon they go on without it.

    Attributes:
        name: its name for people, `kiteward.replicas.name`; empty for the name of the host.
        lease: `kiteward.replicas.lease`, in seconds.
    """

    name: str = ""
    lease: int = 3

    @property
    def shown(self) -> str:
        """The name, never empty."""
        return self.name or socket.gethostname()
