"""What the metrics read, of a server that has done nothing."""

from typing import Any

from kiteward.audit.writer import AuditState
from kiteward.telemetry.metrics import Sources
from kiteward.telemetry.telemetry import Telemetry


def sources(telemetry: Telemetry | None = None, **others: Any) -> Sources:
    """Return sources, some of them others than those of a server that has done nothing."""
    nothing: dict[str, Any] = {
        "authentications": dict,
        "connections": dict,
        "refused": dict,
        "held": dict,
        "generation": lambda: 0,
        "engine_ready": lambda: False,
        "revision": lambda: None,
        "audit": AuditState,
        "limited": dict,
    }
    return Sources(telemetry or Telemetry(), **(nothing | others))
