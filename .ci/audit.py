"""`make audit`: holds every pinned version in `requirements/` against the advisories that pip-audit can reach.

Exit status: 0 nothing is known, 1 something is, 4 no source of advisories could be reached, or not for every pin.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

SERVICES: Final = ("pypi", "osv")
VULNERABLE: Final = 1
NO_SOURCE: Final = 4
_LOCKS: Final = Path(__file__).parents[1] / "requirements"

Report = Mapping[str, Any]
Ask = Callable[[str, Path], Report | None]
"""Asks a service about a lock; None where it could not be reached."""


@dataclass(slots=True)
class Verdict:
    """What is known of the pins.

    Attributes:
        audited: pins that a source knew.
        unknown: pins that none did.
        advisories: one line for each advisory that concerns a pin.
    """

    audited: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    advisories: set[str] = field(default_factory=set)

    @property
    def status(self) -> int:
        """The exit status."""
        if self.advisories:
            return VULNERABLE
        return NO_SOURCE if self.unknown or not self.audited else 0

    def add(self, report: Report) -> None:
        """Add what was reported of one lock."""
        for each in report["dependencies"]:
            if "skip_reason" in each:
                self.unknown.add(each["name"])
                continue
            pin = f"{each['name']} {each['version']}"
            self.audited.add(pin)
            for found in each["vulns"]:
                fixed = ", ".join(found["fix_versions"]) or "no version"
                self.advisories.add(f"{pin}: {found['id']}, fixed by {fixed}")

    def __str__(self) -> str:
        lines = sorted(self.advisories)
        if not self.audited:
            lines.append("no source of advisories can be reached from here: nothing was checked")
        elif self.unknown:
            lines.append(f"no source knows {', '.join(sorted(self.unknown))}: not checked")
        return "\n".join([*lines, f"{len(self.audited)} pins checked, {len(self.advisories)} advisories"])


def audit(locks: Iterable[Path], ask: Ask) -> Verdict:
    """Return what the first service knows that can be reached; the smallest lock tells which that is."""
    ordered = sorted(locks, key=lambda lock: lock.stat().st_size)
    for service in SERVICES:
        verdict = Verdict()
        for lock in ordered:
            report = ask(service, lock)
            if report is not None:
                verdict.add(report)
            if not verdict.audited:
                break
        if verdict.audited:
            return verdict
    return Verdict()


def pip_audit(service: str, lock: Path) -> Report | None:
    """Ask by pip-audit, which installs and resolves nothing."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own locks
    report: Report | None = json.loads(done.stdout) if done.stdout.startswith("{") else None
    return report


def main() -> int:
    """Check, print, and return the exit status."""
    verdict = audit(_LOCKS.glob("*.lock"), pip_audit)
    print(verdict)  # noqa: T201  the result
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
