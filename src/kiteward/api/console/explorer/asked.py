"""What a page of rows shows, as its address has it, and the addresses of the pages around it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from kiteward.api.console.explorer.cells import columns, usual_columns
from kiteward.api.console.explorer.place import Place
from kiteward.api.console.request import ConsoleRequest
from kiteward.milvus.collection_fields import DataType

PAGE: Final = 50
"""Rows on one page unless another number is chosen."""

PAGE_SIZES: Final = (20, PAGE, 100)
DESCENDING: Final = "desc"
_ORDERED: Final = frozenset(
    {
        DataType.Bool,
        DataType.Int8,
        DataType.Int16,
        DataType.Int32,
        DataType.Int64,
        DataType.Float,
        DataType.Double,
        DataType.String,
        DataType.VarChar,
        DataType.Timestamptz,
    }
)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_MOST_STEPS: Final = 30
_MOST_CHARACTERS: Final = 1_500


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page of rows shows.

    Attributes:
        filter: an expression of Milvus, or empty.
        columns: the columns, the primary key first.
        partition: the only partition to read, or empty.
        size: how many rows a page has.
        sort: the column that rows are sorted by, or empty for the primary key.
        descending: whether they are sorted in descending order.
        view_as: the user for whom each row is marked as visible or hidden, or empty.
        number: the number of the page, from 1 on.
        after: by primary key, the key that the page before ended with, or None for the first page.
        steps: by primary key, `after` of the pages between the first one and this; the oldest are forgotten.
    """

    filter: str
    columns: Sequence[str]
    partition: str
    size: int
    sort: str
    descending: bool
    view_as: str
    number: int = 1
    after: str | None = None
    steps: Sequence[str] = ()

    @property
    def ordered(self) -> bool:
        """Whether another order is asked for than that in which engines read."""
        return bool(self.sort) or self.descending

    def query(self, **changed: Any) -> str:
        """Return the query string of the same page with something changed."""
        asked = replace(self, **changed)
        pairs = [("filter", asked.filter), ("partition", asked.partition), ("view_as", asked.view_as)]
        pairs += [("sort", asked.sort), ("order", DESCENDING if asked.descending else "")]
        pairs += [("size", "" if asked.size == PAGE else str(asked.size))]
        pairs += [("page", "" if asked.number == 1 else str(asked.number))]
        pairs = [pair for pair in pairs if pair[1]] + [("column", name) for name in asked.columns]
        pairs += [("step", key) for key in asked.steps]
        if asked.after is not None:
            pairs.append(("after", asked.after))
        return urlencode(pairs)

    def first(self, **changed: Any) -> str:
        """Return the query string of the first page, with something else changed."""
        return self.query(number=1, after=None, steps=(), **changed)

    def previous(self) -> str:
        """Return the query string of the page before, or empty where there is none, or it is not known any more."""
        before = self.number - 1
        if before <= 1:
            return self.first() if before else ""
        if self.after is None:
            return self.query(number=before)
        return self.query(number=before, after=self.steps[-1], steps=self.steps[:-1]) if self.steps else ""

    def last(self, total: int) -> str:
        """Return the query string of the last page of so many rows, or empty where the next page is the last."""
        number = -(-total // self.size)
        return self.query(number=number, after=None, steps=()) if number > self.number + 1 else ""

    def next_by_key(self, last: str) -> str:
        """Return the query string of the page after this one, which ends with a primary key."""
        steps = [*self.steps, *([] if self.after is None else [self.after])][-_MOST_STEPS:]
        while sum(map(len, steps)) > _MOST_CHARACTERS:
            steps.pop(0)
        return self.query(number=self.number + 1, after=last, steps=steps)


def asked_of(request: ConsoleRequest, place: Place) -> Asked:
    """Return what the address of a page of rows asks for; what it cannot ask for is left out."""
    parameters = request.http_request.query_params
    key = place.shape.primary
    sort, size, number = (request.query_value(name) for name in ("sort", "size", "page"))
    return Asked(
        filter=request.query_value("filter").strip(),
        columns=chosen_columns(parameters.getlist("column"), place),
        partition=request.query_value("partition"),
        size=int(size) if size in map(str, PAGE_SIZES) else PAGE,
        sort=sort if sort in sortable(place) and (key is None or sort != key.name) else "",
        descending=request.query_value("order") == DESCENDING,
        view_as=request.query_value("view_as").strip(),
        number=int(number) if _NUMBER.fullmatch(number) else 1,
        after=request.query_value("after") if "after" in parameters else None,
        steps=parameters.getlist("step")[-_MOST_STEPS:],
    )


def sortable(place: Place) -> list[str]:
    """Return the columns whose values have an order: not lists, JSON and vectors."""
    return [name for name, field in place.shape.fields.items() if field.kind in _ORDERED]


def chosen_columns(names: Sequence[str], place: Place) -> list[str]:
    """Return the chosen columns of a table in their order, the primary key among them; the usual ones for none."""
    chosen = {*names}
    key = place.shape.primary
    found = [name for name in columns(place.shape) if name in chosen]
    if not found:
        return usual_columns(place.shape)
    return found if key is None or key.name in chosen else [key.name, *found]
