"""With TESTS_CI=1 a run fails that skips a test, or deselects one that no other run takes. Expected failures may be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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

def test_fast(): ...
"""
HEAVY_TESTS = """
import pytest

@pytest.mark.heavy
def test_heavy(): ...

def test_light(): ...

def test_broken_link(): ...
"""


def run_pytest(directory: Path, test: str, *arguments: str, ci: bool) -> subprocess.CompletedProcess[str]:
    shutil.copy(CONFTEST, directory / "conftest.py")
    (directory / "pytest.ini").write_text("[pytest]\nmarkers =\n  slow\n  heavy\n", "utf-8")
    (directory / "test_it.py").write_text(test, "utf-8")
    plugins = {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # loading all of them takes seconds
    of_ours = {"TESTS_CI": "1" if ci else "0", "PYTHONPATH": str(CONFTEST.parents[1])}
    environment = os.environ | plugins | of_ours
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist.plugin", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("test", "reason"), [(SKIPPED_TEST, "no such machine"), (SKIPPED_MODULE, "could not import 'no_such_library'")]
)
def test_a_skip_fails_the_run_and_says_why(tmp_path: Path, test: str, reason: str) -> None:
    finished = run_pytest(tmp_path, test, ci=True)
    assert finished.returncode == pytest.ExitCode.TESTS_FAILED
    assert reason in finished.stdout
    assert "1 skipped in" in finished.stdout.splitlines()[-1]


def test_a_skip_is_allowed_elsewhere(tmp_path: Path) -> None:
    finished = run_pytest(tmp_path, SKIPPED_TEST, ci=False)
    assert finished.returncode == pytest.ExitCode.OK


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    finished = run_pytest(tmp_path, EXPECTED_FAILURE, ci=True)
    assert finished.returncode == pytest.ExitCode.OK


@pytest.mark.parametrize("selection", [("-m", "not slow"), ("-k", "fast"), ("--deselect", "test_it.py::test_slow")])
@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_deselected_test_fails_the_run_in_whatever_process_it_was_collected(
    tmp_path: Path, selection: tuple[str, str], processes: str
) -> None:
    finished = run_pytest(tmp_path, PASSING_TESTS, "--numprocesses", processes, *selection, ci=True)
    assert finished.returncode == pytest.ExitCode.TESTS_FAILED
    assert "test_it.py::test_slow: deselected" in finished.stdout


def test_a_slow_test_may_be_deselected_elsewhere(tmp_path: Path) -> None:
    finished = run_pytest(tmp_path, PASSING_TESTS, "-m", "not slow", ci=False)
    assert finished.returncode == pytest.ExitCode.OK
    assert "1 passed, 1 deselected" in finished.stdout


@pytest.mark.parametrize(("selection", "passed"), [("heavy", 1), ("not heavy", 2)])
def test_a_test_that_the_other_run_takes_may_be_deselected(tmp_path: Path, selection: str, passed: int) -> None:
    finished = run_pytest(tmp_path, HEAVY_TESTS, "-m", selection, ci=True)
    assert finished.returncode == pytest.ExitCode.OK
    assert f"{passed} passed, {3 - passed} deselected" in finished.stdout


@pytest.mark.parametrize(
    ("selection", "missing"),
    [
        (("-m", "not heavy", "-k", "not link"), "test_broken_link"),
        (("-m", "heavy", "-k", "not heavy"), "test_heavy"),
        (("-m", "not heavy and not slow"), "test_heavy"),
    ],
)
def test_a_test_that_neither_run_takes_fails_the_run(tmp_path: Path, selection: tuple[str, ...], missing: str) -> None:
    finished = run_pytest(tmp_path, HEAVY_TESTS, *selection, ci=True)
    assert finished.returncode != pytest.ExitCode.OK
    assert f"test_it.py::{missing}: deselected" in finished.stdout
