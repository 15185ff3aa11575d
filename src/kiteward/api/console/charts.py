"""Charts of the overview, computed here and drawn by templates as SVG. No inline style and no script is needed.

Coordinates are in a box of 1000 by 100, which the style sheet stretches to the width of the page; so texts are HTML.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

WIDTH: Final = 1_000
HEIGHT: Final = 100
_GAP: Final = 0.15
"""The part of the width of a bar that is left empty beside it."""

_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
"""The top of a chart is one of these times a power of ten."""


@dataclass(frozen=True, slots=True)
class Series:
    """One row of numbers.

    Attributes:
        key: of its name among the texts, and of its colour among the classes.
        values: one for each moment; None where there is none.
    """

    key: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of one moment, as a rectangle."""

    key: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line, as the paths of an SVG.

    Attributes:
        key: of its text.
        path: all of it.
        single: of it, the moments without neighbours, which are drawn as points.
    """

    key: str
    path: str
    single: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        key: of its heading among the texts.
        moments: the beginning of each span.
        series: the numbers, for the table and the legend.
        slots: how many spans there is room for.
        top: the number at the upper edge.
        bars: the bars, stacked on one another.
        lines: the lines.
        decimals: digits after the point of its numbers.
    """

    key: str
    moments: Sequence[datetime]
    series: Sequence[Series]
    slots: int
    top: float
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    decimals: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for each in self.series for value in each.values)


def stacked(key: str, moments: Sequence[datetime], series: Sequence[Series], *, slots: int) -> Chart:
    """Return a chart of stacked bars.

    Args:
        key: of its heading.
        moments: the beginning of each span, the latest last.
        series: the numbers, the lowest first.
        slots: how many spans there is room for; earlier ones stay empty.
    """
    sums = [sum(value or 0 for value in values) for values in zip(*(each.values for each in series), strict=True)]
    top = _top(max(sums, default=0))
    step = WIDTH / slots
    bars = []
    for at in range(len(moments)):
        base = float(HEIGHT)
        for each in series:
            height = HEIGHT * (each.values[at] or 0) / top
            if height:
                base -= height
                x = _place(at, moments, slots) - step / 2
                bars.append(Bar(each.key, _round(x), _round(base), _round(step * (1 - _GAP)), _round(height)))
    return Chart(key, moments, series, slots, top, bars=bars)


def lined(key: str, moments: Sequence[datetime], series: Sequence[Series], *, slots: int) -> Chart:
    """Return a chart of lines, which are interrupted where a value is missing. The arguments are those of `stacked`."""
    top = _top(max((value or 0 for each in series for value in each.values), default=0))
    paths = {each.key: _parts(each.values, moments, top, slots) for each in series}
    lines = [
        Line(key, "".join(parts), "".join(part for part in parts if "L" not in part)) for key, parts in paths.items()
    ]
    return Chart(key, moments, series, slots, top, lines=[each for each in lines if each.path], decimals=1)


def _parts(values: Sequence[float | None], moments: Sequence[datetime], top: float, slots: int) -> list[str]:
    """Return a path for each run of moments that have a value."""
    parts: list[str] = []
    before: float | None = None
    for at, value in enumerate(values):
        if value is not None:
            x, y = _round(_place(at, moments, slots)), _round(HEIGHT * (1 - value / top))
            # A moment without neighbours is a short line, so that it is seen.
            if before is None:
                parts.append(f"M{x} {y}h1")
            else:
                parts[-1] += f"L{x} {y}"
        before = value
    return parts


def _place(at: int, moments: Sequence[datetime], slots: int) -> float:
    """Return the middle of a moment; the latest is at the right edge."""
    return (slots - len(moments) + at + 0.5) * WIDTH / slots


def _top(most: float) -> float:
    """Return a round number that is at least as large as the largest, and never 0."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in _STEPS if step * power >= most * 0.999_999)


def _round(number: float) -> float:
    return round(number, 2)
