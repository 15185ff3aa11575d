"""A store for the tests of gateways and transports."""

from pathlib import Path

import pytest
from tests.support import gateway


@pytest.fixture(scope="session")
def bootstrapped_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as it is after the first start, closed; tests work on copies of it."""
    return gateway.bootstrapped(tmp_path_factory.mktemp("bootstrapped") / "store.db")
