"""The lines that a search of the audit trail selects, as a file: CSV for people, JSON Lines for programs.

Lines are read page by page while the file is sent, each page as the signed-in user, so that nothing is held and whoever
loses the right gets no further line.
"""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response, StreamingResponse

from kiteward.api.console.audit_search import FilterInvalid, Search
from kiteward.api.console.request import ConsoleRequest
from kiteward.audit.reader import Entry
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.json_api.audit import Lines, Wanted

MOST_EXPORTED: Final = 100_000
"""Lines of one file. What there is beyond is said at its end."""

_PAGE: Final = 1_000
_SECONDS: Final = 30.0
"""Seconds within which each page must be found."""

_COLUMNS: Final = (
    *("time", "outcome", "kind", "operation", "principal", "presented_user", "actor", "credential", "address"),
    *("client", "transport", "database", "resources", "privilege", "decision", "reason", "error", "roles"),
    *("details", "duration_ms", "request_id", "replica", "seq"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula. Callers choose some of the texts."""


async def export(request: ConsoleRequest) -> Response:
    """Send the lines of a search as a file."""
    search, kind = Search.of(request), request.query_value("format")
    try:
        wanted = search.wanted(_PAGE)
        found = await request.client.invoke("SearchAudit", wanted, Lines)
    except (FilterInvalid, InvalidArgument):
        return request.redirect("/console/audit", **search.given)  # which says what is wrong
    name, media_type, write = ("audit.jsonl", "application/jsonl", _json) if kind == "jsonl" else _CSV
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_written(request, wanted, found, write), media_type=media_type, headers=headers)


async def _written(
    request: ConsoleRequest, wanted: Wanted, found: Lines, write: Callable[[Iterable[Entry]], str]
) -> AsyncIterator[bytes]:
    if write is _csv:
        yield _rows([_COLUMNS]).encode()
    left = MOST_EXPORTED
    while True:
        yield write(found.lines).encode()
        left -= len(found.lines)
        if found.before is None:
            return
        if left <= 0:
            yield _the_rest(write, found.before).encode()
            return
        wanted.before, wanted.after = found.before, None
        client = replace(request.client, deadline=asyncio.get_running_loop().time() + _SECONDS)
        found = await client.invoke("SearchAudit", wanted, Lines)


def _the_rest(write: Callable[[Iterable[Entry]], str], before: int) -> str:
    """Return the last line of a file that does not have all lines."""
    told = f"{MOST_EXPORTED} lines; older ones are before line {before}"
    return _rows([(told,)]) if write is _csv else f"{json.dumps({'incomplete': told, 'before': before})}\n"


def _json(entries: Iterable[Entry]) -> str:
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)


def _csv(entries: Iterable[Entry]) -> str:
    return _rows([_cell(entry.get(name, "")) for name in _COLUMNS] for entry in entries)


def _cell(value: object) -> str:
    """Return a value as text that no spreadsheet calculates."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) and isinstance(value, str) else text


def _rows(rows: Iterable[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


_CSV: Final = ("audit.csv", "text/csv; charset=utf-8", _csv)
