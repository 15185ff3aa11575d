"""What holds for every test: how many examples Hypothesis tries, what runs together, what CI demands, a PostgreSQL."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from tests.support import postgresql
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# No example has a deadline: machines that run several things at once would fail it by chance. pytest-timeout guards.
settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True, print_blob=True)
settings.register_profile("long", deadline=None, max_examples=20_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("TESTS_HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgresql.Cluster]:
    """A PostgreSQL for all tests of this process; a test that stops or halts it starts it again."""
    with postgresql.running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def migrated(cluster: postgresql.Cluster) -> str:
    """The options of a database that has the tables already: making them takes a while."""
    return cluster.migrate_template()


TOGETHER: Final = ("tests/identity_providers/",)
"""Folders whose files run in one process, behind one another: they share what takes long to start."""


class FilesAndFolders(LoadFileScheduling):  # type: ignore[misc]  # it comes without types
    """Gives a process a file at a time, or a whole folder of `TOGETHER`."""

    def _split_scope(self, nodeid: str) -> str:
        found = (folder for folder in TOGETHER if nodeid.startswith(folder))
        return next(found, super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Keep what `TOGETHER` names together where files are what processes get."""
    return FilesAndFolders(config, log) if config.getvalue("dist") == "loadfile" else None


TAKES_HEAVY_ONES: Final[Mapping[str, bool]] = {"not heavy": False, "heavy": True}
"""Selections of which one takes what the other leaves out: `make test` and `make test-heavy`."""


class OmissionsAreFailures:
    """Fails a run in which a test was skipped or deselected: a check that did not run has proved nothing."""

    def __init__(self) -> None:
        self._omitted: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a skipped test; an expected failure is reported as skipped too, and is none."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._remember(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember a skipped module."""
        if report.skipped:
            self._remember(report)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Remember the tests that `-k`, `-m` or `--deselect` leaves out, but for those that the other run takes."""
        self._omitted.update((item.nodeid, "deselected") for item in items if not _is_for_the_other_run(item))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take over what a worker of pytest-xdist has left out: it reports skips by itself, and nothing else."""
        self._omitted |= getattr(node, "workeroutput", {}).get("omitted", {})

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn success into failure if anything was left out; a worker hands that over instead."""
        worker_output = getattr(session.config, "workeroutput", None)
        if worker_output is not None:
            worker_output["omitted"] = self._omitted
        elif self._omitted and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Report what was left out, and why."""
        if self._omitted:
            terminalreporter.section("skipped or deselected, which fails this run (TESTS_CI=1)", red=True)
        for nodeid, reason in sorted(self._omitted.items()):
            terminalreporter.line(f"{nodeid}: {reason}")

    def _remember(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        place = report.longrepr
        self._omitted[report.nodeid] = str(place[2]) if isinstance(place, tuple) else str(place)


def _is_for_the_other_run(item: pytest.Item) -> bool:
    takes = TAKES_HEAVY_ONES.get(item.config.option.markexpr)
    return takes is not None and takes != (item.get_closest_marker("heavy") is not None)


def pytest_configure(config: pytest.Config) -> None:
    """Count what is left out where the environment is known to be complete."""
    if os.environ.get("TESTS_CI") == "1":
        config.pluginmanager.register(OmissionsAreFailures(), "omissions-are-failures")
