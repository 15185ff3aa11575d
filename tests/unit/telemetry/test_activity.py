"""What the server did lately: counters sampled into minutes and quarters of an hour."""

from collections import Counter

import pytest

from kiteward.telemetry.activity import MINUTE, QUARTER, Activity, Numbers, numbers_of, total
from kiteward.telemetry.counters import Outcome
from kiteward.telemetry.latency import BOUNDS
from kiteward.telemetry.telemetry import Stage, Telemetry

NOON = 1_795_780_800.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Counted:
    """Counters that a test moves."""

    def __init__(self) -> None:
        self.numbers = Numbers()

    def __call__(self) -> Numbers:
        return self.numbers

    def grow(self, requests: int, refused: int = 0) -> None:
        self.numbers = self.numbers.plus(Numbers(requests, refused))


def activity() -> tuple[Activity, Counted, Clock]:
    counted, clock = Counted(), Clock()
    return Activity(counted, server="here", clock=clock), counted, clock


def test_what_grew_since_the_last_sample_counts_in_the_span_of_this_moment() -> None:
    found, counted, clock = activity()
    counted.grow(5, 1)
    found.sample()
    clock.now += MINUTE
    counted.grow(2)
    found.sample()
    found.sample()
    assert [each.numbers.requests for each in found.minutes()] == [5, 2]
    assert [each.begins for each in found.minutes()] == [NOON, NOON + MINUTE]
    assert [(each.numbers.requests, each.numbers.refused) for each in found.quarters()] == [(7, 1)]


def test_counters_before_the_start_do_not_count() -> None:
    counted = Counted()
    counted.grow(100)
    found = Activity(counted, clock=Clock())
    counted.grow(1)
    assert [each.numbers.requests for each in found.sample().minutes()] == [1]


def test_spans_without_samples_are_zero_and_those_before_the_start_are_left_out() -> None:
    found, counted, clock = activity()
    counted.grow(1)
    found.sample()
    clock.now += 3 * MINUTE
    assert [each.numbers.requests for each in found.minutes()] == [1, 0, 0, 0]


def test_an_hour_and_a_day_are_kept_and_no_more() -> None:
    found, counted, clock = activity()
    for _ in range(3 * 96):
        counted.grow(1)
        found.sample()
        clock.now += QUARTER
    clock.now -= QUARTER
    assert (len(found.minutes()), len(found.quarters())) == (60, 96)
    assert total(found.quarters()).numbers.requests == 96
    assert found.minutes()[-1].numbers.requests == 1
    assert len(found._minutes._held) <= 60
    assert len(found._quarters._held) == 96


def test_clock_that_is_set_back_leaves_nothing_in_the_future() -> None:
    found, counted, clock = activity()
    counted.grow(1)
    found.sample()
    clock.now -= 10 * MINUTE
    found.since = clock.now
    counted.grow(3)
    assert [each.numbers.requests for each in found.sample().minutes()] == [3]


def durations(*seconds: float) -> Numbers:
    return Numbers(durations=tuple(sum(1 for each in seconds if each <= bound) for bound in (*BOUNDS, float("inf"))))


@pytest.mark.parametrize(
    ("seconds", "share", "least", "most"),
    [
        ((0.004,) * 99 + (0.2,), 0.5, 0.0025, 0.005),
        ((0.004,) * 99 + (0.2,), 0.99, 0.0025, 0.005),
        ((0.004,) * 90 + (0.2,) * 10, 0.95, 0.1, 0.25),
        ((1e-6,), 0.5, 0.0, BOUNDS[0]),
        ((99.0,), 0.5, BOUNDS[-1], BOUNDS[-1]),
    ],
)
def test_a_quantile_is_within_the_bucket_that_holds_it(
    seconds: tuple[float, ...], share: float, least: float, most: float
) -> None:
    found = durations(*seconds).quantile(share)
    assert found is not None
    assert least <= found <= most


def test_without_requests_there_is_no_quantile() -> None:
    assert Numbers().quantile(0.5) is None


def test_counters_of_the_metrics_are_summed_by_what_became_of_requests() -> None:
    telemetry = Telemetry()
    for outcome in Outcome:
        telemetry.requests.count("Search", outcome)
    telemetry.stages[Stage.WHOLE].add(0.01)
    counts = Counter(
        {
            ("password", "verified"): 3,
            ("password", "remembered"): 1000,
            ("session", "verified"): 50,
            ("token", "verified"): 1,
            ("password", "refused"): 2,
            ("password", "throttled"): 1,
            ("api_key", "refused"): 4,
            ("none", "refused"): 60,
        }
    )
    found = numbers_of(telemetry, counts)
    assert (found.requests, found.refused, found.failed) == (len(Outcome), 4, 2)
    assert (found.accepted, found.rejected) == (4, 7)
    assert found.durations[-1] == 1
