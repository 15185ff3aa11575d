"""Token buckets and counts of running requests."""

from typing import Any

import pytest

from kiteward.authz.model import Policy
from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import RequestsLimited
from kiteward.domain.identity import Principal
from kiteward.domain.request_limits import Counted, HeldLimits, RequestLimits
from kiteward.gateway import request_limiter
from kiteward.gateway.call import RequestTurn
from kiteward.gateway.request_limiter import RequestLimiter, RunningRequest

SNAPSHOT = PolicySnapshot.compile(Policy(1, (), (), ()))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def alice(**limits: Any) -> Principal:
    return Principal("alice", limits=HeldLimits(RequestLimits(**limits)))


def begin(limiter: RequestLimiter, principal: Principal, **how: Any) -> RunningRequest | None:
    return limiter.begin(principal, SNAPSHOT, how.pop("counted", Counted.EVERYBODY), **how)


def passed(limiter: RequestLimiter, principal: Principal, number: int) -> int:
    """Return how many of so many requests in a row pass; each ends at once."""
    count = 0
    for _ in range(number):
        try:
            running = begin(limiter, principal)
        except RequestsLimited:
            continue
        assert running is not None
        running.end()
        count += 1
    return count


def test_a_burst_passes_and_then_the_rate() -> None:
    clock = Clock()
    limiter = RequestLimiter(clock=clock)
    assert passed(limiter, alice(rate=10, burst=5), 20) == 5
    for _ in range(10):
        clock.now += 0.1001
        assert passed(limiter, alice(rate=10, burst=5), 3) == 1
    clock.now += 3600
    assert passed(limiter, alice(rate=10, burst=5), 20) == 5


def test_a_refusal_says_when_the_request_can_succeed() -> None:
    clock = Clock()
    limiter = RequestLimiter(clock=clock)
    principal = alice(rate=0.5)
    begin(limiter, principal)
    with pytest.raises(RequestsLimited, match="the limit of the user alice allows") as refused:
        begin(limiter, principal)
    assert refused.value.retry_after == pytest.approx(2.0)
    assert (refused.value.kind, refused.value.code) == ("rate", ErrorCode.REQUESTS_RATE_LIMIT)
    clock.now += refused.value.retry_after - 0.01
    assert passed(limiter, principal, 1) == 0
    clock.now += 0.02
    assert passed(limiter, principal, 1) == 1
    assert limiter.refused["rate", "user"] == 2


def test_concurrent_requests_count_until_they_end() -> None:
    limiter = RequestLimiter()
    principal = alice(concurrent=2)
    first, _ = begin(limiter, principal), begin(limiter, principal)
    with pytest.raises(RequestsLimited, match="2 at the same time") as refused:
        begin(limiter, principal)
    assert refused.value.kind == "concurrent"
    assert first is not None
    first.end()
    first.end()
    begin(limiter, principal)
    with pytest.raises(RequestsLimited):
        begin(limiter, principal)


def test_a_request_that_one_limit_refuses_is_not_counted_for_another() -> None:
    clock = Clock()
    limiter = RequestLimiter(clock=clock)
    keys = (("k", RequestLimits(1)),)
    by_key = Principal("alice", limits=HeldLimits(RequestLimits(10), keys))
    assert passed(limiter, by_key, 5) == 1
    assert passed(limiter, alice(rate=10), 20) == 9


def test_the_credentials_of_a_user_share_its_limit_and_other_users_do_not() -> None:
    limiter = RequestLimiter(clock=Clock())
    held = HeldLimits(RequestLimits(3))
    by_key = Principal("alice", credential="key:k", limits=held)
    assert passed(limiter, Principal("alice", limits=held), 2) == 2
    assert passed(limiter, by_key, 5) == 1
    assert passed(limiter, Principal("bob", limits=held), 5) == 3


def test_a_changed_limit_is_in_force_at_the_next_request() -> None:
    clock = Clock()
    limiter = RequestLimiter(clock=clock)
    assert passed(limiter, alice(rate=10), 20) == 10
    clock.now += 1
    assert passed(limiter, alice(rate=2), 20) == 2
    assert passed(limiter, alice(concurrent=1), 20) == 20
    assert passed(limiter, alice(rate=5), 20) == 5


def test_several_calls_of_one_request_count_once_and_are_not_refused_halfway() -> None:
    limiter = RequestLimiter(clock=Clock())
    principal, turn = alice(rate=1, concurrent=1), RequestTurn()
    for _ in range(3):
        running = begin(limiter, principal, turn=turn)
        assert running is not None
        running.end()
    with pytest.raises(RequestsLimited):
        begin(limiter, principal, turn=RequestTurn())
    other = Principal("bob", limits=HeldLimits(RequestLimits(1)))
    begin(limiter, other, turn=turn)
    with pytest.raises(RequestsLimited):
        begin(limiter, other)


def test_administrators_may_always_lift_a_limit_and_others_are_counted_for_trying() -> None:
    limiter = RequestLimiter(clock=Clock())
    held = HeldLimits(RequestLimits(0.1))
    root = Principal("root", unrestricted=True, limits=held)
    admin = Principal("ann", frozenset({"admin"}), limits=held)
    for principal in (root, admin):
        assert passed(limiter, principal, 3) == 1
        assert begin(limiter, principal, counted=Counted.OTHERS) is None
    assert passed(limiter, alice(rate=0.1), 1) == 1
    with pytest.raises(RequestsLimited):
        begin(limiter, alice(rate=0.1), counted=Counted.OTHERS)
    assert begin(limiter, alice(rate=0.1), counted=Counted.NOBODY) is None


def test_the_operator_of_the_machine_is_not_limited() -> None:
    limiter = RequestLimiter(RequestLimits(0.1), clock=Clock())
    operator = Principal("root", unrestricted=True, credential="local")
    assert [begin(limiter, operator) for _ in range(3)] == [None] * 3


def test_a_caller_without_limits_leaves_no_state() -> None:
    limiter = RequestLimiter(clock=Clock())
    assert begin(limiter, Principal("alice")) is None
    assert limiter._buckets == {}


def test_replicas_divide_a_limit() -> None:
    limiter = RequestLimiter(replicas=4, clock=Clock())
    assert passed(limiter, alice(rate=40), 100) == 10
    running = [begin(limiter, Principal("bob", limits=HeldLimits(RequestLimits(concurrent=8)))) for _ in range(2)]
    with pytest.raises(RequestsLimited):
        begin(limiter, Principal("bob", limits=HeldLimits(RequestLimits(concurrent=8))))
    assert len(running) == 2


def test_idle_buckets_are_removed_and_busy_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limiter, "_KEPT", 10)
    clock = Clock()
    limiter = RequestLimiter(RequestLimits(1), clock=clock)
    busy = begin(limiter, Principal("busy"))
    for number in range(100):
        clock.now += 10
        passed(limiter, Principal(f"user{number}"), 1)
    assert busy is not None
    assert len(limiter._buckets) <= 12
    assert any(by.user_name == "busy" for by in limiter._buckets)
