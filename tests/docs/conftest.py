"""The documents that users follow, and the logs of servers when a test fails."""

import os
from pathlib import Path

import pytest
from tests.support.server import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]

_REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def documents() -> Path:
    """The directory of the documents: beside the repository, or where TESTS_DOCUMENTS says."""
    directory = Path(os.environ.get("TESTS_DOCUMENTS") or _REPOSITORY.parent / "shared" / "documents")
    if not directory.is_dir():
        pytest.skip(f"the users' documents are not at {directory}; TESTS_DOCUMENTS can name another place")
    return directory
