"""Decides which requests are recorded in the audit trail, and when.

Changes are recorded before they begin and after they end; each line is on disk before the request continues. Refusals,
administrative reads and, by setting, data operations are recorded when they have ended. Changes are recorded in full or
refused; everything else is shortened. `audit_details` reads the recorded fields of a request; none is a secret.
"""

import asyncio
import functools
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from kiteward.audit.events import (
    DETAILS_LIMIT,
    MOST_VALUES,
    NO_DETAILS,
    AuditEvent,
    Event,
    Outcome,
    shortened_details,
    weight,
)
from kiteward.audit.refusals import RefusalCounts, Refused
from kiteward.audit.writer import AuditSink, AuditState
from kiteward.authn.api_keys import key_id_of
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import (
    AccessDenied,
    AuditUnavailable,
    AuthenticationError,
    KitewardError,
    LimitReached,
    OperationRefused,
    OperationUnknown,
    RequestsLimited,
)
from kiteward.domain.identity import KeyCredential, PasswordCredential, Principal, TokenCredential
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.gateway.audit_details import AT_ONCE
from kiteward.gateway.audit_outcomes import decision_of, name_of, object_of, outcome_of, refusal_of
from kiteward.gateway.call import AnyCall, rpc_call
from kiteward.gateway.followed_reads import FollowedReads
from kiteward.gateway.limited_callers import LimitedCallers
from kiteward.gateway.operations import Operation
from kiteward.gateway.recording import Recording, StoredChange, record_parts
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.gateway.rows import Row
from kiteward.iam.json_api.base import AdminOperation
from kiteward.milvus import messages
from kiteward.store.transaction import Transaction

if TYPE_CHECKING:  # only servers that share a store have them
    from kiteward.audit.shared import SharedEvents

_UNAUTHENTICATED_PER_SECOND: Final = 200
"""Most lines a second about unauthenticated callers. Further ones are only counted, so that nobody fills the disk."""

_CLIENTS: Final = 10_000
"""Most clients whose software is kept by the number that `Connect` gave them."""

_CLIENT_TEXT: Final = 64
"""Most characters that are kept of a client's kind, and of its version."""

_USER_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
"""A user name that is recorded with a wrong password; any other text may be a secret in the wrong field."""

_DATA: Final = frozenset({Event.DATA_READ, Event.DATA_WRITE, Event.DATA_DEFINITION})


