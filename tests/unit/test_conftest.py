"""With TESTS_CI=1 a run fails that skips a test, or deselects one that no other run takes. Expected failures may be."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

pytest_plugins: Final = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"

SKIPPED_TEST = """
import pytest

@pytest.mark.skip(reason="no such machine")
def test_skipped(): ...
"""
SKIPPED_MODULE = """
import pytest

pytest.importorskip("no_such_library")
"""
EXPECTED_FAILURE = """
import pytest

@pytest.mark.xfail
def test_fails_as_expected():
    assert False

def test_passes(): ...
"""


PASSING_TESTS = """
import pytest

@pytest.mark.slow
def test_slow(): ...

def test_named(): ...

def test_listed(): ...

def test_fast(): ...
"""
HEAVY_TESTS = """
import pytest

@pytest.mark.heavy
def test_heavy(): ...

def test_light(): ...

def test_broken_link(): ...
"""


Run = Callable[..., tuple[int, str]]
"""Runs pytest over a test module, and returns its status and what it printed."""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs pytest in this process, and where several are wanted, in processes of its own."""

    def run_pytest(test: str, *arguments: str, ci: bool, processes: int = 0) -> tuple[int, str]:
        shutil.copy(CONFTEST, pytester.path / "conftest.py")
        (pytester.path / "pytest.ini").write_text("[pytest]\nmarkers =\n  slow\n  heavy\n", "utf-8")
        (pytester.path / "test_it.py").write_text(test, "utf-8")
        monkeypatch.setenv("PYTEST_ADDOPTS", "")
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # loading all of them takes seconds
        monkeypatch.setenv("TESTS_CI", "1" if ci else "0")
        monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parents[1]))
        arguments = ("-p", "no:cacheprovider", *arguments)
        if processes:
            finished = pytester.runpytest_subprocess("-p", "xdist.plugin", "--numprocesses", str(processes), *arguments)
        else:
            # What these look for at the end they would look for among all objects of this process.
            unused = ("-p", "no:unraisableexception", "-p", "no:threadexception", "-p", "no:faulthandler")
            finished = pytester.runpytest_inprocess(*unused, *arguments)
        return int(finished.ret), finished.stdout.str()

    return run_pytest


@pytest.mark.parametrize(
    ("test", "reason"), [(SKIPPED_TEST, "no such machine"), (SKIPPED_MODULE, "could not import 'no_such_library'")]
)
def test_a_skip_fails_the_run_and_says_why(run: Run, test: str, reason: str) -> None:
    status, printed = run(test, ci=True)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert reason in printed
    assert "1 skipped in" in printed.splitlines()[-1]


def test_a_skip_is_allowed_elsewhere(run: Run) -> None:
    status, _ = run(SKIPPED_TEST, ci=False)
    assert status == pytest.ExitCode.OK


def test_an_expected_failure_is_no_skip(run: Run) -> None:
    status, _ = run(EXPECTED_FAILURE, ci=True)
    assert status == pytest.ExitCode.OK


@pytest.mark.parametrize("processes", [0, 1])
def test_a_deselected_test_fails_the_run_in_whatever_process_it_was_collected(run: Run, processes: int) -> None:
    left_out = {
        "slow": ("-m", "not slow"),
        "named": ("-k", "not named"),
        "listed": ("--deselect", "test_it.py::test_listed"),
    }
    selection = [part for each in left_out.values() for part in each]
    status, printed = run(PASSING_TESTS, *selection, ci=True, processes=processes)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "1 passed" in printed
    for name in left_out:
        assert f"test_it.py::test_{name}: deselected" in printed


def test_a_slow_test_may_be_deselected_elsewhere(run: Run) -> None:
    status, printed = run(PASSING_TESTS, "-m", "not slow", ci=False)
    assert status == pytest.ExitCode.OK
    assert "3 passed, 1 deselected" in printed


@pytest.mark.parametrize(("selection", "passed"), [("heavy", 1), ("not heavy", 2)])
def test_a_test_that_the_other_run_takes_may_be_deselected(run: Run, selection: str, passed: int) -> None:
    status, printed = run(HEAVY_TESTS, "-m", selection, ci=True)
    assert status == pytest.ExitCode.OK
    assert f"{passed} passed, {3 - passed} deselected" in printed


@pytest.mark.parametrize(
    ("selection", "missing"),
    [
        (("-m", "not heavy", "-k", "not link"), "test_broken_link"),
        (("-m", "heavy", "-k", "not heavy"), "test_heavy"),
        (("-m", "not heavy and not slow"), "test_heavy"),
    ],
)
def test_a_test_that_neither_run_takes_fails_the_run(run: Run, selection: tuple[str, ...], missing: str) -> None:
    status, printed = run(HEAVY_TESTS, *selection, ci=True)
    assert status != pytest.ExitCode.OK
    assert f"test_it.py::{missing}: deselected" in printed
