"""Shows the logs of running servers when a test fails."""

from tests.support.server import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]
