"""A gateway with some users, roles, grants and groups, the same for every test of the administrative RPCs."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import House, opened

Refused = Callable[..., Awaitable[None]]


def peopled_engine() -> FakeEngine:
    """Return an engine with `docs` in `default`, its alias `current`, and the database `other`."""
    engine = FakeEngine()
    engine.create("docs")
    engine.create("papers", database="other")
    engine.databases["default"].aliases["current"] = "docs"
    return engine


@pytest.fixture(scope="session")
def peopled_store(bootstrapped_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with users alice (reader) and bob, roles reader (with grants) and idle, groups mine (held) and spare."""
    path = Path(shutil.copy(bootstrapped_store, tmp_path_factory.mktemp("peopled") / "store.db"))

    async def people() -> None:
        async with opened(path, peopled_engine()) as house:
            await house.group("mine", "Query", "Search")
            await house.group("spare")
            await house.role("reader", ("Query", "default", "docs"), ("mine", "default", "docs"))
            await house.role("idle")
            await house.user("alice", "reader")
            await house.user("bob")

    asyncio.run(people())
    return path


@pytest.fixture
def store_path(peopled_store: Path, quick_path: Path) -> Path:
    return Path(shutil.copy(peopled_store, quick_path / "store.db"))


@pytest.fixture
def engine() -> FakeEngine:
    return peopled_engine()


@pytest.fixture
async def house(store_path: Path, engine: FakeEngine) -> AsyncIterator[House]:
    async with opened(store_path, engine) as house:
        yield house


@pytest.fixture
def refused(house: House) -> Refused:
    """Sends a request that must be refused with this code and legacy code, in these words, and change nothing."""

    async def check(method: str, code: int, legacy_code: int, text: str, **arguments: Any) -> None:
        before = await house.state()
        status = await house.status(method, **arguments)
        assert (status.code, status.error_code) == (code, legacy_code), status.reason
        assert text in status.reason
        assert status.detail == status.reason
        assert not status.retriable
        assert await house.state() == before

    return check
