"""Tables and verdicts: pure functions of what was measured."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rates = Mapping[str, Sequence[float]]
"""Peer -> calls a second, one figure for each round."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Kiteward against one yardstick.

    Attributes:
        what: what is compared.
        against: the yardstick.
        median, lowest, highest: of the rounds.
        budget: the bound, or None where there is none.
        target: where the figure is to get, or None where there is nothing to reach.
        at_most: whether budget and target are upper bounds.
    """

    what: str
    against: str
    median: float
    lowest: float
    highest: float
    budget: float | None = None
    target: float | None = None
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """`kept` or `missed`; empty without a budget."""
        return "" if self.budget is None else "kept" if self._within(self.budget) else "missed"

    @property
    def progress(self) -> str:
        """`reached` or `not reached`; empty without a target."""
        return "" if self.target is None else "reached" if self._within(self.target) else "not reached"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        spread = f"{self.lowest:.2f} to {self.highest:.2f}" if self.lowest != self.highest else ""
        budget, target = self._bound(self.budget), self._bound(self.target)
        return (self.what, self.against, f"{self.median:.2f}", spread, budget, self.verdict, target, self.progress)

    def _within(self, bound: float) -> bool:
        return self.median <= bound if self.at_most else self.median >= bound

    def _bound(self, bound: float | None) -> str:
        return "" if bound is None else f"{'at most' if self.at_most else 'at least'} {bound:g}"

    def as_json(self) -> dict[str, Any]:
        """Return what is written to the file."""
        return {
            "what": self.what,
            "against": self.against,
            "median": round(self.median, 3),
            "lowest": round(self.lowest, 3),
            "highest": round(self.highest, 3),
            "budget": self.budget,
            "verdict": self.verdict,
            "target": self.target,
            "progress": self.progress,
        }


def paired(
    what: str,
    rates: Rates,
    *,
    ours: str,
    against: str,
    budget: float | None = None,
    target: float | None = None,
    at_most: bool = False,
) -> Ratio:
    """Compare round by round: what disturbed the machine in one round disturbed both."""
    ratios = [mine / theirs for mine, theirs in zip(rates[ours], rates[against], strict=True)]
    return Ratio(what, against, statistics.median(ratios), min(ratios), max(ratios), budget, target, at_most)


def single(what: str, value: float, *, against: str, budget: float | None = None, target: float | None = None) -> Ratio:
    """Compare one figure with bounds that it must not pass."""
    return Ratio(what, against, value, value, value, budget, target, at_most=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rates_table(measured: Mapping[str, Rates], peers: Sequence[str]) -> str:
    """Return calls a second: the median of the rounds and, in brackets, the lowest and the highest."""
    rows = [[operation, *(spread(rates.get(peer)) for peer in peers)] for operation, rates in measured.items()]
    return table(["calls a second", *peers], rows)


def spread(figures: Sequence[float] | None) -> str:
    """Return the median of some figures and, in brackets, the lowest and the highest; a dash for none."""
    if not figures:
        return "-"
    return f"{statistics.median(figures):,.0f} ({min(figures):,.0f} to {max(figures):,.0f})"


def ratios_table(ratios: Iterable[Ratio]) -> str:
    """Return the ratios with their budgets and targets."""
    head = ["Kiteward", "against", "ratio", "rounds", "budget", "", "target", ""]
    return table(head, [ratio.cells for ratio in ratios])
