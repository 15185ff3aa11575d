"""The turn to change the catalog: held once among all servers, and known to be held where it matters."""

import asyncio

import pytest

from kiteward.domain.errors import LeaseOver
from kiteward.gateway.replicas.catalog_turn import OwnTurn, SharedTurn
from kiteward.gateway.replicas.shared_locks import SharedLocks, Ticket
from kiteward.store.transaction import Transaction


class Locks(SharedLocks):
    """Notes what is taken and released."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bool]] = []
        self.held: list[Ticket] = []
        self.followed = 0

    async def acquire(self, name: str, *, alone: bool) -> Ticket:
        await asyncio.sleep(0)
        self.taken.append((name, alone))
        self.held.append(Ticket("1", "a"))
        return self.held[-1]

    def confirm(self, ticket: Ticket) -> None:
        if ticket not in self.held:
            raise LeaseOver("lost")

    def release(self, ticket: Ticket) -> None:
        self.held.remove(ticket)

    async def follow(self) -> None:
        assert self.held
        self.followed += 1


class Stored(Transaction):
    """A transaction that finds a ticket, or does not."""

    def __init__(self, *tickets: str) -> None:
        self.tickets = tickets

    async def holds(self, ticket: str) -> bool:
        return ticket in self.tickets


async def test_turn_is_taken_alone_and_what_was_changed_before_is_applied() -> None:
    locks = Locks()
    turn = SharedTurn(locks, locks.follow)
    async with turn.held():
        assert (locks.taken, locks.followed) == ([("", True)], 1)
        turn.confirm()
        await turn.confirm_in(Stored("1"))
        with pytest.raises(LeaseOver):
            await turn.confirm_in(Stored())
    assert locks.held == []
    with pytest.raises(RuntimeError):
        turn.confirm()


async def test_one_change_of_a_server_asks_for_the_turn_at_a_time() -> None:
    locks = Locks()
    turn = SharedTurn(locks, locks.follow)
    async with turn.held():
        waiting = asyncio.create_task(turn.held().__aenter__())
        await asyncio.sleep(0.01)
        assert len(locks.taken) == 1
    await waiting
    assert len(locks.taken) == 2


async def test_server_alone_always_has_the_turn() -> None:
    turn = OwnTurn()
    async with turn.held():
        turn.confirm()
        await turn.confirm_in(Stored())
    assert not turn.shared
