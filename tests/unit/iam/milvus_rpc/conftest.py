"""A gateway with some users, roles, grants and groups, the same for every test of the administrative RPCs."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened

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
        async with opened(path, peopled_engine()) as harness:
            await harness.group("mine", "Query", "Search")
            await harness.group("spare")
            await harness.role("reader", ("Query", "default", "docs"), ("mine", "default", "docs"))
            await harness.role("idle")
            await harness.user("alice", "reader")
            await harness.user("bob")

    asyncio.run(people())
    return path


@pytest.fixture
def store_path(peopled_store: Path, quick_path: Path) -> Path:
    return Path(shutil.copy(peopled_store, quick_path / "store.db"))


@pytest.fixture
def engine() -> FakeEngine:
    return peopled_engine()


@pytest.fixture
async def harness(store_path: Path, engine: FakeEngine) -> AsyncIterator[GatewayHarness]:
    async with opened(store_path, engine) as harness:
        yield harness


@pytest.fixture
def refused(harness: GatewayHarness) -> Refused:
    """Sends a request that must be refused with this code and legacy code, in these words, and change nothing."""

    async def check(method: str, code: int, legacy_code: int, text: str, **arguments: Any) -> None:
        before = await harness.state()
        status = await harness.status(method, **arguments)
        assert (status.code, status.error_code) == (code, legacy_code), status.reason
        assert text in status.reason
        assert status.detail == status.reason
        assert not status.retriable
        assert await harness.state() == before

    return check
