"""What changes of the catalog and of row policies wait for besides: the writes of other servers, which began before."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import pytest

from kiteward.domain.errors import StoreUnavailable
from kiteward.gateway.replicas import acknowledgements
from kiteward.gateway.replicas.acknowledgements import Acknowledgements
from kiteward.store.records import Change, Committed, ReplicaRecord, Subject

LEASE = 3.0


class Others:
    """The servers as the store has them. Implements `kiteward.store.sharing.Replicas`.

    Attributes:
        rows: the servers.
        looks: how often they were looked at.
        failing: whether the store does not respond.
        removed: the servers that were removed.
    """

    def __init__(self, *rows: ReplicaRecord) -> None:
        self.rows = list(rows)
        self.looks = 0
        self.failing = False
        self.removed: list[tuple[str, int | None]] = []

    async def registered(self) -> Sequence[ReplicaRecord]:
        await asyncio.sleep(0)
        self.looks += 1
        if self.failing:
            raise StoreUnavailable("away")
        return list(self.rows)

    async def remove(self, replica_id: str, *, renewals: int | None = None) -> None:
        self.removed.append((replica_id, renewals))
        self.rows = [each for each in self.rows if each.replica_id != replica_id]

    async def register(self, replica: ReplicaRecord, admit: Callable[[Sequence[ReplicaRecord]], None]) -> None:
        raise NotImplementedError

    async def behind(self, revision: int) -> Mapping[str, int]:
        raise NotImplementedError

    async def renew(
        self, replica_id: str, applied: int, *, drained: int, answering: Collection[str] = ()
    ) -> int | None:
        raise NotImplementedError


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def other(drained: int, *, replica_id: str = "b") -> ReplicaRecord:
    return ReplicaRecord(replica_id, "other", LEASE, applied_revision=5, drained_revision=drained)


def waiting(others: Others, clock: Clock, subject: Subject = Subject.CATALOG) -> "asyncio.Task[None]":
    """Wait for the acknowledgement of revision 5, which every server has applied."""
    acknowledging = Acknowledgements(others, clock=clock)
    acknowledging.own_id = "a"
    return asyncio.create_task(acknowledging.wait(Committed(5, (Change(subject, "default/docs"),), tuple(others.rows))))


async def looked(others: Others, times: int = 3) -> None:
    """Wait until the servers were looked at a few times more."""
    until = others.looks + times
    async with asyncio.timeout(30):
        while others.looks < until:
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledgements, "LOOK", 0.001)


@pytest.mark.parametrize("subject", [Subject.CATALOG, Subject.COLLECTION])
async def test_change_waits_until_writes_of_other_servers_have_ended(subject: Subject) -> None:
    others = Others(other(4), other(4, replica_id="a"))
    task = waiting(others, Clock(), subject)
    await looked(others)
    assert not task.done()
    others.rows[0] = other(5)
    await task


@pytest.mark.parametrize("subject", sorted(set(Subject) - {Subject.CATALOG, Subject.COLLECTION}))
async def test_other_changes_do_not_wait_for_writes(subject: Subject) -> None:
    others = Others(other(4))
    await waiting(others, Clock(), subject)
    assert others.looks == 0


async def test_dead_server_is_waited_for_no_longer_than_its_lease() -> None:
    others, clock = Others(other(4)), Clock()
    task = waiting(others, clock)
    await looked(others)
    clock.now += LEASE - 0.1
    await looked(others)
    assert not task.done()
    clock.now += 0.1
    await task
    assert others.removed == [("b", 0)]


async def test_outage_of_the_store_acknowledges_nothing_until_no_write_can_be_in_progress_any_more() -> None:
    others, clock = Others(other(4)), Clock()
    others.failing = True
    task = waiting(others, clock)
    await looked(others)
    assert not task.done()
    clock.now += 331
    await task
