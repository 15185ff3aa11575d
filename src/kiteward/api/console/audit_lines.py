"""Lines of the audit trail as pages show them: one row a change, and one for what is repeated."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from kiteward.api.console.audit_values import Fact, facts_of
from kiteward.api.console.browsers import browser_named
from kiteward.api.console.language import Language
from kiteward.audit.events import Event, Outcome
from kiteward.audit.reader import Entry
from kiteward.gateway.operations import OPERATIONS
from kiteward.iam.json_api import ADMIN_OPERATIONS

_BEGINNINGS: Final = (Outcome.RECEIVED.value, Outcome.COMMITTED.value)
_REPEATED: Final = frozenset(
    each.kind for each in (Event.AUTHENTICATION, Event.REFUSAL, Event.ADMINISTRATIVE_READ, Event.DATA_READ)
)
"""The kinds whose lines may be repeated often, because somebody tries or reads again."""

_NAMES: Final = frozenset({"collection", "collectionName", "database", "dbName"})
"""Details that may repeat the collection or the database of a line."""

_CONSOLE: Final = "console"
_BROWSER: Final = "Mozilla/"
"""What the `User-Agent` of every browser begins with."""

_OF_ROWS: Final = frozenset({"Query", "Search", "HybridSearch"})
"""The operations that read rows, among those with which a page of the console reads what it shows."""

_SHOWN_FACTS: Final = 4
_SHOWN_TEXT: Final = 240


@dataclass(frozen=True, slots=True)
class Line:
    """A line as pages show it.

    Attributes:
        seq: its number.
        entry: the line as it was recorded.
        facts: its details.
    """

    seq: int
    entry: Entry
    facts: Sequence[Fact]

    @property
    def known(self) -> Mapping[str, Any]:
        """The line as it was recorded, where every field that it does not have is empty."""
        return defaultdict(str, self.entry)

    @property
    def moment(self) -> datetime:
        """When it happened."""
        return datetime.fromisoformat(self.entry["time"])

    @property
    def operation(self) -> str:
        """The operation; of what has none, the kind."""
        return str(self.entry.get("operation", self.entry["kind"]))

    @property
    def who(self) -> str:
        """The user, or the name that was presented; empty for nobody."""
        return str(self.entry.get("principal", self.entry.get("presented_user", "")))

    @property
    def about(self) -> str:
        """The collections and the database."""
        resources = ", ".join(map(str, self.entry.get("resources", ())))
        return ".".join(filter(None, [self.entry.get("database", ""), resources]))

    @property
    def address(self) -> str:
        """Where from, without the port."""
        return str(self.entry.get("address", "")).rpartition(":")[0]

    @property
    def program(self) -> str:
        """The program that it came from: browsers by their names, others as they were recorded."""
        client = str(self.entry.get("client", ""))
        return (browser_named(client) or client) if client.startswith(_BROWSER) else client

    @property
    def part(self) -> str:
        """Which part of a long event it is."""
        return f"{self.entry['part']}/{self.entry['parts']}" if "parts" in self.entry else ""

    @property
    def explainable(self) -> bool:
        """Whether a privilege or a rule of an operation of our own decided it, so that it can be explained."""
        entry = self.entry
        if self.operation in ADMIN_OPERATIONS:
            return bool(entry.get("principal") and entry.get("decision"))
        return bool(entry.get("principal") and self.operation in OPERATIONS and entry.get("privilege"))

    @property
    def begins(self) -> bool:
        """Whether it is the beginning of a change."""
        return self.entry["outcome"] in _BEGINNINGS

    def folds(self) -> bool:
        """Return whether the facts are too many or too long to be shown at once."""
        return len(self.facts) > _SHOWN_FACTS or sum(len(each.text) for each in self.facts) > _SHOWN_TEXT


@dataclass(slots=True)
class Row:
    """A row of the page.

    Attributes:
        line: the line that it shows: of a change, the last, and of a page, that which read rows, else the last.
        earlier: the other lines of the same change, or of the same page, newest first.
        repeats: the lines before that say the same, newest first.
        hidden: whether the response said that the collection does not exist, and it exists now.
    """

    line: Line
    earlier: list[Line] = field(default_factory=list)
    repeats: list[Line] = field(default_factory=list)
    hidden: bool = False


def line_of(text: Language, entry: Entry) -> Line:
    """Return a line as pages show it."""
    details = entry.get("details", {})
    named = {*entry.get("resources", ()), entry.get("database")}
    told = {name: value for name, value in details.items() if name not in _NAMES or str(value) not in named}
    return Line(entry["seq"], entry, facts_of(text, told, of_tags=entry["kind"] == Event.TAG_CHANGE.kind))


def folded(text: Language, entries: Iterable[Entry], hidden: Iterable[int] = ()) -> list[Row]:
    """Return the rows of lines, newest first.

    The beginning of a change is folded into its end. What one page of the console read is one row, which names the
    reading of rows if there was one. Refusals or reads that follow one another and say the same are one row.
    """
    rows: list[Row] = []
    open_changes: dict[tuple[Any, ...], Row] = {}
    marked = frozenset(hidden)
    for entry in entries:
        line = line_of(text, entry)
        change = open_changes.get(_request(entry)) if line.begins else None
        if change is None and rows and _is_same_visit(rows[-1].line.entry, entry):
            _add_read(rows[-1], line)
        elif change is not None:
            change.earlier.append(line)
        elif rows and _says_the_same(rows[-1], entry):
            rows[-1].repeats.append(line)
        else:
            rows.append(Row(line, hidden=line.seq in marked))
            if entry.get("request_id"):
                open_changes[_request(entry)] = rows[-1]
    return rows


def without_ends(rows: Sequence[Row]) -> bool:
    """Return whether there are beginnings of changes whose ends are not among these rows."""
    return any(row.line.begins for row in rows)


def drop_ended(rows: Sequence[Row], newer: Iterable[Entry]) -> list[Row]:
    """Return the rows without beginnings of changes that ended in lines of the page of newer lines."""
    ended = {_request(entry) for entry in newer if entry["outcome"] not in _BEGINNINGS}
    return [row for row in rows if not (row.line.begins and _request(row.line.entry) in ended)]


def _request(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what the lines of one change have in common."""
    return tuple(entry.get(name) for name in ("replica", "request_id", "operation", "principal"))


