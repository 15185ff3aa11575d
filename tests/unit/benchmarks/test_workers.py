"""What is said of two workers beside one, and beside two servers, from invented figures."""

import pytest
from benchmarks import workers
from benchmarks.workers import APART, ONE, TWO, Figures

Three = tuple[float, float, float]


def measured(*, rates: Three, times: Three = (300, 310, 310), ends: float = 50) -> dict[str, Figures]:
    """Return the figures of one worker, of two, and of two servers."""
    return {
        name: Figures([rate] * 3, [time] * 3, [ends] * 3)
        for name, rate, time in zip((ONE, TWO, APART), rates, times, strict=True)
    }


def test_target_is_reached_by_calls_where_there_are_cores() -> None:
    found = measured(rates=(3000, 5700, 5800))
    beside_one, beside_servers, _ = workers.ratios(found)
    assert (beside_one.median, beside_one.progress) == (1.9, "reached")
    assert beside_servers.median == pytest.approx(57 / 58)
    assert beside_servers.progress == "reached"
    assert workers.permitted(found, 4) > 2
    assert "limited nothing" in workers.limit_line(found, 4)


def test_cores_that_both_ends_take_are_told() -> None:
    found = measured(rates=(3000, 4700, 4750), ends=100)
    beside_one, beside_servers, _ = workers.ratios(found)
    assert (beside_one.progress, beside_servers.progress) == ("not reached", "reached")
    assert workers.permitted(found, 2) == pytest.approx(2e6 / 410 / 3000)
    assert "permitted 1.63 times the calls of one worker" in workers.limit_line(found, 2)


def test_work_that_workers_do_beside_calls_is_seen() -> None:
    _, by_calls, by_time = workers.ratios(measured(rates=(3000, 4000, 5000), times=(300, 400, 310)))
    assert (by_calls.median, by_calls.progress) == (0.8, "not reached")
    assert by_time.median == pytest.approx(400 / 310)


def test_table_names_all() -> None:
    text = workers.figures_table(measured(rates=(3000, 5700, 5800)))
    assert all(name in text for name in (ONE, TWO, APART))