class Recorder:
    """Records requests in an audit trail.

    Attributes:
        refusals: counts whose requests were refused.
    """

    def __init__(
        self,
        sink: AuditSink,
        *,
        data_operations: bool = True,
        shared: "SharedEvents | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up a recorder.

        Args:
            sink: writes the events.
            data_operations: whether data operations that were allowed are recorded too.
            shared: stores changes in their transactions too; None where no other replica shares the store.
            clock: returns seconds and never goes back.
        """
        self._sink = sink
        self._data_operations = data_operations
        self._shared = shared
        self._clock = clock
        self._clients: OrderedDict[str, str] = OrderedDict()
        self._second = self._strangers = self._left_out = 0
        self._limited = LimitedCallers()
        self._followed = FollowedReads(clock)
        self.refusals = RefusalCounts()

    def state(self) -> AuditState:
        """Return the state of the audit trail."""
        return self._sink.state()

    def require_working(self, row: Row) -> None:
        """Refuse an administrative read that could not be recorded. Changes are checked by `begin`.

        Raises:
            AuditUnavailable: the trail cannot be written.
        """
        if row.event is Event.ADMINISTRATIVE_READ and not self.state().working:
            raise AuditUnavailable("the audit trail cannot be written now, so the read is refused")

    async def begin(self, recording: Recording) -> None:
        """Record in full that a change is about to be executed.

        Raises:
            AuditUnavailable: that could not be recorded; the change must not be executed.
            LimitReached: it has more details than are recorded of one change; it must not be executed either.
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
        recording.in_full = NO_DETAILS if self._shared is None else recording.details
        # The trail has them in full already; the event at the end has enough to be found by.
        recording.details = shortened_details(recording.details)

    async def end(self, recording: Recording) -> None:
        """Record that a change has been executed.

        Raises:
            AuditUnavailable: the change was executed and its beginning is recorded, but its end is not.
        """
        outcome, name = outcome_of(recording, None)
        try:
            whole = self._event(recording, None, Outcome.SUCCEEDED, ended=False)
            await record_parts(self._sink, whole, recording.parts)
            await self._sink.record_durably(self._event(recording, _kind(recording), outcome, error=name))
        except AuditUnavailable:
            raise AuditUnavailable(
                f"the request has {outcome.value}, but that could not be recorded in the audit trail: check the "
                "current state before you repeat it",
                ErrorDetail(ErrorCode.AUDIT_END_UNRECORDED),
            ) from None

    def in_store(self, recording: Recording) -> StoredChange | None:
        """Return the record of a change for its transaction; None where the trail alone has it."""
        if self._shared is None or recording.row is None or not recording.row.changes:
            return None
        return StoredChange(self._shared, recording, functools.partial(self._committed, recording))

    def _committed(self, recording: Recording) -> AuditEvent:
        event = self._event(recording, _kind(recording), Outcome.COMMITTED, ended=False)
        return event._replace(details=recording.in_full, stored=0)

    def give_up(self, recording: Recording, error: BaseException) -> None:
        """Record that a change that had begun was not executed."""
        outcome, name = outcome_of(recording, error)
        self._sink.record(self._event(recording, _kind(recording), outcome, error=name, reason=refusal_of(error)))

    def note(self, recording: Recording, error: BaseException | None) -> None:
        """Record the end of a request that did not begin a change."""
        if error is None and (recording.decision is None or recording.decision.allowed):
            self._note_execution(recording, None)
        elif isinstance(error, AuthenticationError | OperationUnknown) and recording.principal is None:
            self._note_unauthenticated(recording, error)
        elif isinstance(error, RequestsLimited) and recording.principal is not None:
            self._limited.add(recording.principal, recording.call.operation, error)
        elif isinstance(error, OperationRefused):
            self._record_refusal(self._event(recording, Event.CLOSED_OPERATION, Outcome.REFUSED, error=name_of(error)))
        elif isinstance(error, AccessDenied) or (recording.decision is not None and not recording.decision.allowed):
            self._record_refusal(self._event(recording, Event.REFUSAL, Outcome.REFUSED, reason=refusal_of(error)))
        else:
            self._note_execution(recording, error)

    def _record_refusal(self, event: AuditEvent) -> None:
        self._sink.record(event)
        if event.principal:
            self.refusals.add(Refused(event.principal, event.operation, *_collection(event)))

    def _note_execution(self, recording: Recording, error: BaseException | None) -> None:
        kind = _kind(recording)
        if kind is not None and (self._data_operations or kind not in _DATA):
            outcome, name = outcome_of(recording, error)
            event = self._event(recording, kind, outcome, error=name, reason=refusal_of(error))
            row = recording.row
            place = row.continues_after if isinstance(row, AdminOperation) else ""
            if not (place and self._followed.continued_by(event, place)):
                self._sink.record(event)

    def note_system_event(self, event: Event, operation: str, **details: Any) -> None:
        """Record something that the server does on its own."""
        self._sink.record(_system_event(event, Outcome.SUCCEEDED, operation, details))

    def note_followed(self, operation: str, **details: Any) -> None:
        """Record how the store has followed a change of the catalog. See `SystemEventRecorder`."""
        self._sink.record(_system_event(Event.GRANT_CHANGE, Outcome.SUCCEEDED, operation, details), whole=True)

    async def store_system_event(self, transaction: Transaction, event: Event, operation: str, **details: Any) -> None:
        """Store a change that the server makes on its own in its transaction, where replicas share the store.

        Raises:
            StoreUnavailable: it could not be written.
        """
        if self._shared is not None:
            await self._shared.append(transaction, _system_event(event, Outcome.COMMITTED, operation, details))

    async def flush(self) -> None:
        """Record how many unauthenticated callers were left out, and whose requests exceeded limits."""
        self._record_left_out()
        self._limited.record_due(self._sink)

    def close(self) -> None:
        """Record whose requests exceeded limits, for the last time."""
        self._limited.record_all(self._sink)

    def _record_left_out(self) -> None:
        if self._left_out:
            details = {"events": self._left_out, "of": "unauthenticated callers"}
            self._sink.record(AuditEvent(Event.EVENTS_LEFT_OUT, time.time(), Outcome.SUCCEEDED, details=details))
            self._left_out = 0

    def learn(self, request: messages.ConnectRequest, answer: bytes) -> None:
        """Keep what a client reported about its software when it connected (contract 1.5)."""
        info = request.client_info
        number = str(messages.ConnectResponse.FromString(answer).identifier)
        told = (part[:_CLIENT_TEXT] for part in (info.sdk_type, info.sdk_version))
        self._clients[number] = " ".join(filter(None, told))
        while len(self._clients) > _CLIENTS:
            self._clients.popitem(last=False)

    def _note_unauthenticated(self, recording: Recording, error: KitewardError) -> None:
        second = int(self._clock())
        if second != self._second:
            self._record_left_out()
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
                error=name_of(error),
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
        call, row, operation = recording.call, recording.row, recording.operation
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
            principal.actor if principal is not None else "",
            presented_user,
            credential,
            *_issuer_and_subject(principal),
            call.address,
            self._clients.get(call.client_id, call.client) if call.client_id else call.client,
            call.transport,
            call.operation if row is not None else "unknown",
            *(object_of(recording) if operation is None or resolved is None else _objects(operation, resolved)),
            *decision_of(recording, reason, outcome),
            error,
            time.perf_counter() - recording.started if ended else None,
            details,
            roles=_roles(principal) if principal is not None and decision is not None else (),
            stored=recording.stored,
        )


