"""With KITEWARD_CI=1 a skipped test fails the run; an expected failure does not."""

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


def run_pytest(directory: Path, test: str, *, ci: bool) -> subprocess.CompletedProcess[str]:
    shutil.copy(CONFTEST, directory / "conftest.py")
    (directory / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n", "utf-8")
    (directory / "test_it.py").write_text(test, "utf-8")
    environment = os.environ | {"KITEWARD_CI": "1" if ci else "0", "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
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
