"""Lists: what their address selects, their pages, and their export for spreadsheets.

Everything that a list shows is in its address: what is searched, filters, order and page. So it can be sent to
somebody else, and the browser's way back works.
"""

import csv
import io
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.api.console.way_back import BACK
from kiteward.domain.errors import InvalidArgument, NotFound
from kiteward.domain.moments import written
from kiteward.iam.json_api.base import MOST_LISTED
from kiteward.iam.json_api.listing import ListArguments, cut, matches, part_of

PAGE_SIZE: Final = 50
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,6}")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_BYTE_ORDER_MARK: Final = "\ufeff"
"""What tells spreadsheets that a file is UTF-8."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of a list selects.

    Attributes:
        path: the path of its page.
        contains: what is searched.
        sort: the field to sort by, with `-` before it for the highest first; empty for the order by name.
        page: the number of the page, from 1.
        filters: the values of its filters, by name; empty ones select everything.
        back: the way back of the page, which its other pages and orders keep.
    """

    path: str
    contains: str = ""
    sort: str = ""
    page: int = 1
    filters: Mapping[str, str] = field(default_factory=dict)
    back: str = ""

    @classmethod
    def of(cls, request: ConsoleRequest, *filters: str) -> "Asked":
        """Return what the address of a request selects, in a list with these filters."""
        page = request.query_value("page")
        return cls(
            request.http_request.url.path,
            request.query_value("q").strip(),
            request.query_value("sort"),
            int(page) if _NUMBER.fullmatch(page) else 1,
            {name: request.query_value(name).strip() for name in filters},
            request.query_value(BACK),
        )

    def arguments(self, *, offset: int | None = None, limit: int | None = None) -> dict[str, Any]:
        """Return what `ListArguments` take; without `offset` and `limit`, of the page."""
        return {
            "contains": self.contains,
            "sort": self.sort,
            "offset": (self.page - 1) * PAGE_SIZE if offset is None else offset,
            "limit": PAGE_SIZE if limit is None else limit,
            "total": True,
        }

    def cut(self, entries: Sequence[Any]) -> Sequence[Any]:
        """Return the entries of the page, from all of them."""
        return entries[(self.page - 1) * PAGE_SIZE : self.page * PAGE_SIZE]

    def link(self, *, page: int = 1, sort: str | None = None, path: str = "") -> str:
        """Return the address of the same list in another order, at another page, or of its export."""
        given = {"q": self.contains, **self.filters, "sort": self.sort if sort is None else sort}
        given[BACK] = "" if path else self.back
        query = urlencode([*((name, value) for name, value in given.items() if value), *_numbered(page)])
        return f"{path or self.path}?{query}" if query else path or self.path

    def order(self, column: str, *, by_name: bool = False) -> str:
        """Return in which order a column is: `ascending`, `descending`, or empty; without `sort` it is by name."""
        if self.sort in (column, f"-{column}"):
            return "descending" if self.sort.startswith("-") else "ascending"
        return "ascending" if by_name and not self.sort else ""

    def sorting(self, column: str, *, by_name: bool = False) -> str:
        """Return the address of the list in the order of a column; of one that is in it, in the opposite order."""
        opposite = self.order(column, by_name=by_name) == "ascending"
        return self.link(sort=f"-{column}" if opposite else column)

    @property
    def filtered(self) -> bool:
        """Whether it does not select everything."""
        return bool(self.contains or any(self.filters.values()))


def _numbered(page: int) -> list[tuple[str, str]]:
    return [("page", str(page))] if page > 1 else []