def _system_event(event: Event, outcome: Outcome, operation: str, details: Mapping[str, Any]) -> AuditEvent:
    return AuditEvent(event, time.time(), outcome, operation=operation, transport="local", details=details)


def _issuer_and_subject(principal: Principal | None) -> tuple[str, str]:
    identity = None if principal is None else principal.identity
    return ("", "") if identity is None else (identity.issuer, identity.subject)


def _roles(principal: Principal) -> tuple[str, ...]:
    roles = principal.roles
    if len(roles) <= MOST_VALUES:
        return tuple(sorted(roles))
    return (*sorted(islice(roles, MOST_VALUES)), f"… ({len(roles)} in all)")


async def _in_full(recording: Recording, limit: int) -> Mapping[str, Any]:
    """Return the details of a change that its caller may make.

    Raises:
        LimitReached: there are more than are recorded of one change.
    """
    row = recording.operation
    if row is None:  # the executor has set those of an operation of our own
        return NO_DETAILS
    payload = rpc_call(recording.call).payload
    if len(payload) > limit:
        raise _too_large(recording, limit)
    read = functools.partial(row.details, payload, recording.message)
    return read() if len(payload) <= AT_ONCE else await asyncio.to_thread(read)


def _in_short(recording: Recording) -> Mapping[str, Any]:
    """Return the shortened details of a request that changes nothing; without authentication, none are read."""
    row = recording.operation
    if recording.principal is None or row is None or row.recorded is None:
        return NO_DETAILS
    payload = rpc_call(recording.call).payload
    return {"request_bytes": len(payload)} if len(payload) > AT_ONCE else row.details(payload, recording.message)


def _limit(recording: Recording) -> int:
    return DETAILS_LIMIT if recording.row is None else recording.row.details_limit


def _too_large(recording: Recording, limit: int) -> LimitReached:
    return LimitReached(
        f"{recording.call.operation} holds more than the {limit} bytes that the audit trail records of one change: "
        "split it into several",
        ErrorDetail(ErrorCode.AUDIT_DETAILS_LIMIT, {"operation": recording.call.operation, "limit": limit}),
    )


def _objects(operation: Operation, resolved: ResolvedRequest) -> tuple[str, tuple[str, ...]]:
    """Return the database and the resources of an RPC."""
    return resolved.database if operation.database else "", _resources(operation, resolved)


def _resources(operation: Operation, resolved: ResolvedRequest) -> tuple[str, ...]:
    paths = operation.new_collections + operation.aliases + operation.creates
    if not (paths or resolved.collections):
        return ()
    found = list(resolved.collections)
    for path in paths:
        value = resolved.fields[path]
        found += [str(each) for each in value] if isinstance(value, list) else [str(value)]
    return tuple(dict.fromkeys(name for name in found if name))


def _collection(event: AuditEvent) -> tuple[str, str]:
    """Return the database and the first collection of a request; those of Kiteward's own operations are arguments."""
    if event.database or event.resources:
        return event.database, next(iter(event.resources), "")
    collection = str(event.details.get("collectionName") or "")
    return str(event.details.get("dbName") or DEFAULT_DATABASE) if collection else "", collection


def _presented(call: AnyCall) -> tuple[str, str]:
    """Return the user name and the kind of a rejected credential."""
    credential = call.credential
    if isinstance(credential, PasswordCredential):
        return credential.user_name if _USER_NAME.fullmatch(credential.user_name) else "", "password"
    if isinstance(credential, KeyCredential):
        return "", f"key:{key_id_of(credential.key.reveal()) or 'unreadable'}"
    if isinstance(credential, TokenCredential):
        return "", "token"
    return "", ""


def _kind(recording: Recording) -> Event | None:
    return None if recording.row is None else recording.row.event
