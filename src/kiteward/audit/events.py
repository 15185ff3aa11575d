"""What is recorded: one immutable event for each request or change that the trail covers."""

import operator
import sys
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple


class Outcome(StrEnum):
    """How a request ended, or how far it is: `committed` is stored in the transaction of a change, and only there."""

    RECEIVED = "received"
    COMMITTED = "committed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"


class Event(Enum):
    """The kind of an event: its code, whose meaning never changes, and its category."""

    AUTHENTICATION = (1001, "authentication")
    SESSION = (1002, "session")
    REFUSAL = (2001, "refusal")
    CLOSED_OPERATION = (2002, "refusal")
    UNKNOWN_OPERATION = (2003, "refusal")
    REQUESTS_LIMITED = (2004, "refusal")
    USER_CHANGE = (3001, "user")
    ROLE_CHANGE = (3002, "role")
    GRANT_CHANGE = (3003, "grant")
    GROUP_CHANGE = (3004, "privilege_group")
    KEY_CHANGE = (3005, "api_key")
    POLICY_CHANGE = (3006, "policy")
    ROW_POLICY_CHANGE = (3007, "row_policy")
    TAG_CHANGE = (3008, "tag")
    LIMIT_CHANGE = (3009, "limit")
    OBJECT_CHANGE = (3101, "object")
    ADMINISTRATIVE_READ = (4001, "administrative_read")
    DATA_READ = (5001, "data")
    DATA_WRITE = (5002, "data")
    DATA_DEFINITION = (5003, "data")
    STARTED = (9001, "system")
    STOPPED = (9002, "system")
    EVENTS_LOST = (9003, "system")
    EVENTS_LEFT_OUT = (9004, "system")
    TAIL_CUT = (9005, "system")
    FILES_EXPIRED = (9006, "system")
    LINES_MISSING = (9007, "system")
    HEAD_MISSING = (9008, "system")
    WRITABLE_AGAIN = (9009, "system")
    EXPORT_LOST = (9010, "system")
    STORED_EXPIRED = (9011, "system")
    BACKUP = (9012, "system")
    RESTORED = (9013, "system")

    def __init__(self, code: int, kind: str) -> None:
        self.code = code
        self.kind = kind


NOT_SHARED: Final = frozenset({Event.DATA_READ.kind, Event.ADMINISTRATIVE_READ.kind})
"""The kinds of events that stay in the trail of the replica."""

NO_DETAILS: Final[Mapping[str, Any]] = {}

DETAILS_LIMIT: Final = 256 * 1024
"""Bytes that the details of one change may take, unless its operation says otherwise; a larger change is refused."""

LONGEST_TEXT: Final = 256
"""Characters of one value of a shortened event; callers choose many of them."""

MOST_VALUES: Final = 32
"""Values of one list of a shortened event."""

HIDDEN: Final = "; answered as if it did not exist"
"""Suffix of the reason of a refusal whose response was the one for an object that does not exist."""

_CONTAINER: Final = 64
"""Bytes that a list or mapping takes beside what it holds, roughly."""

_TEXT: Final = 56
"""Bytes that a text takes beside its characters, roughly."""

_EVENT: Final = 512
"""Bytes that an event takes beside its texts, resources, roles and details, roughly."""


class AuditEvent(NamedTuple):
    """One event. Empty fields are not written.

    Attributes:
        event: its kind.
        time: when it was received, in seconds since the epoch.
        outcome: how it ended.
        request_id: the id of the request, which logs and responses carry too.
        principal: the user it ran as.
        actor: the service that acted for that user, with the key of a token exchange.
        presented_user: the user name that came with a credential that was not accepted; the caller chose it.
        credential: what the principal was verified by, in a form that reveals nothing.
        issuer: the identity provider of a federated principal, whatever its credential.
        subject: who the principal is there; empty where it has not signed in yet.
        address: the client's, as `host:port`.
        client: the SDK's name and version, as it states them.
        transport: `grpc`, `rest`, `scim`, `console`, `health` or `local`.
        operation: name of the RPC or of the operation of our own.
        database: the resolved database.
        resources: the collections, aliases or databases it is about.
        privilege: the privilege it needs.
        decision: `allowed` or `refused`; empty where none was needed, or what executes it has not decided.
        reason: the rule behind the decision, in full.
        error: what kind of error it ended with.
        duration: in seconds, until the outcome was known.
        details: what a change is about, without any secret.
        part: which part of an event this is, from 1, where one is written on several lines; 0 for a whole event.
        parts: how many parts there are; 0 for a whole event.
        roles: those of the principal, by which it was decided; the first of many.
        stored: the number of the same event in the store that replicas share; 0 where it is in the trail alone.
        line: of an event in that store, the number of its line in the trail of its replica.
    """

    event: Event
    time: float
    outcome: Outcome
    request_id: str = ""
    principal: str = ""
    actor: str = ""
    presented_user: str = ""
    credential: str = ""
    issuer: str = ""
    subject: str = ""
    address: str = ""
    client: str = ""
    transport: str = ""
    operation: str = ""
    database: str = ""
    resources: tuple[str, ...] = ()
    privilege: str = ""
    decision: str = ""
    reason: str = ""
    error: str = ""
    duration: float | None = None
    details: Mapping[str, Any] = NO_DETAILS
    part: int = 0
    parts: int = 0
    roles: tuple[str, ...] = ()
    stored: int = 0
    line: int = 0


