"""What of each request is recorded in the audit trail, and when.

Changes are recorded before they begin and when they have ended, each time on disk before anything goes on. Refusals,
administrative reads and, by setting, data operations are recorded when they have ended. Changes are recorded in full or
refused, everything else is shortened; `details` says which fields of a request are recorded, none of them a secret.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

from kiteward.audit.events import (
    DETAILS_LIMIT,
    HIDDEN,
    MOST_VALUES,
    NO_DETAILS,
    AuditEvent,
    Event,
    Outcome,
    shortened_details,
    weight,
)
from kiteward.audit.writer import AuditSink, AuditState
from kiteward.authn.api_keys import key_id_of
from kiteward.authz.policy import Decision
from kiteward.domain.errors import (
    AccessDenied,
    AuditUnavailable,
    AuthenticationError,
    KitewardError,
    LimitReached,
    OldPasswordWrong,
    OperationRefused,
    OperationUnknown,
)
from kiteward.domain.identity import KeyCredential, PasswordCredential, Principal
from kiteward.gateway.audit_details import AT_ONCE
from kiteward.gateway.call import Call
from kiteward.gateway.operations import Operation
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.gateway.rows import Row
from kiteward.milvus import messages

_UNAUTHENTICATED_PER_SECOND: Final = 200
"""Most lines a second about callers who are not let in; beyond, they are counted, so that nobody fills the disk."""

_CLIENTS: Final = 10_000
"""Most clients remembered by the number that `Connect` gave them."""

_CLIENT_TEXT: Final = 64
"""Characters that are kept of a client's kind, and of its version."""

_USER_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
"""What is recorded of a user name that came with a wrong password; anything else may be a secret in the wrong place."""

_DATA: Final = frozenset({Event.DATA_READ, Event.DATA_WRITE, Event.DATA_DEFINITION})


class Recording:
    """What becomes known of one request while it is handled.

    Attributes:
        call: the request.
        row: its row of the operation table, or of our own operations; None for an operation that does not exist.
        operation: the row, if it is an RPC's.
        principal: who calls, once that is established.
        resolved: what it is about, once that is settled.
        decision: whether it is allowed, once that is decided.
        message: the request as it was decoded, where it was.
        details: what a change is about.
        result: what came of a change beyond what was asked for.
        hidden: whether its object was answered to be absent, because the principal may not learn of it.
        apart: whether it is a change, which is recorded where it is carried out and goes on when its caller is gone.
    """

    __slots__ = (
        "apart",
        "call",
        "decision",
        "details",
        "hidden",
        "message",
        "operation",
        "principal",
        "resolved",
        "result",
        "row",
        "started",
        "time",
    )

    def __init__(self, call: Call, row: Row | None) -> None:
        self.call = call
        self.row = row
        self.operation = row if isinstance(row, Operation) else None
        self.principal: Principal | None = None
        self.resolved: ResolvedRequest | None = None
        self.decision: Decision | None = None
        self.message: Any = None
        self.details: Mapping[str, Any] = NO_DETAILS
        self.result: dict[str, Any] = {}
        self.hidden = False
        self.apart = False
        self.time = time.time()
        self.started = time.perf_counter()


