"""Limits of requests: what remains of several, and of defaults beside others."""

import pytest

from kiteward.domain.request_limits import HeldLimits, RequestLimits


def test_the_smallest_of_each_kind_remains() -> None:
    limits = (RequestLimits(10, burst=3), RequestLimits(5), RequestLimits(concurrent=4), RequestLimits(concurrent=2))
    assert RequestLimits.smallest(limits) == RequestLimits(5, burst=3, concurrent=2)
    assert RequestLimits.smallest(()) == RequestLimits()


@pytest.mark.parametrize(
    ("limits", "size"),
    [(RequestLimits(10), 10), (RequestLimits(0.1), 1), (RequestLimits(10, burst=40), 40), (RequestLimits(2.5), 2.5)],
)
def test_a_bucket_holds_the_burst_or_the_requests_of_a_second_and_one_at_least(
    limits: RequestLimits, size: float
) -> None:
    assert limits.size == size


def test_defaults_remain_for_the_kinds_that_nobody_else_limits() -> None:
    default = RequestLimits(10, burst=20, concurrent=4)
    assert default.without([]) == default
    assert default.without([RequestLimits(100)]) == RequestLimits(concurrent=4)
    assert default.without([RequestLimits(concurrent=9)]) == RequestLimits(10, burst=20)
    assert not default.without([RequestLimits(100), RequestLimits(concurrent=9)])


def test_limits_are_true_where_there_is_one() -> None:
    assert RequestLimits(1)
    assert RequestLimits(concurrent=1)
    assert not RequestLimits(burst=3)
    assert not HeldLimits()
    assert HeldLimits(keys=(("k", RequestLimits(1)),))
