"""The state of one request for the audit trail."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from kiteward.audit.events import NO_DETAILS, AuditEvent
from kiteward.audit.writer import AuditSink
from kiteward.authz.policy import Condition, Decision
from kiteward.domain.identity import Principal
from kiteward.gateway.call import AnyCall
from kiteward.gateway.operations import Operation
from kiteward.gateway.request_limiter import RunningRequest
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.gateway.rows import Row
from kiteward.milvus import messages
from kiteward.store.transaction import Transaction

if TYPE_CHECKING:  # few requests have any of them
    from kiteward.audit.shared import SharedEvents
    from kiteward.iam.policy_files.work import RecordedChange

_PARTS_AT_ONCE: Final = 128
"""Changes of one that are recorded together: the trail holds only so many bytes of what is waited for."""


class Recording:
    """The state of one request while it is handled.

    Attributes:
        call: the request.
        row: its row of the operation table, or of our own operations; None for an operation that does not exist.
        operation: the row, if it is that of an RPC.
        principal: the authenticated caller, once known.
        resolved: the resolved request, once known.
        decision: the decision, once made.
        undecided: whether what executes the request has still to decide, after the decision that any user may send it.
        condition: what it has decided, once it has.
        message: the decoded request, where it was decoded.
        details: the details of a change.
        in_full: the same before they were shortened, where replicas share the store.
        stored: the number of the event that the change has stored in its transaction; 0 if it has none.
        result: what a change did, in addition to its details.
        parts: the changes of which it consists, where each is recorded too when it has succeeded.
        status: the code in the engine's response, once it has answered; 0 for success.
        hidden: whether the response said that the object does not exist, because the principal may not know of it.
        apart: whether it is a change, which is recorded where it is executed and continues when its caller is gone.
        admitted: whether it is within the limits of its caller, and has a place at the engine where that takes one.
        running: what counts it as running, where the requests of its caller are limited.
        leave_engine: gives back its place at the engine, where it holds one.
    """

    __slots__ = (
        "admitted",
        "apart",
        "call",
        "condition",
        "decision",
        "details",
        "hidden",
        "in_full",
        "leave_engine",
        "message",
        "operation",
        "parts",
        "principal",
        "resolved",
        "result",
        "row",
        "running",
        "started",
        "status",
        "stored",
        "time",
        "undecided",
    )

    def __init__(self, call: AnyCall, row: Row | None) -> None:
        self.call = call
        self.row = row
        self.operation = row if isinstance(row, Operation) else None
        self.principal: Principal | None = None
        self.resolved: ResolvedRequest | None = None
        self.decision: Decision | None = None
        self.undecided = False
        self.condition: Condition | None = None
        self.message: messages.ProtocolMessage | None = None
        self.details: Mapping[str, Any] = NO_DETAILS
        self.in_full: Mapping[str, Any] = NO_DETAILS
        self.stored = 0
        self.result: dict[str, Any] = {}
        self.parts: list[RecordedChange] = []
        self.status = 0
        self.hidden = False
        self.apart = False
        self.admitted = False
        self.running: RunningRequest | None = None
        self.leave_engine: Callable[[], None] | None = None
        self.time = time.time()
        self.started = time.perf_counter()

    def note_decision(self, condition: Condition, decision: Decision) -> None:
        """Keep a decision of what executes the request. Of several, it is the one that refuses, or the first."""
        if self.undecided or not decision.allowed:
            self.condition, self.decision, self.undecided = condition, decision, False


class StoredChange:
    """The record of a change for the store that replicas share. Implements `policy_cache.ChangeRecord`."""

    def __init__(self, events: "SharedEvents", recording: Recording, event: Callable[[], AuditEvent]) -> None:
        self._events = events
        self._recording = recording
        self._event = event
        self._number = 0

    async def write(self, transaction: Transaction) -> None:
        self._number = await self._events.append(transaction, self._event())

    def committed(self) -> None:
        self._recording.stored = self._number


async def record_parts(sink: AuditSink, whole: AuditEvent, parts: "Sequence[RecordedChange]") -> None:
    """Record the changes of which one consists, each as if it had been made alone, in the same request.

    Raises:
        AuditUnavailable: they could not be recorded.
    """
    for first in range(0, len(parts), _PARTS_AT_ONCE):
        await asyncio.gather(
            *(
                sink.record_durably(whole._replace(event=part.event, operation=part.operation, details=part.details))
                for part in parts[first : first + _PARTS_AT_ONCE]
            )
        )
