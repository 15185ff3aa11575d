"""Locks among servers: in one order, released whatever happens, and lost only with the lease."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from kiteward.domain.errors import LeaseOver, StoreUnavailable
from kiteward.gateway.replicas import shared_locks
from kiteward.gateway.replicas.lease import Lease
from kiteward.gateway.replicas.shared_locks import SharedLocks
from kiteward.store.records import ReplicaRecord


class Store:
    """Tickets and servers in memory. Implements what `SharedLocks` needs of `Locks` and `Replicas`.

    Attributes:
        failing: names of the methods that fail; those that write have done what they should all the same.
        late: requests that are carried out when a test says so, after they have failed.
        withdrawn: tickets whose requests are never carried out.
    """

    def __init__(self) -> None:
        self.tickets: list[tuple[str, str, str, bool]] = []
        self.renewals: dict[str, int] = {"a": 0, "b": 0}
        self.failing: set[str] = set()
        self.late: list[tuple[str, str, str, bool]] | None = None
        self.withdrawn: set[str] = set()
        self.released = 0

    async def request(self, ticket: str, name: str, *, replica_id: str, alone: bool) -> None:
        await asyncio.sleep(0)
        entry = (ticket, name, replica_id, alone)
        if self.late is not None:
            self.late.append(entry)
        else:
            self.tickets.append(entry)
        self._fail("request")

    async def before(self, ticket: str) -> Sequence[ReplicaRecord] | None:
        await asyncio.sleep(0)
        self._fail("before")
        for place, (found, name, _, alone) in enumerate(self.tickets):
            if found == ticket:
                earlier = (each for each in self.tickets[:place] if each[1] == name and (each[3] or alone))
                owners = sorted({owner for _, _, owner, _ in earlier})
                return [ReplicaRecord(owner, owner, 3.0, renewals=self.renewals[owner]) for owner in owners]
        return None

    async def release(self, ticket: str) -> None:
        await asyncio.sleep(0)
        self.released += 1
        self._fail("release")
        self.tickets = [each for each in self.tickets if each[0] != ticket]

    async def withdraw(self, ticket: str, *, replica_id: str) -> None:
        await asyncio.sleep(0)
        self._fail("withdraw")
        assert replica_id in self.renewals
        self.withdrawn.add(ticket)
        self.tickets = [each for each in self.tickets if each[0] != ticket]

    async def remove(self, replica_id: str, *, renewals: int | None = None) -> None:
        if renewals in (None, self.renewals[replica_id]):
            self.tickets = [each for each in self.tickets if each[2] != replica_id]

    async def register(self, replica: ReplicaRecord, admit: Callable[[Sequence[ReplicaRecord]], None]) -> None:
        raise NotImplementedError

    async def renew(self, replica_id: str, applied: int, *, drained: int, answering: object = ()) -> int | None:
        raise NotImplementedError

    async def behind(self, revision: int) -> Mapping[str, int]:
        raise NotImplementedError

    async def registered(self) -> Sequence[ReplicaRecord]:
        raise NotImplementedError

    def _fail(self, what: str) -> None:
        if what in self.failing:
            raise StoreUnavailable("away")


class Server:
    """A server, whose id and lease a test changes."""

    def __init__(self, store: Store, replica_id: str) -> None:
        self.replica_id = replica_id
        self.now = 0.0
        self.lease = Lease(1000.0, lambda: self.now)
        self.lease.extend(0.0)
        self.locks = SharedLocks(store, store, own_id=lambda: self.replica_id, lease=self.lease, clock=lambda: self.now)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(shared_locks, "_RETRY", 0.001)
    monkeypatch.setattr(shared_locks, "LOOK", 0.001)
    return Store()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_lock_is_held_alone_in_the_order_of_the_requests(store: Store) -> None:
    one, other = Server(store, "a"), Server(store, "b")
    held = await one.locks.acquire("docs", alone=True)
    second = asyncio.create_task(other.locks.acquire("docs", alone=True))
    await until(lambda: len(store.tickets) == 2)
    third = asyncio.create_task(one.locks.acquire("docs", alone=False))
    await until(lambda: len(store.tickets) == 3)
    assert not second.done()
    one.locks.release(held)
    ticket = await second
    assert not third.done()
    other.locks.release(ticket)
    one.locks.release(await third)
    await until(lambda: store.tickets == [])


async def test_lock_is_shared_and_another_one_is_free(store: Store) -> None:
    one, other = Server(store, "a"), Server(store, "b")
    await one.locks.acquire("docs", alone=False)
    await other.locks.acquire("docs", alone=False)
    await other.locks.acquire("other", alone=True)


async def test_lock_is_released_when_the_store_is_back(store: Store) -> None:
    server = Server(store, "a")
    ticket = await server.locks.acquire("docs", alone=True)
    store.failing.add("release")
    server.locks.release(ticket)
    await until(lambda: store.released > 2)
    assert len(store.tickets) == 1
    store.failing.clear()
    await until(lambda: store.tickets == [])


async def test_who_gives_up_waiting_leaves_no_ticket(store: Store) -> None:
    one, other = Server(store, "a"), Server(store, "b")
    await one.locks.acquire("docs", alone=True)
    waiting = asyncio.create_task(other.locks.acquire("docs", alone=True))
    await until(lambda: len(store.tickets) == 2)
    waiting.cancel()
    await asyncio.wait([waiting])
    await until(lambda: len(store.tickets) == 1)


async def test_who_gives_up_while_the_lock_is_asked_for_leaves_no_ticket(store: Store) -> None:
    server = Server(store, "a")
    asking = asyncio.create_task(server.locks.acquire("docs", alone=True))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    await until(lambda: store.released > 0)
    assert store.tickets == []


async def test_request_without_an_answer_is_withdrawn_as_soon_as_the_store_is_back(store: Store) -> None:
    server = Server(store, "a")
    store.failing |= {"request", "withdraw"}
    store.late = []
    with pytest.raises(StoreUnavailable):
        await server.locks.acquire("docs", alone=True)
    await asyncio.sleep(0.01)
    ((ticket, *_),) = store.late
    assert store.withdrawn == set()
    store.failing.clear()
    await until(lambda: store.withdrawn == {ticket})


async def test_lock_is_not_held_where_the_store_does_not_say_so(store: Store) -> None:
    server = Server(store, "a")
    store.failing.add("before")
    with pytest.raises(StoreUnavailable):
        await server.locks.acquire("docs", alone=True)
    await until(lambda: store.tickets == [])


async def test_lock_of_a_dead_server_is_taken_over_after_its_lease(store: Store) -> None:
    dead, server = Server(store, "a"), Server(store, "b")
    await dead.locks.acquire("docs", alone=True)
    waiting = asyncio.create_task(server.locks.acquire("docs", alone=True))
    await until(lambda: len(store.tickets) == 2)
    for _ in range(3):  # it lives as long as it renews its lease
        await asyncio.sleep(0.01)
        store.renewals["a"] += 1
        server.now += 2.9
    await asyncio.sleep(0.01)
    assert not waiting.done()
    server.now += 3.0
    await waiting


async def test_server_that_was_taken_for_dead_while_it_waited_gets_no_lock(store: Store) -> None:
    one, other = Server(store, "a"), Server(store, "b")
    await one.locks.acquire("docs", alone=True)
    waiting = asyncio.create_task(other.locks.acquire("docs", alone=True))
    await until(lambda: len(store.tickets) == 2)
    await store.remove("b")
    with pytest.raises(LeaseOver):
        await waiting


async def test_lock_is_lost_with_the_lease_and_with_the_registration(store: Store) -> None:
    server = Server(store, "a")
    ticket = await server.locks.acquire("docs", alone=True)
    server.locks.confirm(ticket)
    server.replica_id = "c"
    with pytest.raises(LeaseOver):
        server.locks.confirm(ticket)
    server.replica_id = "a"
    server.lease.end()
    with pytest.raises(LeaseOver):
        server.locks.confirm(ticket)


async def test_close_ends_what_waits_for_the_store(store: Store) -> None:
    server = Server(store, "a")
    ticket = await server.locks.acquire("docs", alone=True)
    store.failing.add("release")
    server.locks.release(ticket)
    await until(lambda: store.released > 1)
    await server.locks.close()
    released = store.released
    await asyncio.sleep(0.01)
    assert store.released == released
