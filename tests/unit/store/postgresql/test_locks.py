"""Locks in PostgreSQL: tickets in one order, which only their owner, or its removal, takes away."""

import asyncio

import pytest
from tests.support.postgresql import Cluster
from tests.unit.store.postgresql.test_replicas import Peer, admit, peers, record, settings

from kiteward.domain.errors import StoreUnavailable

__all__ = ["peers", "settings"]

NAME = "default/docs"


@pytest.fixture
async def two(peers: tuple[Peer, Peer]) -> tuple[Peer, Peer]:
    """Two servers, registered as `a` and `b`."""
    for peer, name in zip(peers, "ab", strict=True):
        await peer.replicas.register(record(name), admit)
    return peers


async def before(peer: Peer, ticket: str) -> list[str] | None:
    found = await peer.replicas.locks.before(ticket)
    return None if found is None else [each.replica_id for each in found]


async def test_tickets_wait_for_earlier_ones_unless_both_are_shared(two: tuple[Peer, Peer]) -> None:
    one, other = (peer.replicas.locks for peer in two)
    await one.request("1", NAME, replica_id="a", alone=False)
    await other.request("2", NAME, replica_id="b", alone=False)
    await one.request("3", NAME, replica_id="a", alone=True)
    await other.request("4", NAME, replica_id="b", alone=False)
    await other.request("5", "default/other", replica_id="b", alone=True)
    expected = {"1": [], "2": [], "3": ["a", "b"], "4": ["a"], "5": []}
    assert {ticket: await before(two[0], ticket) for ticket in expected} == expected
    await one.release("1")
    await other.release("2")
    assert await before(two[0], "3") == []
    await one.release("3")
    assert await before(two[1], "4") == []
    assert await before(two[1], "3") is None


async def test_tickets_go_with_the_registration_of_their_server(two: tuple[Peer, Peer]) -> None:
    one, other = two
    await one.replicas.locks.request("1", NAME, replica_id="a", alone=True)
    await other.replicas.locks.request("2", NAME, replica_id="b", alone=True)
    (ahead,) = await other.replicas.locks.before("2") or ()
    assert (ahead.replica_id, ahead.lease, ahead.renewals) == ("a", 3.0, 0)
    await other.replicas.remove("a", renewals=ahead.renewals)
    assert await before(other, "2") == []
    assert await before(one, "1") is None
    with pytest.raises(StoreUnavailable):
        await one.replicas.locks.request("3", NAME, replica_id="a", alone=True)


async def test_withdrawn_ticket_holds_nothing_whether_its_request_came_before_or_comes_later(
    two: tuple[Peer, Peer],
) -> None:
    one, other = (peer.replicas.locks for peer in two)
    await one.request("1", NAME, replica_id="a", alone=True)
    await one.withdraw("1", replica_id="a")
    await one.withdraw("2", replica_id="a")
    await one.withdraw("2", replica_id="a")
    with pytest.raises(StoreUnavailable):
        await one.request("2", NAME, replica_id="a", alone=True)
    await other.request("3", NAME, replica_id="b", alone=True)
    assert await before(two[1], "3") == []


async def test_ticket_outlives_its_connection(two: tuple[Peer, Peer], cluster: Cluster) -> None:
    one, other = two
    await one.replicas.locks.request("1", NAME, replica_id="a", alone=True)
    one.replicas.locks.close()
    cluster.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'kiteward'")
    await other.replicas.locks.request("2", NAME, replica_id="b", alone=True)
    assert await before(other, "2") == ["a"]


async def test_only_one_holds_a_lock_whoever_asks_at_the_same_time(two: tuple[Peer, Peer]) -> None:
    holding: list[str] = []
    most = 0

    async def take(peer: Peer, ticket: str, replica_id: str) -> None:
        nonlocal most
        locks = peer.replicas.locks
        await locks.request(ticket, NAME, replica_id=replica_id, alone=True)
        while await locks.before(ticket):
            await asyncio.sleep(0.01)
        holding.append(ticket)
        most = max(most, len(holding))
        await asyncio.sleep(0)
        holding.remove(ticket)
        await locks.release(ticket)

    pairs = list(zip(two, "ab", strict=True))
    await asyncio.gather(*(take(peer, f"{name}{number}", name) for number in range(3) for peer, name in pairs))
    assert most == 1


async def test_server_whose_ticket_is_confirmed_in_a_transaction_is_not_removed_before_its_end(
    two: tuple[Peer, Peer],
) -> None:
    one, other = two
    await one.replicas.locks.request("1", NAME, replica_id="a", alone=True)
    async with one.store.transaction() as transaction:
        assert await transaction.holds("1")
        assert not await transaction.holds("2")
        removing = asyncio.create_task(other.replicas.remove("a"))
        await asyncio.wait([removing], timeout=0.2)
        assert not removing.done()
        await transaction.users.add("alice", "hash")
        await transaction.commit()
    await removing
    assert await before(one, "1") is None
