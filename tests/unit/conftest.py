"""Gateways for tests: the store of each is a copy of one that was bootstrapped once."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support import gateway, quick_sqlite
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, quick_directory


@pytest.fixture(scope="module", autouse=True)
def driver_of_sqlite() -> Iterator[None]:
    """What runs statements in SQLite at half the price; tests that are about the database have the driver itself."""
    with quick_sqlite.used():
        yield


@pytest.fixture(scope="session")
def bootstrapped_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as it is after the first start, closed; tests work on copies of it."""
    return gateway.bootstrapped(tmp_path_factory.mktemp("bootstrapped") / "store.db")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with all tables and without rows, closed: making its tables takes longer than most tests."""
    return gateway.empty(tmp_path_factory.mktemp("empty") / "store.db")


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A directory whose files need not survive the machine."""
    with quick_directory() as directory:
        yield directory


@pytest.fixture
def store_path(bootstrapped_store: Path, quick_path: Path) -> Path:
    """A store of this test's own."""
    return Path(shutil.copy(bootstrapped_store, quick_path / "store.db"))


@pytest.fixture
def empty_path(empty_store: Path, quick_path: Path) -> Path:
    """An empty store of this test's own."""
    return Path(shutil.copy(empty_store, quick_path / "store.db"))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def harness(store_path: Path, engine: FakeEngine) -> AsyncIterator[GatewayHarness]:
    """A gateway with the built-in roles and `root`, and an engine without collections."""
    async with opened(store_path, engine) as harness:
        yield harness
