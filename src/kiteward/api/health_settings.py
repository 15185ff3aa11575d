"""The settings of the port for health and metrics."""

from dataclasses import dataclass
from typing import Final

DEFAULT_PORT: Final = 9091


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """The settings of the port.

    Attributes:
        enabled: whether it is opened; `kiteward.metrics.enabled`.
        host: address to listen on; `kiteward.metrics.host`.
        port: `kiteward.metrics.port`; 0 lets the system choose. None means 9091, as in Milvus, or 0 if the main port is
            0 too.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int | None = None

    def port_beside(self, port: int) -> int:
        """Return the port to listen on for a server whose main port is configured as `port`."""
        if self.port is not None:
            return self.port
        return DEFAULT_PORT if port else 0
