"""Counts the requests that limits refused, for one audit event for each caller and window instead of one for each."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from kiteward.audit.events import MOST_VALUES, AuditEvent, Event, Outcome
from kiteward.audit.writer import AuditSink
from kiteward.domain.errors import RequestsLimited
from kiteward.domain.identity import Principal

WINDOW: Final = 60.0
"""Seconds from the first refused request of a caller until they are recorded."""

_MOST_CALLERS: Final = 10_000
"""Callers that are told apart; the requests of further ones are recorded together."""


class _Caller(NamedTuple):
    """A user with one of its credentials, the service that acts with it, and who it is at an identity provider.

    All are empty for callers together.
    """

    user_name: str = ""
    credential: str = ""
    actor: str = ""
    issuer: str = ""
    subject: str = ""


class _Window:
    """The refused requests of one caller.

    Attributes:
        began: when the first was refused, in seconds of the clock.
        time: the same in seconds since the epoch.
        kinds: kind of limit -> number of requests.
        operations: operation -> number of requests.
        sentence: what the last one was refused with.
    """

    __slots__ = ("began", "kinds", "operations", "sentence", "time")

    def __init__(self, began: float) -> None:
        self.began = began
        self.time = time.time()
        self.kinds: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.sentence = ""


class LimitedCallers:
    """Counts refused requests by caller: a user with one of its credentials."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up without any count.

        Args:
            clock: returns seconds and never goes back.
        """
        self._clock = clock
        self._windows: dict[_Caller, _Window] = {}

    def add(self, principal: Principal, operation: str, error: RequestsLimited) -> None:
        """Count a refused request.

        Args:
            principal: its caller.
            operation: its operation, which exists.
            error: the refusal.
        """
        identity = principal.identity
        named = ("", "") if identity is None else (identity.issuer, identity.subject)
        caller = _Caller(principal.user_name, principal.credential, principal.actor, *named)
        if caller not in self._windows and len(self._windows) >= _MOST_CALLERS:
            caller = _Caller()
        window = self._windows.get(caller)
        if window is None:
            window = self._windows[caller] = _Window(self._clock())
        window.kinds[error.kind] += 1
        window.operations[operation] += 1
        window.sentence = str(error)

    def record_due(self, sink: AuditSink) -> None:
        """Record the callers whose windows are over; the next refused request of each begins a new one."""
        over = self._clock() - WINDOW
        self._record(sink, [caller for caller, window in self._windows.items() if window.began <= over])

    def record_all(self, sink: AuditSink) -> None:
        """Record all callers, also those whose windows are not over."""
        self._record(sink, list(self._windows))

    def _record(self, sink: AuditSink, callers: list[_Caller]) -> None:
        for caller in callers:
            sink.record(_event(caller, self._windows.pop(caller)))


def _event(caller: _Caller, window: _Window) -> AuditEvent:
    return AuditEvent(
        Event.REQUESTS_LIMITED,
        window.time,
        Outcome.REFUSED,
        principal=caller.user_name,
        credential=caller.credential,
        issuer=caller.issuer,
        subject=caller.subject,
        reason=window.sentence if caller.user_name else "",
        error=RequestsLimited.__name__,
        details={
            "requests": window.kinds.total(),
            "limits": dict(window.kinds),
            "operations": dict(window.operations.most_common(MOST_VALUES)),
        },
        actor=caller.actor,
    )
