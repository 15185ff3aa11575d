"""The locks of collections beside other servers: among them only where a collection has row policies."""

import asyncio

import pytest

from kiteward.domain.errors import LeaseOver, StoreUnavailable
from kiteward.gateway.replicas.shared_locks import SharedLocks, Ticket
from kiteward.gateway.row_access.shared_locks import SharedCollectionLocks

DOCS = ("default", "docs")
OTHER = ("default", "other")


class Shared(SharedLocks):
    """Notes what is asked of the other servers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.held: list[Ticket] = []
        self.error: Exception | None = None

    async def acquire(self, name: str, *, alone: bool) -> Ticket:
        await asyncio.sleep(0)
        self.asked.append((name, alone))
        if self.error is not None:
            raise self.error
        self.held.append(Ticket(str(len(self.asked)), "a"))
        return self.held[-1]

    def confirm(self, ticket: Ticket) -> None:  # noqa: ARG002  as the class has it
        if self.error is not None:
            raise self.error

    def release(self, ticket: Ticket) -> None:
        self.held.remove(ticket)


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
def locks(shared: Shared) -> SharedCollectionLocks:
    return SharedCollectionLocks(shared)


async def test_other_servers_are_not_asked_for_a_collection_without_policies(
    locks: SharedCollectionLocks, shared: Shared
) -> None:
    assert not await locks.acquire(DOCS, alone=False)
    locks.release(DOCS, alone=False)
    async with locks.held({DOCS, OTHER}, changes=True) as waited:
        assert not waited
    assert shared.asked == []
    assert len(locks) == 0


async def test_lock_of_a_protected_collection_is_taken_among_servers_and_counts_as_waited_for(
    locks: SharedCollectionLocks, shared: Shared
) -> None:
    assert await locks.acquire(DOCS, alone=True, protected=True)
    assert shared.asked == [("default/docs", True)]
    locks.confirm(DOCS)
    locks.release(DOCS, alone=True, protected=True)
    assert (shared.held, len(locks)) == ([], 0)


async def test_each_of_those_who_share_a_lock_has_a_ticket(locks: SharedCollectionLocks, shared: Shared) -> None:
    for _ in range(2):
        await locks.acquire(DOCS, alone=False, protected=True)
    assert shared.asked == [("default/docs", False)] * 2
    for left in (1, 0):
        locks.release(DOCS, alone=False, protected=True)
        assert len(shared.held) == left


async def test_several_locks_are_taken_in_one_order_those_of_protected_collections_among_servers(
    locks: SharedCollectionLocks, shared: Shared
) -> None:
    async with locks.held({OTHER, DOCS}, changes=False, protected={DOCS}) as waited:
        assert waited
        assert shared.asked == [("default/docs", True)]
        assert len(locks) == 2
    assert (shared.held, len(locks)) == ([], 0)


async def test_lock_that_cannot_be_taken_among_servers_is_given_back_here(
    locks: SharedCollectionLocks, shared: Shared
) -> None:
    shared.error = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await locks.acquire(DOCS, alone=True, protected=True)
    assert len(locks) == 0


async def test_lock_that_was_lost_is_not_confirmed(locks: SharedCollectionLocks, shared: Shared) -> None:
    await locks.acquire(DOCS, alone=True, protected=True)
    shared.error = LeaseOver("lost")
    with pytest.raises(LeaseOver):
        locks.confirm(DOCS)
