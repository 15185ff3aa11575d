"""One event, one line: JSON in ASCII, chained to the line before by SHA-256.

    {"seq":7,"time":"2026-11-27T10:00:00.000001Z",…,"chain":"<64 hex digits>"}

The chain of a line is SHA-256 over the chain of the line before and everything of this line before its `,"chain":`.
To change, remove or move a line unnoticed, every later line up to the head has to be computed again.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from kiteward.audit.events import AuditEvent, weight

BEGINNING: Final = "0" * 64
"""The chain that the first line follows."""

LONGEST_DETAILS: Final = 32 * 1024
"""Bytes of details on one line, about; an event that holds more is written in parts, one a line."""

_SEQ: Final = b'{"seq":'
_MARK: Final = b',"chain":"'
_TAIL: Final = len(_MARK) + 64 + len(b'"}')


class Line(NamedTuple):
    """A line as it was read.

    Attributes:
        body: what the chain covers.
        chain: the chain that the line holds.
        seq: its number.
        code: the code of its event.
    """

    body: bytes
    chain: str
    seq: int
    code: int


def moment(seconds: float) -> str:
    """Return a time in UTC with microseconds."""
    whole, microseconds = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{microseconds:06}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    """Return a time in UTC without a fraction; most events of a busy trail share theirs."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parts_of(event: AuditEvent) -> Sequence[AuditEvent]:
    """Return the events that take one line each: the event itself, or parts with a share of its details.

    Every part holds everything else of the event, so that a search finds each of them. Lists are cut between their
    elements: under one name, the elements of all parts in their order are the whole list.
    """
    if not event.details or weight(event.details) <= LONGEST_DETAILS:
        return (event,)
    shares: list[dict[str, Any]] = []
    room = 0
    for path, value in _pieces(event.details, ()):
        room -= weight(value) + sum(map(weight, path))
        if not shares or room < 0:
            shares.append({})
            room = LONGEST_DETAILS - weight(value) - sum(map(weight, path))
        _put(shares[-1], path, value)
    return [event._replace(details=share, part=number, parts=len(shares)) for number, share in enumerate(shares, 1)]


def _pieces(details: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what details hold, each with its path; a list piece by piece, each a list of one."""
    for name, value in details.items():
        path = (*above, name)
        if isinstance(value, dict) and value:
            yield from _pieces(value, path)
        elif isinstance(value, list) and value:
            yield from ((path, [each]) for each in value)
        else:
            yield path, value


def _put(share: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        share = share.setdefault(name, {})
    if isinstance(value, list) and path[-1] in share:
        share[path[-1]] += value
    else:
        share[path[-1]] = value


def encode(event: AuditEvent, seq: int, previous: str, *, replica: str = "") -> tuple[bytes, str]:
    """Return the line of an event, with its newline, and its chain.

    Args:
        event: what happened.
        seq: its number.
        previous: the chain of the line before.
        replica: the name of the replica on which it happened.
    """
    return _chained(_ascii(_document(event, seq, replica))[:-1], previous)


def moved(line: bytes, seq: int, previous: str) -> tuple[bytes, str]:
    """Return a line of another trail as one of this one, and its chain. Its number there is its field `line`.

    Args:
        line: a whole line, without its newline.
        seq: its number here.
        previous: the chain of the line before.
    """
    number, _, rest = line[:-_TAIL].removeprefix(_SEQ).partition(b",")
    return _chained(b'%b%d,%b,"line":%b' % (_SEQ, seq, rest, number), previous)


def _chained(body: bytes, previous: str) -> tuple[bytes, str]:
    chain = chain_of(body, previous)
    return b'%b%b%b"}\n' % (body, _MARK, chain.encode()), chain


def chain_of(body: bytes, previous: str) -> str:
    """Return the chain of a line."""
    return hashlib.sha256(previous.encode() + body).hexdigest()


def decode(line: bytes) -> Line | None:
    """Return the parts of a line without its newline, or None if it is not a line of a trail."""
    body, end = line[:-_TAIL], line[-_TAIL:]
    if not (end.startswith(_MARK) and end.endswith(b'"}')):
        return None
    try:
        read = msgspec.json.decode(body + b"}", type=_Numbered)
    except msgspec.DecodeError:
        return None
    return Line(body, end[len(_MARK) : -2].decode("ascii", "replace"), read.seq, read.code)


class _Numbered(msgspec.Struct):
    seq: int
    code: int


class _Document(msgspec.Struct, omit_defaults=True, gc=False):
    """What a line holds besides its chain, in the order in which it is written. Defaults are not written."""

    seq: int
    time: str
    kind: str
    code: int
    outcome: str
    replica: str = ""
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
    privilege: str = ""
    decision: str = ""
    reason: str = ""
    error: str = ""
    part: int = 0
    parts: int = 0
    resources: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    duration_ms: float | None = None
    details: Mapping[str, Any] | None = None
    stored: int = 0
    line: int = 0


def _document(event: AuditEvent, seq: int, replica: str) -> _Document:
    kind, duration = event.event, event.duration
    return _Document(
        seq,
        moment(event.time),
        kind.kind,
        kind.code,
        event.outcome.value,
        replica,
        event.request_id,
        event.principal,
        event.actor,
        event.presented_user,
        event.credential,
        event.issuer,
        event.subject,
        event.address,
        event.client,
        event.transport,
        event.operation,
        event.database,
        event.privilege,
        event.decision,
        event.reason,
        event.error,
        event.part,
        event.parts,
        event.resources,
        event.roles,
        None if duration is None else round(duration * 1000, 3),
        event.details or None,
        event.stored,
        event.line,
    )


_encoder: Final = msgspec.json.Encoder()


def _ascii(document: _Document) -> bytes:
    """Return JSON that holds printable ASCII only, so that it cannot forge lines or control a terminal."""
    try:
        encoded = _encoder.encode(document)
    except UnicodeEncodeError:
        return _escaped(_readable(msgspec.to_builtins(document)))
    return encoded if encoded.isascii() and b"\x7f" not in encoded else _escaped(msgspec.to_builtins(document))


def _escaped(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).replace("\x7f", "\\u007f").encode("ascii")


def _readable(value: Any) -> Any:
    """Return a value with a question mark for each half of a surrogate pair, which readers of JSON refuse."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_readable(name): _readable(each) for name, each in value.items()}
    return [_readable(each) for each in value] if isinstance(value, list | tuple) else value
