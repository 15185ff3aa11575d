import pytest

from kiteward.gateway.replicas.lease import HELD_SHARE, Lease, elapsed


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lease_is_not_held_before_it_is_extended() -> None:
    lease = Lease(3.0, Clock())
    assert (lease.held(), lease.remaining()) == (False, 0.0)


def test_lease_counts_from_before_the_renewal_was_sent_and_ends_before_others_stop_waiting() -> None:
    clock = Clock()
    lease = Lease(3.0, clock)
    clock.now = 101.0
    lease.extend(100.0)
    assert lease.remaining() == pytest.approx(HELD_SHARE * 3.0 - 1.0)
    clock.now = 100.0 + HELD_SHARE * 3.0 - 0.01
    assert lease.held()
    clock.now = 100.0 + HELD_SHARE * 3.0
    assert (lease.held(), lease.remaining()) == (False, 0.0)
    assert HELD_SHARE < 1


def test_renewal_that_was_sent_earlier_shortens_nothing() -> None:
    clock = Clock()
    lease = Lease(3.0, clock)
    lease.extend(100.0)
    lease.extend(99.0)
    assert lease.remaining() == pytest.approx(HELD_SHARE * 3.0)


def test_ended_lease_is_held_again_after_a_renewal() -> None:
    lease = Lease(3.0, Clock())
    lease.extend(100.0)
    lease.end()
    assert not lease.held()
    lease.extend(100.0)
    assert lease.held()


def test_lease_of_a_server_alone_is_always_held() -> None:
    assert Lease.unlimited().held()


def test_clock_goes_on() -> None:
    assert elapsed() <= elapsed()
