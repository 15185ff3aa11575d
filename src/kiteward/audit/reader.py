"""Reads a trail: searches it, newest line first."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from kiteward.audit.events import Event, Outcome
from kiteward.audit.files import files_of
from kiteward.audit.hash_chain import moment
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument

MOST_LOOKED_AT: Final = 500_000
"""Most lines that one search reads; its page says where the next one continues."""

_BLOCK: Final = 64 * 1024
_BEGINNING: Final = b'{"seq":'

Entry = Mapping[str, Any]
"""One line of a trail, read."""


class Scope(StrEnum):
    """Which lines are looked at: those that replicas share, or all of this replica. A single server shares all."""

    ALL = "all"
    REPLICA = "replica"


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Selects lines; a line has to match every condition that is given.

    Attributes:
        user: the user of `by` or of `target`.
        by: the principal, the service that acted for it, or the user name that was presented.
        target: a user that the details name at any depth, such as the one whose password was reset.
        collection: one of the resources, or a collection that the details name at any depth, such as in a grant.
        database: the database of the request, or one that the details name at any depth.
        operation: name of the RPC or of the operation of our own.
        kind: the kind of the event, such as `user` or `refusal`.
        outcome: `received`, `committed`, `succeeded`, `failed` or `refused`.
        request_id: the request.
        replica: the name of the replica on which it happened.
        since: seconds since the epoch, inclusive.
        until: likewise, exclusive.
        before: only lines with smaller numbers than this.
        after: only lines with greater numbers than this. A search then finds the oldest of them.

    Raises:
        InvalidArgument: no line can ever fit: an unknown kind or outcome, or an end that is not after the beginning.
    """

    user: str = ""
    by: str = ""
    target: str = ""
    collection: str = ""
    database: str = ""
    operation: str = ""
    kind: str = ""
    outcome: str = ""
    request_id: str = ""
    replica: str = ""
    since: float | None = None
    until: float | None = None
    before: int | None = None
    after: int | None = None

    def __post_init__(self) -> None:
        _require_one_of("kind", self.kind, KINDS)
        _require_one_of("outcome", self.outcome, OUTCOMES)
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidArgument(
                "no line can match: the end (until) must be after the start (since)",
                ErrorDetail(ErrorCode.AUDIT_PERIOD_EMPTY),
                field="until",
            )

    def fits(self, entry: Entry) -> bool:
        """Return whether a line matches."""
        details = entry.get("details", {})
        told, database = {*entry.get("resources", ())}, entry.get("database")
        return (
            (not self.user or _is_by(entry, self.user) or _concerns(details, self.user))
            and (not self.by or _is_by(entry, self.by))
            and (not self.target or _concerns(details, self.target))
            and (not self.collection or self.collection in told or _holds(details, _COLLECTIONS, self.collection))
            and (self.database in ("", database) or _holds(details, _DATABASES, self.database))
            and self.operation in ("", entry.get("operation"))
            and self.kind in ("", entry["kind"])
            and self.outcome in ("", entry["outcome"])
            and self.request_id in ("", entry.get("request_id"))
            and self.replica in ("", entry.get("replica"))
            and (self.since is None or entry["time"] >= moment(self.since))
            and (self.until is None or entry["time"] < moment(self.until))
            and (self.before is None or entry["seq"] < self.before)
            and (self.after is None or entry["seq"] > self.after)
        )

    def needles(self) -> list[bytes]:
        """Return byte strings that every matching line contains, so that most others need not be decoded."""
        parts = [
            self.user,
            self.by,
            self.target,
            self.collection,
            self.database,
            self.operation,
            self.kind,
            self.outcome,
        ]
        parts += [self.request_id, self.replica]
        return [json.dumps(part).encode() for part in parts if part]


KINDS: Final = tuple(dict.fromkeys(event.kind for event in Event))
OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
"""Every kind and outcome that a line can have."""

_USERS: Final = frozenset({"user", "userName", "users", "userNames", "renamed", "byUserName", "targetUserName"})
_COLLECTIONS: Final = frozenset({"object", "objectName", "collection", "collectionName", "new_name", "target"})
_DATABASES: Final = frozenset({"database", "dbName", "new_database", "target_database"})
"""The keys under which details hold users, collections and databases."""


