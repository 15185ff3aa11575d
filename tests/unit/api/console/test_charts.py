"""Charts: where bars and lines are, and what a chart of nothing is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from kiteward.api.console.charts import HEIGHT, WIDTH, Series, lined, stacked

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def moments(count: int) -> list[datetime]:
    return [NOON + timedelta(minutes=number) for number in range(count)]


def series(key: str, *values: float | None) -> Series:
    return Series(key, values)


def test_bars_stand_on_one_another_and_the_latest_is_at_the_right_edge() -> None:
    chart = stacked("requests", moments(2), [series("good", 5, 10), series("bad", 0, 10)], slots=10)
    assert chart.top == 20
    first, second, third = chart.bars
    assert [(bar.key, bar.height) for bar in chart.bars] == [("good", 25), ("good", 50), ("bad", 50)]
    assert (first.y, second.y, third.y) == (HEIGHT - 25, HEIGHT - 50, 0)
    assert (first.x, second.x, third.x) == (WIDTH * 0.8, WIDTH * 0.9, WIDTH * 0.9)
    assert second.x + second.width <= WIDTH


def test_line_is_interrupted_where_there_is_no_value_and_a_value_alone_is_a_point() -> None:
    (line,) = lined("latency", moments(4), [series("p50", 1, 2, None, 4)], slots=4).lines
    assert line.path == "M125.0 80.0h1L375.0 60.0M875.0 20.0h1"
    assert line.single == "M875.0 20.0h1"


def test_series_without_values_has_no_line() -> None:
    chart = lined("latency", moments(2), [series("p50", None, None)], slots=4)
    assert (chart.lines, chart.empty) == ([], True)


@pytest.mark.parametrize(("values", "empty"), [([0, 0], True), ([0, 1], False), ([], True)])
def test_chart_of_zeros_is_empty(values: Sequence[float], empty: bool) -> None:
    assert stacked("requests", moments(len(values)), [series("good", *values)], slots=60).empty is empty


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (3, 5), (11, 20), (21, 25), (0.3, 0.5), (101, 200)])
def test_top_is_a_round_number_above_the_largest(most: float, top: float) -> None:
    assert stacked("requests", moments(1), [series("good", most)], slots=1).top == pytest.approx(top)
