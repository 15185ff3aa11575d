"""How old files are: never older than time that has passed, whatever clocks do."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kiteward.audit.retention import BEGUN, DAY, Retention, Seen

_steps = st.lists(
    st.tuples(
        st.floats(0, 400 * DAY),  # what passes
        st.floats(-5000 * DAY, 5000 * DAY) | st.just(0.0),  # how far somebody sets the clock
        st.booleans(),  # whether the machine restarts at the end of it
    ),
    max_size=20,
)


@given(_steps)
def test_elapsed_time_is_never_more_than_what_has_passed(steps: list[tuple[float, float, bool]]) -> None:
    passed, clock, uptime = 0.0, 1e10, 5e6
    seen = Seen().on(clock, uptime)
    for seconds, jump, starts_anew in steps:
        passed += seconds
        clock += seconds + jump
        uptime = seconds / 2 if starts_anew else uptime + seconds
        seen = seen.on(clock, uptime)
        assert seen.seconds <= passed * (1 + 1e-9) + 1e-3


@given(st.lists(st.floats(0, 30 * DAY), max_size=20))
def test_elapsed_time_is_what_has_passed_while_clock_and_machine_go_on(steps: list[float]) -> None:
    seen = Seen().on(1e9, 100.0)
    for seconds in steps:
        seen = seen.on(seen.clock + seconds, seen.uptime + seconds)
    assert abs(seen.seconds - sum(steps)) < 0.01


def retention(directory: Path, keep_days: int) -> Retention:
    return Retention(directory, keep_days, lambda _: None)


def test_file_is_old_when_the_one_after_it_was_begun_so_long_ago(tmp_path: Path) -> None:
    kept = retention(tmp_path, 2)
    begun = {"a": 0.0, "b": 1 * DAY, "c": 2 * DAY}
    assert kept.expired(begun, 3 * DAY - 1) == []
    assert kept.expired(begun, 3 * DAY) == ["a"]
    assert kept.expired(begun, 100 * DAY) == ["a", "b"]
    assert retention(tmp_path, 0).expired(begun, 1000 * DAY) == []


def test_what_is_not_known_or_comes_from_a_lost_head_counts_as_begun_now(tmp_path: Path) -> None:
    kept = retention(tmp_path, 2)
    assert kept.begun(["a"], 50.0) == {"a": 50.0}
    assert kept.begun(["a", "b"], 60.0) == {"a": 50.0, "b": 60.0}
    assert kept.begun(["a", "b"], 5.0) == {"a": 5.0, "b": 5.0}
    assert kept.begun(["b"], 70.0) == {"b": 5.0}
    (tmp_path / BEGUN).write_bytes(b"no JSON")
    assert kept.begun(["b"], 80.0) == {"b": 80.0}
