"""What a run found, and what it consisted of."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """A request that did what it must not.

    Attributes:
        fuzzer: which one found it.
        what: what it did.
        smallest: the smallest request found that still does it, in words.
    """

    fuzzer: str
    what: str
    smallest: str

    def __str__(self) -> str:
        return f"{self.fuzzer}: {self.what}\n    {self.smallest}"


@dataclass(slots=True)
class Tally:
    """What a run consisted of.

    Attributes:
        requests: how many were sent, by fuzzer.
        answers: how many were answered how, by fuzzer.
        findings: what was found, the first of each kind.
    """

    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    findings: dict[str, Finding] = field(default_factory=dict)

    def sent(self, fuzzer: str, number: int = 1) -> None:
        """Count requests."""
        self.requests[fuzzer] += number

    def answered(self, fuzzer: str, how: object) -> None:
        """Count an answer."""
        self.answers[f"{fuzzer} {how}"] += 1

    def found(self, kind: str, finding: Finding) -> None:
        """Keep a finding, unless there is one of this kind."""
        self.findings.setdefault(kind, finding)

    def add(self, other: "Tally") -> None:
        """Add another run's."""
        self.requests += other.requests
        self.answers += other.answers
        for kind, finding in other.findings.items():
            self.found(kind, finding)