def _is_same_visit(newer: Entry, entry: Entry) -> bool:
    """Return whether two reads are of one request, as those of a page are."""
    same = all(newer.get(name) == entry.get(name) for name in ("replica", "request_id", "outcome"))
    return same and bool(entry.get("request_id")) and _is_read(newer) and _is_read(entry)


def _is_read(entry: Entry) -> bool:
    of_data = entry.get("transport") == _CONSOLE and entry.get("code") == Event.DATA_READ.code
    return entry["kind"] == Event.ADMINISTRATIVE_READ.kind or of_data


def _add_read(row: Row, line: Line) -> None:
    """Add an earlier read of the same page to its row, which shows the first one that read rows."""
    if line.operation in _OF_ROWS and row.line.operation not in _OF_ROWS:
        row.line, line = line, row.line
        row.earlier.insert(0, line)
    else:
        row.earlier.append(line)


def _says_the_same(row: Row, entry: Entry) -> bool:
    """Return whether a line repeats that of a row, apart from its time and the port of the client."""
    before = row.line.entry
    if entry["kind"] not in _REPEATED or row.earlier or before["kind"] != entry["kind"]:
        return False
    names = ("replica", "operation", "principal", "presented_user", "actor", "outcome", "error", "reason", "database")
    same = all(before.get(name) == entry.get(name) for name in (*names, "resources", "client", "details"))
    return same and _host(before) == _host(entry)


def _host(entry: Entry) -> str:
    return str(entry.get("address", "")).rpartition(":")[0]
