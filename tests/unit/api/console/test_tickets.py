"""Secrets that wait to be shown: to one session, once, for a short time, and not many of them."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import select, update

from kiteward.api.console.tickets import MemoryTickets, OneTimeSecret, StoredTickets, Tickets
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


def test_secret_is_what_it_was_and_no_other_text_is_one() -> None:
    assert OneTimeSecret.unpacked(shown().packed()) == shown()
    for other in ("{}", "[]", '{"undo": 1}', "[1, 2, 3, 4, 5, 6]", '"text"'):
        assert OneTimeSecret.unpacked(Secret(other)) is None


async def test_ticket_is_good_once_at_whatever_server(server: Opening) -> None:
    ticket = await server().put("a", TOKEN, shown())
    assert await server().waits("a", ticket)
    assert await server().take("a", TOKEN, ticket, OneTimeSecret) == shown()
    assert not await server().waits("a", ticket)
    assert await server().take("a", TOKEN, ticket, OneTimeSecret) is None


async def test_ticket_is_good_for_its_own_session_alone(server: Opening) -> None:
    ticket = await server().put("a", TOKEN, shown())
    assert not await server().waits("b", ticket)
    assert await server().take("b", OTHER, ticket, OneTimeSecret) is None
    assert await server().take("a", TOKEN, "\ud800", OneTimeSecret) is None
    assert not await server().waits("a", "\ud800")
    assert await server().take("a", TOKEN, ticket, OneTimeSecret) is not None


async def test_ticket_is_forgotten_after_a_minute(server: Opening, clock: Clock) -> None:
    early = await server().put("a", TOKEN, shown())
    clock.now = 59.0
    late = await server().put("a", TOKEN, shown())
    clock.now = 60.0
    assert await server().take("a", TOKEN, early, OneTimeSecret) is None
    assert await server().take("a", TOKEN, late, OneTimeSecret) is not None


@dataclass(frozen=True, slots=True)
class Other:
    """What waits besides secrets."""

    name: str = ""

    def packed(self) -> Secret:
        return Secret(f'{{"other": "{self.name}"}}')

    @classmethod
    def unpacked(cls, packed: Secret) -> Self | None:
        return cls(packed.reveal()[11:-2]) if packed.reveal().startswith('{"other"') else None


async def test_ticket_is_good_for_its_own_kind_of_thing_alone(server: Opening) -> None:
    secret, other = await server().put("a", TOKEN, shown()), await server().put("a", TOKEN, Other("name"))
    assert await server().take("a", TOKEN, secret, Other) is None
    assert await server().take("a", TOKEN, other, OneTimeSecret) is None
    other = await server().put("a", TOKEN, Other("name"))
    assert await server().take("a", TOKEN, other, Other) == Other("name")


async def test_few_secrets_wait_for_one_session(server: Opening, clock: Clock) -> None:
    made = []
    for _ in range(9):
        clock.now += 1.0
        made.append(await server().put("a", TOKEN, shown()))
    first, *others = made
    assert await server().take("a", TOKEN, first, OneTimeSecret) is None
    assert all([await server().take("a", TOKEN, each, OneTimeSecret) is not None for each in others])


async def test_ticket_is_kept_for_as_long_as_is_said(server: Opening, clock: Clock) -> None:
    ticket = await server().put("a", TOKEN, shown(), seconds=600.0)
    clock.now = 599.0
    assert await server().waits("a", ticket)
    clock.now = 600.0
    assert not await server().waits("a", ticket)
    assert await server().take("a", TOKEN, ticket, OneTimeSecret) is None


async def test_what_waits_for_long_takes_no_place_of_a_secret(server: Opening, clock: Clock) -> None:
    secret = await server().put("a", TOKEN, shown())
    made = []
    for _ in range(9):
        clock.now += 1.0
        made.append(await server().put("a", TOKEN, shown(), seconds=600.0))
    another = await server().put("a", TOKEN, shown())
    left = [await server().waits("a", each) for each in (secret, another, *made)]
    assert left == [True, True, False, *[True] * 8]


async def test_store_holds_neither_the_secret_nor_its_ticket(store: SqlStore, clock: Clock) -> None:
    ticket = await StoredTickets(store, clock).put("a", TOKEN, shown("a secret of a key"))
    (rows,) = await store._reader.rows(select(schema.secrets_shown))
    held = repr(rows)
    assert "a secret of a key" not in held
    for form in (bytes.hex, lambda text: base64.b64encode(text).decode()):
        assert form(b"a secret") not in held
    assert ticket not in held


async def replaced(store: SqlStore, change: Callable[[str], str]) -> None:
    """Change what the store holds of the only secret."""
    ((row,),) = await store._reader.rows(select(schema.secrets_shown.c.sealed))
    async with store.transaction() as transaction:
        text = change(row[0])
        await transaction.sessions._write_transaction.run(update(schema.secrets_shown).values(sealed=text))
        await transaction.commit()


async def moved(store: SqlStore, **columns: str) -> None:
    """Give the only secret to another session, or another ticket."""
    async with store.transaction() as transaction:
        await transaction.sessions._write_transaction.run(update(schema.secrets_shown).values(**columns))
        await transaction.commit()


@pytest.mark.parametrize("place", [0, 15, 16, 40, -30, -5])
async def test_secret_that_was_changed_in_the_store_is_not_shown(store: SqlStore, clock: Clock, place: int) -> None:
    def change(sealed: str) -> str:
        both = bytearray(base64.b64decode(sealed))
        both[place] ^= 1
        return base64.b64encode(both).decode()

    server = StoredTickets(store, clock)
    ticket = await server.put("a", TOKEN, shown())
    await replaced(store, change)
    assert await server.take("a", TOKEN, ticket, OneTimeSecret) is None


async def test_secret_is_shown_for_its_session_token_and_ticket_alone(store: SqlStore, clock: Clock) -> None:
    server = StoredTickets(store, clock)
    ticket = await server.put("a", TOKEN, shown())
    assert await server.take("a", OTHER, ticket, OneTimeSecret) is None
    ticket = await server.put("a", TOKEN, shown())
    await moved(store, session_id="b")
    assert await server.take("b", TOKEN, ticket, OneTimeSecret) is None
    await server.put("a", TOKEN, shown())
    await moved(store, ticket_digest=hashlib.sha256(b"another ticket").hexdigest())
    assert await server.take("a", TOKEN, "another ticket", OneTimeSecret) is None


@pytest.mark.parametrize(
    "text", ["", "00" * 48, "ab" * 47, "no base64 \u2713", "AAAA", base64.b64encode(b"x" * 40).decode()]
)
async def test_secret_that_another_version_has_sealed_otherwise_is_not_shown(
    store: SqlStore, clock: Clock, text: str
) -> None:
    server = StoredTickets(store, clock)
    ticket = await server.put("a", TOKEN, shown())
    await replaced(store, lambda _: text)
    assert await server.take("a", TOKEN, ticket, OneTimeSecret) is None


async def test_equal_secrets_are_not_sealed_alike(store: SqlStore, clock: Clock) -> None:
    for _ in range(2):
        await StoredTickets(store, clock).put("a", TOKEN, shown())
    ((first, second),) = await store._reader.rows(select(schema.secrets_shown.c.sealed))
    assert first[0] != second[0]
