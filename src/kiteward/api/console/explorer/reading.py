"""Reads rows: by primary key, which is the only order that engines have, and sorted by a column as far as that goes.

To sort, the keys and the values of one column are read for all that a filter matches. There is a bound for it; beyond
it, rows are read by primary key, and only those of a page are sorted.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiteward.api.console.explorer.asked import Asked
from kiteward.api.console.explorer.cells import ranked, values_of
from kiteward.api.console.explorer.place import Place
from kiteward.api.console.request import ConsoleRequest
from kiteward.milvus import builders, json_codec, json_rows, messages
from kiteward.milvus.collection_fields import DataType, Field
from kiteward.milvus.messages import common_pb2

MOST_SORTED: Final = 10_000
"""The most rows that are sorted."""

_MOST_BYTES: Final = 32 * 2**20
_LONGEST: Final = 65_535
_WIDTH_OF_NUMBER: Final = 8
_MOST_READS: Final = 60

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a page.

    Attributes:
        rows: the rows in their order.
        following: the query string of the next page, or empty.
        total: how many rows match, where all of them are sorted, else None.
    """

    rows: Sequence[Row]
    following: str
    total: int | None = None


async def read(request: ConsoleRequest, place: Place, asked: Asked) -> Rows:
    """Return the rows of a page.

    Raises:
        RequestRefused: the filter is not valid, or the engine refuses.
        KitewardError: as `GatewayClient.call`.
    """
    key = place.shape.primary
    if key is not None and asked.ordered and asked.after is None:
        keys = await _sorted_keys(request, place, asked, key)
        if keys is not None:
            return await _part(request, place, asked, keys)
    found = await _by_key(request, place, asked)
    rows, following = found[: asked.size], ""
    if len(found) > asked.size and key is not None:
        following = asked.next_by_key(str(rows[-1][key.name]))
    if asked.ordered:
        by = asked.sort or (key.name if key else "")
        values = [values_of(row, [by], place.shape)[0] for row in rows]
        rows = [rows[position] for position in ranked(values, descending=asked.descending)]
    return Rows(rows, following)


async def _part(request: ConsoleRequest, place: Place, asked: Asked, keys: Sequence[Any]) -> Rows:
    """Return one page of the rows whose primary keys are sorted already."""
    key, last = place.shape.primary, asked.number * asked.size
    shown = keys[last - asked.size : last]
    if key is None or not shown:
        return Rows((), "", len(keys))
    found = await query(request, place, json_codec.among(key, shown), output_fields=asked.columns, limit=len(shown))
    by_key = {row[key.name]: row for row in found}  # a row that is deleted meanwhile is not shown
    rows = [by_key[each] for each in shown if each in by_key]
    return Rows(rows, asked.query(number=asked.number + 1) if last < len(keys) else "", len(keys))


async def _sorted_keys(request: ConsoleRequest, place: Place, asked: Asked, key: Field) -> list[Any] | None:
    """Return the primary keys of all that the filter matches, sorted by the column; None where there are too many."""
    by = asked.sort or key.name
    limit = min(MOST_SORTED + 1, _MOST_BYTES // sum(_width(place, name) for name in {by, key.name}))
    keys: list[Any] = []
    values: list[Any] = []
    read_bytes = made = 0
    reads = _in_key_order(request, place, asked, [key.name, by], limit)
    async with contextlib.aclosing(reads):
        async for found in reads:
            keys += [row[key.name] for row in found]
            values += [row.get(by) for row in found]
            read_bytes += sum(len(value) for row in found for value in row.values() if isinstance(value, str))
            made += 1
            if len(keys) > MOST_SORTED or read_bytes > _MOST_BYTES or made > _MOST_READS:
                return None
    order = await asyncio.to_thread(ranked, values, descending=asked.descending)
    return [keys[position] for position in order]


def _width(place: Place, name: str) -> int:
    """Return the most bytes that a value of a field has."""
    if place.shape.fields[name].kind < DataType.String:
        return _WIDTH_OF_NUMBER
    (field,) = (each for each in place.described.schema.fields if each.name == name)
    lengths = (each.value for each in field.type_params if each.key == "max_length" and each.value.isdecimal())
    return max(1, int(next(lengths, _LONGEST)))


async def _by_key(request: ConsoleRequest, place: Place, asked: Asked) -> list[Row]:
    """Return the rows of a page by primary key, and at least one more, if there is one."""
    rows: list[Row] = []
    reads = _in_key_order(request, place, asked, asked.columns, asked.size + 1)
    async with contextlib.aclosing(reads):
        async for found in reads:
            rows += found
            if len(rows) > asked.size:
                break
    return rows


async def _in_key_order(
    request: ConsoleRequest, place: Place, asked: Asked, output_fields: Sequence[str], limit: int
) -> AsyncGenerator[list[Row], None]:
    """Read what the filter matches behind the key of the page before, until there is no more.

    An engine may answer with more rows than it was asked for, or with fewer although there are more: with those that
    are certain to be next. Only an answer without rows is the end, as for the iterators of the SDKs.
    """
    key = place.shape.primary
    last = json_codec.primary_keys(asked.after, key)[0] if asked.after is not None and key is not None else None
    while True:
        expression = asked.filter
        if key is not None and last is not None:
            beyond = json_codec.beyond(key, last)
            expression = f"({expression}) and {beyond}" if expression else beyond
        found = await query(
            request,
            place,
            expression,
            output_fields=list(dict.fromkeys(output_fields)),
            partitions=[asked.partition] if asked.partition else (),
            limit=limit,
            in_key_order=True,
        )
        if not found:
            return
        yield found
        if key is None:
            return
        last = found[-1][key.name]


async def query(
    request: ConsoleRequest,
    place: Place,
    expression: str,
    *,
    output_fields: Sequence[str],
    limit: int,
    partitions: Sequence[str] = (),
    in_key_order: bool = False,
) -> list[Row]:
    """Return rows that a filter matches.

    Args:
        request: the request.
        place: the collection.
        expression: the filter, or empty.
        output_fields: names of fields to read.
        limit: most rows to read.
        partitions: names, none for all.
        in_key_order: whether rows with the least primary keys are returned, sorted by them, perhaps more or fewer than
            the limit.

    Raises:
        KitewardError: as `GatewayClient.call`.
    """
    asked = await asyncio.to_thread(
        builders.query,
        collection=place.name,
        expression=expression,
        output_fields=output_fields,
        partitions=partitions,
        limit=limit,
        in_key_order=in_key_order,
        consistency=common_pb2.ConsistencyLevel.Strong,
    )
    asked.db_name = place.database
    found = await request.client.call(asked, messages.QueryResults)
    return await asyncio.to_thread(json_rows.query_rows, found, allow_int64=True)
