"""What came of a run: how much was done, what was not known, and every fault by its class."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

SHOWN = 5
"""Examples that are kept of each class of faults."""


@dataclass(slots=True)
class Outcome:
    """What came of it.

    Attributes:
        made: kind -> how many revocations were made and tried on every server.
        seconds: how long each took until it was acknowledged, as its caller saw it.
        reads: how often a server was asked, and its answer held against what it may be.
        unavailable: how often a server answered that it is not available, or was not there, which is no fault.
        unknown: why the outcome of a change was not known -> how often.
        resolved: what became of those -> how often.
        abandoned: changes that a server may still make at any time, so that nothing was expected of them.
        faults: class -> how many: what was accepted that had been revoked, refused that should not be, or lost.
        examples: class -> some of them, in words.
    """

    made: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    reads: int = 0
    unavailable: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    resolved: Counter[str] = field(default_factory=Counter)
    abandoned: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def fault(self, kind: str, text: str) -> None:
        """Note a fault."""
        self.faults[kind] += 1
        if len(self.examples[kind]) < SHOWN:
            self.examples[kind].append(text)

    def quantile(self, share: float) -> float:
        """Return the seconds within which so many were acknowledged; 0 where none was."""
        ranked = sorted(self.seconds)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0

    def lines(self) -> Iterator[str]:
        """Yield what happened, for people."""
        yield f"{sum(self.made.values()):,} revocations, {self.reads:,} answers compared: {dict(self.made)}"
        yield (
            f"acknowledged after p50 {1000 * self.quantile(0.5):.0f} ms, p99 {1000 * self.quantile(0.99):.0f} ms; "
            f"{self.unavailable} times not available"
        )
        yield (
            f"{sum(self.unknown.values())} outcomes not known: {dict(self.unknown)}; what became of them: "
            f"{dict(self.resolved)}; {self.abandoned} changes abandoned, because they may be made late"
        )
        yield f"{sum(self.faults.values())} faults: {dict(self.faults)}"
        for kind, examples in self.examples.items():
            yield from (f"  {kind}: {example}" for example in examples)
