"""Refusals counted in memory: the most frequent first, for a day, and within a bound."""

from kiteward.audit.refusals import RefusalCounts, Refused

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_780_800.0

    def __call__(self) -> float:
        return self.now


def test_most_frequent_come_first() -> None:
    counts = RefusalCounts(clock=Clock())
    counts.add(Refused("alice", "Search", "default", "docs"))
    for _ in range(3):
        counts.add(Refused("bob", "Insert"))
    assert counts.top(10) == [(Refused("bob", "Insert"), 3), (Refused("alice", "Search", "default", "docs"), 1)]
    assert counts.top(1) == [(Refused("bob", "Insert"), 3)]


def test_refusals_of_a_day_are_summed_and_older_ones_forgotten() -> None:
    clock = Clock()
    counts = RefusalCounts(clock=clock)
    counts.add(Refused("alice", "Search"))
    clock.now += 23 * HOUR
    counts.add(Refused("alice", "Search"))
    assert counts.top(10) == [(Refused("alice", "Search"), 2)]
    clock.now += 2 * HOUR
    assert counts.top(10) == [(Refused("alice", "Search"), 1)]
    clock.now += 24 * HOUR
    assert counts.top(10) == []


def test_somebody_who_is_refused_ever_different_things_fills_no_memory() -> None:
    counts = RefusalCounts(clock=Clock())
    for number in range(2_000):
        counts.add(Refused("alice", "Search", "default", f"guess{number}"))
    assert (len(counts.top(10_000)), counts.others()) == (500, 1_500)


def test_long_names_fill_no_memory() -> None:
    counts = RefusalCounts(clock=Clock())
    for end in ("a", "b"):
        counts.add(Refused("alice", "Search", "d" * 16_384 + end, "c" * 16_384 + end))
    assert counts.top(10) == [(Refused("alice", "Search", "d" * 255, "c" * 255), 2)]
