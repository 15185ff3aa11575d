"""Keeps callers within the limits of their requests: token buckets and counts of running requests (decision 0055).

A caller to whom no limit applies costs a few comparisons with None, and leaves no state.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from kiteward.authz.policy import PolicySnapshot, decide_administrator
from kiteward.authz.request_limits import LimitedBy, applying
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import RequestsLimited
from kiteward.domain.identity import Principal
from kiteward.domain.request_limits import Counted, RequestLimits
from kiteward.gateway.call import RequestTurn

_KEPT: Final = 10_000
"""Buckets that are kept before those are removed that are full and have no running request."""

_CONCURRENT_AFTER: Final = 1.0
"""Seconds after which a caller with too many running requests is told to try again."""

KINDS: Final = ("rate", "concurrent")
"""The kinds of limits."""

HOLDERS: Final = ("user", "role", "api_key", "default")
"""Whose limit it is, as of `LimitedBy.kind`."""

_OPERATOR: Final = "local"
"""How the credential of the operator at this machine's command line is recorded."""


class _Bucket:
    """What is counted for one limit.

    Attributes:
        limits: the limits as of the last request.
        tokens: how many requests may come at once, as of `filled_at`.
        filled_at: seconds of the clock.
        running: how many are worked on.
    """

    __slots__ = ("filled_at", "limits", "running", "tokens")

    def __init__(self, limits: RequestLimits, now: float) -> None:
        self.limits = limits
        self.tokens = limits.size
        self.filled_at = now
        self.running = 0

    def fill(self, limits: RequestLimits, now: float) -> None:
        """Add the tokens of the time that has passed, by the limits that are in force now."""
        if limits.rate is not None:
            had = limits.size if self.limits.rate is None else self.tokens
            self.tokens = min(limits.size, had + (now - self.filled_at) * limits.rate)
        self.limits = limits
        self.filled_at = now

    def is_idle(self, now: float) -> bool:
        """Return whether a new bucket would be the same."""
        rate = self.limits.rate
        full = rate is None or self.tokens + (now - self.filled_at) * rate >= self.limits.size
        return full and not self.running


class RunningRequest:
    """A request that is worked on and counts against concurrent ones until it has ended."""

    __slots__ = ("_buckets",)

    def __init__(self, buckets: list[_Bucket]) -> None:
        self._buckets = buckets
        for bucket in buckets:
            bucket.running += 1

    def end(self) -> None:
        """Count it no longer."""
        for bucket in self._buckets:
            bucket.running -= 1
        self._buckets = []


class RequestLimiter:
    """Counts the requests of callers to whom limits apply, and refuses those that exceed one.

    The counts are this server's own: several replicas count apart.

    Attributes:
        refused: (kind of limit, whose limit) -> requests that it refused; of `KINDS` and `HOLDERS`.
    """

    def __init__(
        self, default: RequestLimits | None = None, *, replicas: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Set up without any counts.

        Args:
            default: the limits of each user that has no others, by the settings; None for none.
            replicas: by how many servers the callers are served; each allows its share of a limit.
            clock: returns seconds and never goes back.
        """
        self._default = default or None
        self._replicas = replicas
        self._clock = clock
        self._buckets: dict[LimitedBy, _Bucket] = {}
        self._most = _KEPT
        self.refused = Counter({(kind, holder): 0 for kind in KINDS for holder in HOLDERS})

    def begin(
        self, principal: Principal, snapshot: PolicySnapshot, counted: Counted, turn: RequestTurn | None = None
    ) -> RunningRequest | None:
        """Count a request that is about to be authorized, or refuse it.

        Args:
            principal: its caller.
            snapshot: the policy in force.
            counted: whose requests of this kind count.
            turn: the client's request that it is a part of, which is refused only at its first part; None where it is
                the whole.

        Returns:
            The request, which the caller ends when it has been answered; None where no limit applies.

        Raises:
            RequestsLimited: a limit is reached; nothing was counted.
        """
        if principal.limits is None and snapshot.role_limits is None and self._default is None:
            return None
        if _is_exempt(principal, counted):
            return None
        limits = applying(principal, snapshot.role_limits, self._default)
        if not limits:
            return None
        now = self._clock()
        buckets = [self._bucket(by, self._share(each), now) for by, each in limits]
        caller = (principal.user_name, principal.credential)
        if turn is None or turn.counted_for != caller:
            for (by, _), bucket in zip(limits, buckets, strict=True):
                self._require(by, bucket)
            for bucket in buckets:
                bucket.tokens -= 1.0
        if turn is not None:
            turn.counted_for = caller
        return RunningRequest(buckets)

    def _share(self, limits: RequestLimits) -> RequestLimits:
        """Return what this server allows of limits."""
        if self._replicas == 1:
            return limits
        return RequestLimits(
            None if limits.rate is None else limits.rate / self._replicas,
            None if limits.burst is None else max(1, limits.burst // self._replicas),
            None if limits.concurrent is None else max(1, limits.concurrent // self._replicas),
        )

    def _bucket(self, by: LimitedBy, limits: RequestLimits, now: float) -> _Bucket:
        bucket = self._buckets.get(by)
        if bucket is not None:
            bucket.fill(limits, now)
            return bucket
        if len(self._buckets) >= self._most:
            self._buckets = {held: each for held, each in self._buckets.items() if not each.is_idle(now)}
            self._most = max(_KEPT, 2 * len(self._buckets))
        bucket = self._buckets[by] = _Bucket(limits, now)
        return bucket

    def _require(self, by: LimitedBy, bucket: _Bucket) -> None:
        """Refuse a request that exceeds the limits of a bucket.

        Raises:
            RequestsLimited: it does.
        """
        limits = bucket.limits
        if limits.concurrent is not None and bucket.running >= limits.concurrent:
            self.refused["concurrent", by.kind] += 1
            raise RequestsLimited(
                f"too many concurrent requests: {_whose(by)} allows {limits.concurrent} at the same time; "
                "send fewer at once",
                ErrorDetail(ErrorCode.REQUESTS_CONCURRENT_LIMIT, {"limit": limits.concurrent}),
                kind="concurrent",
                retry_after=_CONCURRENT_AFTER,
            )
        if limits.rate is not None and bucket.tokens < 1.0:
            self.refused["rate", by.kind] += 1
            seconds = (1.0 - bucket.tokens) / limits.rate
            raise RequestsLimited(
                f"too many requests: {_whose(by)} allows {limits.rate:g} a second; try again in {seconds:.3g} seconds",
                ErrorDetail(ErrorCode.REQUESTS_RATE_LIMIT, {"limit": f"{limits.rate:g}", "seconds": f"{seconds:.3g}"}),
                kind="rate",
                retry_after=seconds,
            )


def _is_exempt(principal: Principal, counted: Counted) -> bool:
    """Return whether a request is not counted: of the operator here, about health, or to lift a limit."""
    if counted is Counted.NOBODY or principal.credential == _OPERATOR:
        return True
    return counted is Counted.OTHERS and decide_administrator(principal).allowed


def _whose(by: LimitedBy) -> str:
    match by.kind:
        case "user":
            return f"the limit of the user {by.name}"
        case "role":
            return f"the limit of the role {by.name}"
        case "api_key":
            return f"the limit of the API key {by.name}"
        case _:
            return "the limit of each user"