@dataclass(frozen=True, slots=True)
class Found:
    """A part of a list, and the length of the whole."""

    entries: Sequence[Any]
    total: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of a list.

    Attributes:
        asked: what it shows.
        total: the length of the list.
        exports: the path of its export; empty where there is none.
    """

    asked: Asked
    total: int
    exports: str = ""

    @property
    def pages(self) -> int:
        """How many pages the list has; one if it is empty."""
        return max(1, -(-self.total // PAGE_SIZE))

    @property
    def first(self) -> int:
        """The number of the first entry of the page, from 1."""
        return (self.asked.page - 1) * PAGE_SIZE + 1

    @property
    def last(self) -> int:
        """The number of the last entry of the page."""
        return min(self.asked.page * PAGE_SIZE, self.total)

    @property
    def beyond(self) -> bool:
        """Whether the page is behind the last one, as when entries were removed."""
        return self.asked.page > self.pages


Read = Callable[[ConsoleRequest, Asked, Mapping[str, Any]], Awaitable[Found]]
Values = Callable[[ConsoleRequest], Awaitable[Mapping[str, Any]]]


async def _nothing(_console_request: ConsoleRequest) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page with a list, and its export.

    Attributes:
        path: the path of the page; the export is at the same one with `.csv`.
        template: its template, which gets `list` (a `Shown`) and `entries`.
        read: reads the part of the list that `ListArguments` select.
        cells: the columns of the export: the name of the field, and its value of an entry.
        filters: the names of its filters.
        values: returns further values of the template.
    """

    path: str
    template: str
    read: Read
    cells: Mapping[str, Callable[[Any], object]]
    filters: tuple[str, ...] = ()
    values: Values = _nothing

    def pages(self) -> tuple[Page, ...]:
        """Return the page and its export."""
        return Page(self.path, self.show), Page(f"{self.path}.csv", self.export)

    async def show(self, request: ConsoleRequest) -> Response:
        """Show a page of the list; of one behind the last page, the last one."""
        asked = Asked.of(request, *self.filters)
        further = await self.values(request)
        try:
            found = await self.read(request, asked, asked.arguments())
        except (InvalidArgument, NotFound) as error:
            return self._refused(request, asked, request.reason(error.details), further)
        shown = Shown(asked, found.total, f"{asked.path}.csv")
        if shown.beyond:
            return request.redirect(asked.link(page=shown.pages))
        return request.page(self.template, list=shown, entries=found.entries, **further)

    def _refused(self, request: ConsoleRequest, asked: Asked, reason: Reason, further: Mapping[str, Any]) -> Response:
        shown = Shown(asked, 0)
        return request.page_with_errors(self.template, {"": reason}, list=shown, entries=[], **further)

    async def export(self, request: ConsoleRequest) -> Response:
        """Return all of the list as a file for spreadsheets."""
        asked = Asked.of(request, *self.filters)
        entries: list[Any] = []
        while True:
            arguments = asked.arguments(offset=len(entries), limit=MOST_LISTED)
            found = (await self.read(request, asked, arguments)).entries
            entries += found
            if len(found) < MOST_LISTED:
                break
        name = self.path.rpartition("/")[2]
        return Response(
            _BYTE_ORDER_MARK + as_csv(self.cells, entries),
            HTTPStatus.OK,
            {"Content-Disposition": f'attachment; filename="{name}.csv"'},
            "text/csv; charset=utf-8",
        )


def as_csv(cells: Mapping[str, Callable[[Any], object]], entries: Sequence[Any]) -> str:
    """Return entries as comma-separated values (RFC 4180), with the names of the fields in the first line."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(cells)
    writer.writerows([cell(value(each)) for value in cells.values()] for each in entries)
    return text.getvalue()


def cell(value: object) -> str:
    """Return a value as a cell of a spreadsheet, which does not take it for a formula."""
    if isinstance(value, datetime):
        return written(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def in_memory(
    entries: Sequence[Any],
    arguments: Mapping[str, Any],
    columns: Mapping[str, Callable[[Any], Any]],
    *searched: str,
) -> Found:
    """Return a part of a list that a Milvus RPC has answered as a whole.

    Args:
        entries: the list, in the order by name.
        arguments: as of `Asked.arguments`.
        columns: the value of an entry by each field that it can be sorted by; the first one is its name.
        searched: the columns that are searched; without any, the name.

    Raises:
        InvalidArgument: it cannot be sorted so.
    """
    name = next(iter(columns))
    part = part_of(ListArguments(**arguments), columns, name)
    texts = [columns[each] for each in searched or (name,)]
    chosen = [each for each in entries if matches(arguments["contains"], *(text(each) for text in texts))]
    found = cut(chosen, part, columns, name)
    return Found(found.entries, found.total or 0)
