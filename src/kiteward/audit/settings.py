"""The settings of the audit trail."""

from dataclasses import dataclass
from pathlib import Path

from kiteward.audit.exports.settings import OtlpSettings, SyslogSettings


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What is recorded, where, and for how long.

    Attributes:
        enabled: whether there is a trail; `kiteward.audit.enabled`.
        data_operations: whether data operations that were allowed are in it; `kiteward.audit.dataOperations`.
        keep_days: days of uptime that a line is kept, 0 for ever; `kiteward.audit.keepDays`.
        directory: the directory of the trail; `kiteward.audit.directory`; None is `audit` in the data directory.
        syslog: where its lines are sent as syslog, `kiteward.audit.syslog`; None sends none.
        otlp: where its lines are sent as logs of OpenTelemetry, `kiteward.audit.otlp`; None sends none.
    """

    enabled: bool = True
    data_operations: bool = True
    keep_days: int = 90
    directory: Path | None = None
    syslog: SyslogSettings | None = None
    otlp: OtlpSettings | None = None

    def place(self, data_dir: Path) -> Path:
        """Return the directory of the trail of a server with this data directory."""
        return (self.directory or data_dir / "audit").absolute()