class Recorder:
    """Records requests in an audit trail."""

    def __init__(
        self, sink: AuditSink, *, data_operations: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Set up a recorder.

        Args:
            sink: takes the events.
            data_operations: whether data operations that were allowed are recorded too.
            clock: seconds, never going back.
        """
        self._sink = sink
        self._data_operations = data_operations
        self._clock = clock
        self._clients: OrderedDict[str, str] = OrderedDict()
        self._second = 0
        self._strangers = 0
        self._left_out = 0

    def state(self) -> AuditState:
        """Return how the trail is."""
        return self._sink.state()

    def require_working(self, row: Row) -> None:
        """Let no administrative read pass that could not be recorded; changes find out when they begin.

        Raises:
            AuditUnavailable: the trail cannot be written.
        """
        if row.event is Event.ADMINISTRATIVE_READ and not self.state().working:
            raise AuditUnavailable("the audit trail cannot be written now, so the read is refused")

    async def begin(self, recording: Recording) -> None:
        """Record in full that a change is about to begin.

        Raises:
            AuditUnavailable: that could not be recorded; the change must not begin.
            LimitReached: it holds more than is recorded of one change; it must not begin either.
        """
        try:
            limit = _limit(recording)
            recording.details = recording.details or await _in_full(recording, limit)
            if weight(recording.details) > limit:
                raise _too_large(recording, limit)
            await self._sink.record_durably(self._event(recording, _kind(recording), Outcome.RECEIVED, ended=False))
        except (AuditUnavailable, LimitReached) as error:
            recording.details = shortened_details(recording.details)
            self.note(recording, error)
            raise
        # They are in the trail in full; how it ended is told with enough to be found by.
        recording.details = shortened_details(recording.details)

    async def end(self, recording: Recording, answer: bytes) -> None:
        """Record that a change which has begun has been carried out.

        Raises:
            AuditUnavailable: it is done and its beginning is recorded, but not how it ended.
        """
        outcome, name = _outcome(recording, None, answer)
        try:
            await self._sink.record_durably(self._event(recording, _kind(recording), outcome, error=name))
        except AuditUnavailable:
            raise AuditUnavailable(
                f"the request has {outcome.value}, but that could not be recorded in the audit trail: check the "
                "current state before you repeat it"
            ) from None

    def give_up(self, recording: Recording, error: BaseException) -> None:
        """Record that a change which has begun has not been carried out."""
        outcome, name = _outcome(recording, error, b"")
        self._sink.record(self._event(recording, _kind(recording), outcome, error=name))

    def note(self, recording: Recording, error: BaseException | None, answer: bytes = b"") -> None:
        """Record how a request has ended that did not begin to change anything."""
        kind = _kind(recording)
        if isinstance(error, AuthenticationError | OperationUnknown) and recording.principal is None:
            self._note_unauthenticated(recording, error)
        elif isinstance(error, OperationRefused):
            self._sink.record(self._event(recording, Event.CLOSED_OPERATION, Outcome.REFUSED, error=_name(error)))
        elif isinstance(error, AccessDenied) or (recording.decision is not None and not recording.decision.allowed):
            self._sink.record(self._event(recording, Event.REFUSAL, Outcome.REFUSED, reason=str(error or "")))
        elif kind is not None and (self._data_operations or kind not in _DATA):
            outcome, name = _outcome(recording, error, answer)
            self._sink.record(self._event(recording, kind, outcome, error=name))

    def note_system_event(self, event: Event, operation: str, **details: Any) -> None:
        """Record what the server does of its own accord."""
        self._sink.record(
            AuditEvent(event, time.time(), Outcome.SUCCEEDED, operation=operation, transport="local", details=details)
        )

    async def flush(self) -> None:
        """Say how many callers who were not let in have been left out since the last time."""
        self._tell_left_out()

    def _tell_left_out(self) -> None:
        if self._left_out:
            details = {"events": self._left_out, "of": "unauthenticated callers"}
            self._sink.record(AuditEvent(Event.EVENTS_LEFT_OUT, time.time(), Outcome.SUCCEEDED, details=details))
            self._left_out = 0

    def learn(self, request: bytes, answer: bytes) -> None:
        """Remember what a client told of itself when it connected (contract 1.5)."""
        info = messages.ConnectRequest.FromString(request).client_info
        number = str(messages.ConnectResponse.FromString(answer).identifier)
        told = (part[:_CLIENT_TEXT] for part in (info.sdk_type, info.sdk_version))
        self._clients[number] = " ".join(filter(None, told))
        while len(self._clients) > _CLIENTS:
            self._clients.popitem(last=False)

    def _note_unauthenticated(self, recording: Recording, error: KitewardError) -> None:
        second = int(self._clock())
        if second != self._second:
            self._tell_left_out()
            self._second, self._strangers = second, 0
        self._strangers += 1
        if self._strangers > _UNAUTHENTICATED_PER_SECOND:
            self._left_out += 1
            return
        known = isinstance(error, AuthenticationError)
        self._sink.record(
            self._event(
                recording,
                Event.AUTHENTICATION if known else Event.UNKNOWN_OPERATION,
                Outcome.REFUSED,
                error=_name(error),
                reason=getattr(error, "reason", "") or str(error),
            )
        )

    def _event(
        self,
        recording: Recording,
        kind: Event | None,
        outcome: Outcome,
        *,
        error: str = "",
        reason: str = "",
        ended: bool = True,
    ) -> AuditEvent:
        call, operation = recording.call, recording.operation
        principal, resolved, decision = recording.principal, recording.resolved, recording.decision
        details = recording.details or _in_short(recording)
        if recording.result:
            details = {**details, "result": dict(recording.result)}
        presented_user, credential = _presented(call) if principal is None else ("", principal.credential)
        return AuditEvent(
            kind or Event.ADMINISTRATIVE_READ,
            recording.time,
            outcome,
            call.request_id,
            principal.user_name if principal is not None else "",
            presented_user,
            credential,
            call.address,
            self._clients.get(call.client_id, call.client) if call.client_id else call.client,
            call.transport,
            call.operation if recording.row is not None else "unknown",
            resolved.database if resolved is not None and operation is not None and operation.database else "",
            _resources(operation, resolved) if operation is not None and resolved is not None else (),
            operation.privilege.name if operation is not None and operation.privilege is not None else "",
            "" if decision is None else ("allowed" if decision.allowed else "refused"),
            reason if decision is None else f"{decision.reason}{HIDDEN if recording.hidden else ''}",
            error,
            time.perf_counter() - recording.started if ended else None,
            details,
            roles=_roles(principal) if principal is not None and decision is not None else (),
        )


def _roles(principal: Principal) -> tuple[str, ...]:
    roles = principal.roles
    if len(roles) <= MOST_VALUES:
        return tuple(sorted(roles))
    return (*sorted(islice(roles, MOST_VALUES)), f"… ({len(roles)} in all)")


async def _in_full(recording: Recording, limit: int) -> Mapping[str, Any]:
    """Return the details of a change whose caller may make it.

    Raises:
        LimitReached: it is larger than what is recorded of one change.
    """
    row, payload = recording.operation, recording.call.payload
    if len(payload) > limit:
        raise _too_large(recording, limit)
    if row is None:
        return NO_DETAILS
    return row.details(payload) if len(payload) <= AT_ONCE else await asyncio.to_thread(row.details, payload)


def _in_short(recording: Recording) -> Mapping[str, Any]:
    """Return the details of what changes nothing; the payload of an unauthenticated caller is not read."""
    row, payload = recording.operation, recording.call.payload
    if recording.principal is None or row is None or row.recorded is None:
        return NO_DETAILS
    return {"request_bytes": len(payload)} if len(payload) > AT_ONCE else row.details(payload, recording.message)


def _limit(recording: Recording) -> int:
    return DETAILS_LIMIT if recording.row is None else recording.row.details_limit


def _too_large(recording: Recording, limit: int) -> LimitReached:
    return LimitReached(
        f"{recording.call.operation} holds more than the {limit} bytes that the audit trail records of one change: "
        "split it into several"
    )


def _resources(operation: Operation, resolved: ResolvedRequest) -> tuple[str, ...]:
    paths = operation.new_collections + operation.aliases + operation.creates
    if not (paths or resolved.collections):
        return ()
    found = list(resolved.collections)
    for path in paths:
        value = resolved.fields[path]
        found += [str(each) for each in value] if isinstance(value, list) else [str(value)]
    return tuple(dict.fromkeys(name for name in found if name))


def _presented(call: Call) -> tuple[str, str]:
    """Return the user name and the kind of a credential that was not accepted."""
    credential = call.credential
    if isinstance(credential, PasswordCredential):
        return credential.user_name if _USER_NAME.fullmatch(credential.user_name) else "", "password"
    if isinstance(credential, KeyCredential):
        return "", f"key:{key_id_of(credential.key.reveal()) or 'unreadable'}"
    return "", ""


def _kind(recording: Recording) -> Event | None:
    return None if recording.row is None else recording.row.event


def _outcome(recording: Recording, error: BaseException | None, answer: bytes) -> tuple[Outcome, str]:
    """Return how a request ended and the kind of error, which is all that is recorded of one: texts may quote data."""
    if isinstance(error, AccessDenied | AuthenticationError):
        return Outcome.REFUSED, _name(error)
    if isinstance(error, OldPasswordWrong):
        return Outcome.REFUSED, f"{_name(error)}: {error.reason}"
    if error is not None:
        return Outcome.FAILED, _name(error)
    code = messages.status_code(recording.call.operation, answer) if recording.operation is not None else 0
    return (Outcome.FAILED, f"status {code}") if code else (Outcome.SUCCEEDED, "")


def _name(error: BaseException) -> str:
    return type(error).__name__
