"""A gateway with a user, for tests of the APIs."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened


def furnished() -> FakeEngine:
    """Return an engine with a collection in each of two databases."""
    engine = FakeEngine()
    engine.create("docs")
    engine.create("papers", database="other")
    return engine


@pytest.fixture
def engine() -> FakeEngine:
    return furnished()


@pytest.fixture(scope="session")
def peopled_store(bootstrapped_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the user alice, who may query `docs`, closed; tests work on copies of it."""
    path = Path(shutil.copy(bootstrapped_store, tmp_path_factory.mktemp("peopled") / "store.db"))

    async def people() -> None:
        async with opened(path, furnished()) as harness:
            await harness.role("reader", ("Query", "default", "docs"))
            await harness.user("alice", "reader")

    asyncio.run(people())
    return path


@pytest.fixture
async def harness(peopled_store: Path, quick_path: Path, engine: FakeEngine) -> AsyncIterator[GatewayHarness]:
    async with opened(Path(shutil.copy(peopled_store, quick_path / "store.db")), engine) as harness:
        yield harness
