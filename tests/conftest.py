"""What holds for every test: how hard Hypothesis tries, and that nothing is skipped where everything is installed."""

import os

import pytest
from hypothesis import HealthCheck, settings

# No example has a deadline: machines that run several things at once would fail it by chance. pytest-timeout guards.
settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, max_examples=200, derandomize=True, print_blob=True)
settings.register_profile("long", deadline=None, max_examples=20_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("KITEWARD_HYPOTHESIS_PROFILE", "default"))


class SkipsAreFailures:
    """Fails a run in which anything was skipped: a check that did not run has proved nothing."""

    def __init__(self) -> None:
        self._skipped: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a skipped test; an expected failure is reported as skipped too, and is none."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._remember(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember a skipped module."""
        if report.skipped:
            self._remember(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn success into failure if anything was skipped."""
        if self._skipped and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was skipped, and why."""
        if self._skipped:
            terminalreporter.section("skipped, which fails this run (KITEWARD_CI=1)", red=True)
        for nodeid, reason in sorted(self._skipped.items()):
            terminalreporter.line(f"{nodeid}: {reason}")

    def _remember(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        place = report.longrepr
        self._skipped[report.nodeid] = str(place[2]) if isinstance(place, tuple) else str(place)


def pytest_configure(config: pytest.Config) -> None:
    """Count skips where the environment is known to be complete."""
    if os.environ.get("KITEWARD_CI") == "1":
        config.pluginmanager.register(SkipsAreFailures(), "skips-are-failures")
