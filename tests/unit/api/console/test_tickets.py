"""Secrets that wait to be shown: to one session, once, for a short time, and not many of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from kiteward.api.console.tickets import MemoryTickets, OneTimeSecret, StoredTickets, Tickets, opened, sealed
from kiteward.domain.identity import Secret
from kiteward.store import schema
from kiteward.store.records import SessionRecord
from kiteward.store.sql import SqlStore

TOKEN, OTHER = Secret("token of a"), Secret("token of b")

Opening = Callable[[], Tickets]
"""Returns the tickets of a server: of the only one, or of one more on the store."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(empty_path: Path) -> AsyncIterator[SqlStore]:
    async with AsyncExitStack() as stack:
        opened_store = await SqlStore.open(empty_path)
        stack.push_async_callback(opened_store.close)
        async with opened_store.transaction() as transaction:
            await transaction.users.add("alice", "hash")
            for name in ("a", "b"):
                record = SessionRecord(name, "alice", "c", "c", "", "", 0.0, 0.0)
                await transaction.sessions.add(f"digest of {name}", record)
            await transaction.commit()
        yield opened_store


@pytest.fixture(params=["memory", "store"])
async def server(request: pytest.FixtureRequest, clock: Clock, store: SqlStore) -> Opening:
    only = MemoryTickets(clock)
    return (lambda: only) if request.param == "memory" else (lambda: StoredTickets(store, clock))


def shown(secret: str = "made") -> OneTimeSecret:
    return OneTimeSecret("title", "what", Secret(secret), "/console/keys", datetime(2026, 11, 29, tzinfo=UTC))


async def test_ticket_is_good_once_at_whatever_server(server: Opening) -> None:
    ticket = await server().put("a", TOKEN, shown())
    assert await server().take("a", TOKEN, ticket) == shown()
    assert await server().take("a", TOKEN, ticket) is None


async def test_ticket_is_good_for_its_own_session_alone(server: Opening) -> None:
    ticket = await server().put("a", TOKEN, shown())
    assert await server().take("b", OTHER, ticket) is None
    assert await server().take("a", TOKEN, "\ud800") is None
    assert await server().take("a", TOKEN, ticket) is not None


async def test_ticket_is_forgotten_after_a_minute(server: Opening, clock: Clock) -> None:
    early = await server().put("a", TOKEN, shown())
    clock.now = 59.0
    late = await server().put("a", TOKEN, shown())
    clock.now = 60.0
    assert await server().take("a", TOKEN, early) is None
    assert await server().take("a", TOKEN, late) is not None


async def test_few_secrets_wait_for_one_session(server: Opening, clock: Clock) -> None:
    made = []
    for _ in range(9):
        clock.now += 1.0
        made.append(await server().put("a", TOKEN, shown()))
    first, *others = made
    assert await server().take("a", TOKEN, first) is None
    assert all([await server().take("a", TOKEN, each) is not None for each in others])


async def test_store_holds_neither_the_secret_nor_its_ticket(store: SqlStore, clock: Clock) -> None:
    ticket = await StoredTickets(store, clock).put("a", TOKEN, shown("a secret of a key"))
    (rows,) = await store._reader.rows(select(schema.secrets_shown))
    held = repr(rows)
    assert "a secret of a key" not in held
    assert b"a secret".hex() not in held
    assert ticket not in held


def test_what_is_sealed_opens_for_its_token_and_ticket_alone_and_unchanged() -> None:
    text = sealed(b"content", TOKEN, "ticket")
    assert opened(text, TOKEN, "ticket") == b"content"
    assert (opened(text, OTHER, "ticket"), opened(text, TOKEN, "other")) == (None, None)
    for place in (0, 63, 64, len(text) - 1):
        changed = "0" if text[place] != "0" else "1"
        assert opened(text[:place] + changed + text[place + 1 :], TOKEN, "ticket") is None
    assert sealed(b"content", TOKEN, "another") != text
