"""What is noticed of every request on its way: counts and times, in plain numbers that each call can afford."""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from time import perf_counter

from kiteward.domain.identity import Principal
from kiteward.domain.policy import Condition, Decision, PolicySnapshot, decide
from kiteward.observe.counts import Outcome, RequestCounts
from kiteward.observe.latency import Histogram


class Stage(StrEnum):
    """A part of a request that takes time."""

    AUTHENTICATE = "authenticate"
    DECIDE = "decide"
    ENGINE = "engine"
    WHOLE = "whole"

    __hash__ = str.__hash__


class Watch:
    """Takes note of requests, their stages and their decisions; read when somebody asks.

    Attributes:
        requests: every request, by operation and outcome.
        decisions: how often it was `allowed` and how often `refused`.
        stages: how long each stage took. A request that waits for its turn is authenticated and decided on again.
        store: how long each `read` and `commit` of the store took.
    """

    def __init__(self) -> None:
        self.requests = RequestCounts()
        self.decisions = Counter({"allowed": 0, "refused": 0})
        self.stages = {stage: Histogram() for stage in Stage}
        self.store = {"read": Histogram(), "commit": Histogram()}

    def enter(self, operation: str) -> "Visit":
        """Begin to watch a request, whose operation exists."""
        return Visit(self, operation)

    def store_took(self, what: str, seconds: float) -> None:
        """Take note of a `read` or `commit`."""
        self.store[what].add(seconds)

    def took(self, stage: Stage, begun: float) -> None:
        """Take note of a stage that began at `begun`, of `time.perf_counter`, and has ended now."""
        self.stages[stage].add(perf_counter() - begun)

    def decide(self, principal: Principal, conditions: tuple[Condition, ...], snapshot: PolicySnapshot) -> Decision:
        """Decide as `kiteward.domain.policy.decide` does, and take note of it."""
        begun = perf_counter()
        decision = decide(principal, conditions, snapshot)
        self._decided(begun, allowed=decision.allowed)
        return decision

    def judge(self, rule: Callable[[Principal], Decision], principal: Principal) -> Decision:
        """Decide by a rule of another room, and take note of it."""
        begun = perf_counter()
        decision = rule(principal)
        self._decided(begun, allowed=decision.allowed)
        return decision

    def _decided(self, begun: float, *, allowed: bool) -> None:
        self.took(Stage.DECIDE, begun)
        self.decisions["allowed" if allowed else "refused"] += 1


class Visit:
    """One request that is being watched."""

    __slots__ = ("_begun", "_operation", "_watch")

    def __init__(self, watch: Watch, operation: str) -> None:
        self._watch = watch
        self._operation = operation
        self._begun = perf_counter()

    def leave(self, outcome: Outcome) -> None:
        """Take note of how it ended."""
        self._watch.requests.count(self._operation, outcome)
        self._watch.took(Stage.WHOLE, self._begun)