def shortened(event: AuditEvent) -> tuple[AuditEvent, int]:
    """Return an event with bounded texts and lists, marked where they were cut, and its approximate size in bytes."""
    joined = _joined(event)
    if len(event.resources) > MOST_VALUES or (len(joined) > LONGEST_TEXT and _longest(event) > LONGEST_TEXT):
        texts: dict[str, Any] = {name: _short(getattr(event, name)) for name in TEXTS}
        event = event._replace(**texts, resources=_cut(event.resources)[0])
        joined = _joined(event)
    size = _bytes_of(event, joined)
    if not event.details:
        return event, size
    details, of_details = _cut(event.details)
    return event._replace(details=details), size + of_details


def shortened_details(
    details: Mapping[str, Any], *, most: int = MOST_VALUES, longest: int = LONGEST_TEXT
) -> Mapping[str, Any]:
    """Return details with bounded texts and lists, marked where they were cut.

    Args:
        details: the details.
        most: values of one list.
        longest: characters of one text.
    """
    cut: Mapping[str, Any] = _cut(details, most, longest)[0]
    return cut


def weight(value: Any) -> int:
    """Return the approximate size in memory, in bytes, of details or a part of them."""
    if isinstance(value, str):
        return sys.getsizeof(value)
    if isinstance(value, dict):
        return _CONTAINER + sum(weight(name) + weight(each) for name, each in value.items())
    if isinstance(value, list | tuple):
        return _CONTAINER + sum(map(weight, value))
    return 8


def weight_of(event: AuditEvent) -> int:
    """Return the approximate size of an event in memory, in bytes."""
    size = _bytes_of(event, _joined(event))
    return size + weight(event.details) if event.details else size


TEXTS: Final = tuple(name for name, kind in AuditEvent.__annotations__.items() if kind is str)
"""The fields that hold text, in their order."""

texts_of: Final[Callable[[AuditEvent], tuple[str, ...]]] = operator.attrgetter(*TEXTS)
"""Return the texts of an event, in the order of `TEXTS`."""


def _joined(event: AuditEvent) -> str:
    """Return all texts of an event except its details, joined into one text."""
    return "".join((*texts_of(event), *event.resources, *event.roles))


def _longest(event: AuditEvent) -> int:
    return max(map(len, (*texts_of(event), *event.resources)))


def _bytes_of(event: AuditEvent, joined: str) -> int:
    return _EVENT + sys.getsizeof(joined) + _TEXT * (len(TEXTS) + len(event.resources) + len(event.roles))


def _short(value: str, longest: int = LONGEST_TEXT) -> str:
    return value if len(value) <= longest else f"{value[:longest]}… ({len(value)} characters)"


def _cut(value: Any, most: int = MOST_VALUES, longest: int = LONGEST_TEXT) -> tuple[Any, int]:
    """Return a value whose texts and lists are bounded, and its weight."""
    if isinstance(value, str):
        text = _short(value, longest)
        return text, sys.getsizeof(text)
    size = _CONTAINER
    if isinstance(value, dict):
        shown: dict[str, Any] = {}
        for name, each in value.items():
            shown[name], added = _cut(each, most, longest)
            size += added + sys.getsizeof(name)
        return shown, size
    if isinstance(value, list | tuple):
        values = []
        for each in value[:most]:
            cut, added = _cut(each, most, longest)
            values.append(cut)
            size += added
        if len(value) > most:
            values.append(f"… ({len(value)} in all)")
            size += sys.getsizeof(values[-1])
        return values if isinstance(value, list) else tuple(values), size
    return value, 8