def _require_one_of(what: str, given: str, known: Sequence[str]) -> None:
    if given and given not in known:
        raise InvalidArgument(
            f"no such {what}: `{given}`; give one of {', '.join(known)}",
            ErrorDetail(ErrorCode.AUDIT_FILTER_UNKNOWN, {"name": given, "choices": ", ".join(known)}),
            field=what,
        )


def _is_by(entry: Entry, user: str) -> bool:
    return user in (entry.get("principal"), entry.get("actor"), entry.get("presented_user"))


def _concerns(details: Any, user: str) -> bool:
    """Return whether details name a user at any depth, also as the object of a grant."""
    if isinstance(details, list):
        return any(_concerns(each, user) for each in details)
    return isinstance(details, dict) and (
        _holds(details, _USERS, user)
        or (details.get("object_type") == "User" and details.get("object") == user)
        or (details.get("objectType") == "User" and details.get("objectName") == user)
        or any(_concerns(each, user) for each in details.values())
    )


def _holds(details: Any, names: frozenset[str], value: str) -> bool:
    """Return whether details hold a value under one of these keys, alone or in a list, at any depth."""
    if isinstance(details, dict):
        return any(
            (name in names and (each == value or (isinstance(each, list) and value in each)))
            or _holds(each, names, value)
            for name, each in details.items()
        )
    return isinstance(details, list) and any(_holds(each, names, value) for each in details)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What a search found.

    Attributes:
        entries: newest first.
        before: `AuditQuery.before` of the page of older lines; None at the end of the trail.
        after: `AuditQuery.after` of the page of newer lines; None where these are the newest.
    """

    entries: tuple[Entry, ...]
    before: int | None
    after: int | None = None


def newer_page(question: AuditQuery, found: Sequence[Entry], last: int | None) -> AuditPage:
    """Return the page of lines after a number.

    Args:
        question: the search, with `AuditQuery.after`.
        found: what it found, oldest first.
        last: the number of the last line that was looked at where there may be more; None at the end of the trail.
    """
    entries = tuple(reversed(found))
    oldest = entries[-1]["seq"] if entries else (question.after or 0) + 1
    return AuditPage(entries, oldest, last)


def after_of(question: AuditQuery, found: Sequence[Entry]) -> int | None:
    """Return `AuditPage.after` of a search that began at `AuditQuery.before` and found these, newest first."""
    if question.before is None:
        return None
    return found[0]["seq"] if found else question.before - 1


class AuditReader:
    """Reads the trail of a directory, while a writer may append to it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def search(self, question: AuditQuery, *, limit: int) -> AuditPage:
        """Return the newest matching lines.

        Args:
            question: which lines.
            limit: most entries of the page.

        Raises:
            OSError: the trail cannot be read.
        """
        if question.after is not None:
            return self._newer(question, limit)
        found: list[Entry] = []
        needles = question.needles()
        looked_at = 0
        for raw in self._backwards(question):
            seq = _seq(raw)
            if seq is None or (question.before is not None and seq >= question.before):
                continue
            looked_at += 1
            entry = read(raw) if all(needle in raw for needle in needles) else None
            if entry is not None and question.fits(entry):
                found.append(entry)
            if len(found) == limit or looked_at == MOST_LOOKED_AT:
                return AuditPage(tuple(found), seq, after_of(question, found))
        return AuditPage(tuple(found), None, after_of(question, found))

    def _newer(self, question: AuditQuery, limit: int) -> AuditPage:
        """Return the oldest matching lines after a number."""
        found: list[Entry] = []
        needles = question.needles()
        looked_at = 0
        for raw in self._forwards(question):
            seq = _seq(raw)
            if seq is None or seq <= (question.after or 0):
                continue
            looked_at += 1
            entry = read(raw) if all(needle in raw for needle in needles) else None
            if entry is not None and question.fits(entry):
                if len(found) == limit:
                    return newer_page(question, found, found[-1]["seq"])
                found.append(entry)
            if looked_at == MOST_LOOKED_AT:
                return newer_page(question, found, seq)
        return newer_page(question, found, None)

    def _forwards(self, question: AuditQuery) -> Iterator[bytes]:
        """Yield the lines of the files that can hold lines after a number, oldest first."""
        files = self._files(question)
        firsts = [_first_seq(path) for path in files]
        begin = max(
            (at for at, seq in enumerate(firsts) if seq is not None and seq <= (question.after or 0) + 1), default=0
        )
        for path in files[begin:]:
            with path.open("rb") as file:
                yield from (raw for raw in file if raw.endswith(b"\n"))

    def newest_first(self) -> Iterator[Entry]:
        """Yield every line, newest first.

        Raises:
            OSError: the trail cannot be read.
        """
        return filter(None, map(read, self._backwards(AuditQuery())))

    def every(self, question: AuditQuery) -> Iterator[Entry]:
        """Yield every matching line, oldest first.

        Raises:
            OSError: the trail cannot be read.
        """
        needles = question.needles()
        for path in self._files(question):
            with path.open("rb") as file:
                for raw in file:
                    entry = read(raw) if all(needle in raw for needle in needles) else None
                    if entry is not None and question.fits(entry):
                        yield entry

    def stored(self) -> Iterator[Entry]:
        """Yield every line that has the number of its event in the store, oldest first.

        Raises:
            OSError: the trail cannot be read.
        """
        for path in self._files(AuditQuery()):
            with path.open("rb") as file:
                for raw in file:
                    entry = read(raw) if b',"stored":' in raw else None
                    if entry is not None and "stored" in entry:
                        yield entry

    def _files(self, question: AuditQuery) -> list[Path]:
        """Return the files that can hold matching lines; a line is in the file of its day or in a later one."""
        files = files_of(self._directory) if self._directory.is_dir() else []
        if question.since is None:
            return files
        day = datetime.fromtimestamp(question.since, UTC).strftime("%Y-%m-%d")
        return [path for path in files if path.name >= f"audit-{day}"]

    def _backwards(self, question: AuditQuery) -> Iterator[bytes]:
        for path in reversed(self._files(question)):
            yield from _lines_backwards(path)


