"""One event, one line: JSON in ASCII, chained to the line before by SHA-256.

    {"seq":7,"time":"2026-11-27T10:00:00.000001Z",…,"chain":"<64 hex digits>"}

The chain of a line is SHA-256 over the chain of the line before and everything of this line that stands before its
`,"chain":`. Whoever changes, removes or moves a line has to compute every later one anew, up to the head.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from kiteward.domain.audit import AuditEvent

BEGINNING: Final = "0" * 64
"""What stands for the chain of a line before the first."""

LONGEST_TEXT: Final = 256
"""Characters of one value; callers choose many of them."""

_MOST_VALUES: Final = 32
_MARK: Final = b',"chain":"'
_TAIL: Final = len(_MARK) + 64 + len(b'"}')


class Line(NamedTuple):
    """A line as it was read.

    Attributes:
        body: what the chain covers.
        chain: the chain as it stands there.
        seq: its number.
        code: of its event.
    """

    body: bytes
    chain: str
    seq: int
    code: int


def moment(seconds: float) -> str:
    """Return a time in UTC with microseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def encode(event: AuditEvent, seq: int, previous: str) -> tuple[bytes, str]:
    """Return the line of an event, with its newline, and its chain.

    Args:
        event: what happened.
        seq: its number.
        previous: the chain of the line before.
    """
    body = _ascii(_document(event, seq))[:-1]
    chain = chain_of(body, previous)
    return b'%b%b%b"}\n' % (body, _MARK, chain.encode()), chain


def chain_of(body: bytes, previous: str) -> str:
    """Return the chain of a line."""
    return hashlib.sha256(previous.encode() + body).hexdigest()


def decode(line: bytes) -> Line | None:
    """Return the parts of a line without its newline, or None for what is no line of a trail."""
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


def _document(event: AuditEvent, seq: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "seq": seq,
        "time": moment(event.time),
        "kind": event.event.kind,
        "code": event.event.code,
        "outcome": event.outcome.value,
    }
    for name in _TEXTS:
        value = getattr(event, name)
        if value:
            document[name] = _short(value)
    if event.resources:
        document["resources"] = _values(event.resources)
    if event.duration is not None:
        document["duration_ms"] = round(event.duration * 1000, 3)
    if event.details:
        document["details"] = {name: _detail(value) for name, value in event.details.items()}
    return document


_TEXTS: Final = (
    "request_id",
    "principal",
    "presented_user",
    "credential",
    "address",
    "client",
    "transport",
    "operation",
    "database",
    "privilege",
    "decision",
    "reason",
    "error",
)


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]}… ({len(value)} characters)"


def _values(values: "tuple[Any, ...] | list[Any]") -> list[Any]:
    shown = [_detail(value) for value in values[:_MOST_VALUES]]
    return shown if len(values) <= _MOST_VALUES else [*shown, f"… ({len(values)} in all)"]


def _detail(value: Any) -> Any:
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, list | tuple):
        return _values(value)
    if isinstance(value, dict):
        return {name: _detail(each) for name, each in value.items()}
    return value


def _ascii(document: dict[str, Any]) -> bytes:
    """Return JSON that holds printable ASCII only, so that no terminal and no reader of lines is led astray by it."""
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:
        document = _readable(document)
        encoded = msgspec.json.encode(document)
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    return json.dumps(document, separators=(",", ":")).replace("\x7f", "\\u007f").encode("ascii")


def _readable(value: Any) -> Any:
    """Return a value with a question mark for each half of a surrogate pair, which readers of JSON refuse."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {name: _readable(each) for name, each in value.items()}
    return [_readable(each) for each in value] if isinstance(value, list) else value
