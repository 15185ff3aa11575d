"""When another server is taken for dead: after a lease in which it has not renewed its lease."""

from kiteward.gateway.replicas.watch import Watch
from kiteward.store.records import ReplicaRecord


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def record(renewals: int, lease: float = 3.0) -> ReplicaRecord:
    return ReplicaRecord("a", "one", lease, renewals=renewals)


def test_server_that_has_not_renewed_its_lease_for_the_length_of_it_is_dead() -> None:
    clock = Clock()
    watch = Watch(clock)
    assert watch.over([record(5)]) == []
    clock.now += 2.9
    assert watch.over([record(5)]) == []
    clock.now += 0.1
    assert watch.over([record(5)]) == [record(5)]


def test_server_that_renews_its_lease_is_alive() -> None:
    clock = Clock()
    watch = Watch(clock)
    for renewals in range(10):
        assert watch.over([record(renewals)]) == []
        clock.now += 2.9
    assert watch.over([record(9)]) == []


def test_each_server_has_a_lease_of_its_own() -> None:
    clock = Clock()
    watch = Watch(clock)
    short, long = record(1, lease=1.0), ReplicaRecord("b", "two", 10.0)
    watch.over([short, long])
    clock.now += 5.0
    assert watch.over([short, long]) == [short]