def read(raw: bytes) -> Entry | None:
    """Return a decoded line, or None if the bytes are not a line of a trail."""
    try:
        msgspec.json.decode(raw, type=_Readable)
        entry: Entry = json.loads(raw)
    except (msgspec.DecodeError, ValueError):
        return None
    return entry


def shown(value: Any) -> str:
    """Return a value of a line's details as text for people."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case dict():
            return f"({', '.join(f'{name}={shown(each)}' for name, each in value.items())})"
        case list():
            return ", ".join(map(shown, value)) or "none"
        case _:
            return str(value)


class _Readable(msgspec.Struct):
    """The fields that readers rely on, with their types; a line that differs was not written by Kiteward."""

    seq: int
    time: str
    kind: str
    outcome: Literal["received", "committed", "succeeded", "failed", "refused"]
    resources: list[str] = msgspec.field(default_factory=list)
    roles: list[str] = msgspec.field(default_factory=list)
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    stored: int = 0


def _seq(raw: bytes) -> int | None:
    """Return the number at the beginning of a line, without reading the rest."""
    digits = raw[len(_BEGINNING) : raw.find(b",")]
    return int(digits) if raw.startswith(_BEGINNING) and digits.isdigit() else None


def _first_seq(path: Path) -> int | None:
    """Return the number of the first line of a file."""
    with path.open("rb") as file:
        return _seq(file.readline(_BLOCK))


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file from its end, without one that is being written."""
    with path.open("rb") as file:
        position = file.seek(0, 2)
        rest = b""
        while position:
            size = min(_BLOCK, position)
            position -= size
            file.seek(position)
            first, *lines = (file.read(size) + rest).split(b"\n")
            # What follows the last newline is not a complete line yet.
            yield from (line for line in reversed(lines if rest else lines[:-1]) if line)
            rest = first or b"\n"
        if rest.strip():
            yield rest
