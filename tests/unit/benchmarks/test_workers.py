"""What is said of two workers beside one, from invented figures."""

import pytest
from benchmarks import workers
from benchmarks.workers import ONE, TWO, Figures


def measured(*, rates: tuple[float, float], times: tuple[float, float], ends: float) -> dict[str, Figures]:
    return {
        name: Figures([rate] * 3, [time] * 3, [ends] * 3)
        for name, rate, time in zip((ONE, TWO), rates, times, strict=True)
    }


def test_target_is_reached_by_calls_where_there_are_cores() -> None:
    found = measured(rates=(3000, 5700), times=(300, 310), ends=50)
    by_calls, by_time = workers.ratios(found)
    assert (by_calls.median, by_calls.progress) == (1.9, "reached")
    assert by_time.median == pytest.approx(2 * 300 / 310)
    assert workers.permitted(found, 4) > 2
    assert "limited nothing" in workers.limit_line(found, 4)


def test_cores_that_both_ends_take_are_told() -> None:
    found = measured(rates=(3000, 4700), times=(300, 310), ends=100)
    by_calls, by_time = workers.ratios(found)
    assert (by_calls.progress, by_time.progress) == ("not reached", "reached")
    assert workers.permitted(found, 2) == pytest.approx(2e6 / 410 / 3000)
    assert "permitted 1.63 times the calls of one worker" in workers.limit_line(found, 2)


def test_work_that_workers_do_beside_calls_is_seen() -> None:
    _, by_time = workers.ratios(measured(rates=(3000, 4000), times=(300, 400), ends=50))
    assert (by_time.median, by_time.progress) == (1.5, "not reached")


def test_table_names_both() -> None:
    text = workers.figures_table(measured(rates=(3000, 5700), times=(300, 310), ends=50))
    assert ONE in text
    assert TWO in text
