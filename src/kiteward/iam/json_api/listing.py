"""What lists have in common: their arguments, and the part of a list that they ask for."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.json_api.base import Arguments, page
from kiteward.store.listings import Slice

T = TypeVar("T")
State = TypeVar("State", bound=StrEnum)

_LAST_OFFSET: Final = 1_000_000_000


class ListArguments(Arguments):
    """Selects a part of a list.

    `contains` searches names and descriptions, regardless of the case of ASCII letters. `sort` is a field of the
    entries, with `-` before it for the highest first. `offset` entries are left out, and `limit` are returned. Instead
    of `offset`, `after` is `next` of the page before: what is added or removed meanwhile moves nothing then; it goes
    with the order by name only. With `total`, the answer has the length of the whole list.
    """

    after: str = ""
    contains: str = ""
    sort: str = ""
    offset: int = 0
    limit: int = 100
    total: bool = False


def part_of(arguments: ListArguments, columns: Collection[str], name: str) -> Slice:
    """Return the part of a list that is asked for.

    Args:
        arguments: the request.
        columns: the fields that the list can be sorted by.
        name: the one of them by which it is sorted otherwise.

    Raises:
        InvalidArgument: it cannot be sorted so, or `limit`, `offset` or `after` is not acceptable.
        LimitReached: `limit` is more than a page may have.
    """
    limit, column = page(arguments.limit), arguments.sort.removeprefix("-")
    if column and column not in columns:
        raise InvalidArgument(
            f"`sort` must be one of {', '.join(columns)}, with - before it for the highest first: {arguments.sort}",
            ErrorDetail(ErrorCode.SORT_UNKNOWN, {"name": arguments.sort, "known": ", ".join(columns)}),
            field="sort",
        )
    if not 0 <= arguments.offset <= _LAST_OFFSET:
        raise InvalidArgument(
            f"`offset` must be from 0 to {_LAST_OFFSET}",
            ErrorDetail(ErrorCode.OFFSET_OUT_OF_RANGE, {"limit": _LAST_OFFSET}),
            field="offset",
        )
    if arguments.after and arguments.sort not in ("", name):
        raise InvalidArgument(
            f"`after` goes with the order by {name} only: use `offset`",
            ErrorDetail(ErrorCode.AFTER_UNORDERED, {"name": name}),
            field="after",
        )
    return Slice(
        limit=limit,
        sort="" if column == name else column,
        descending=arguments.sort.startswith("-"),
        offset=arguments.offset,
        after=arguments.after,
        counted=arguments.total,
    )


def state_of(kind: type[State], given: str) -> State | None:
    """Return the state that a list is filtered by; None without one.

    Raises:
        InvalidArgument: there is no such state.
    """
    if given and given not in tuple(kind):
        raise InvalidArgument(
            f"`state` must be one of {', '.join(kind)}: {given}",
            ErrorDetail(ErrorCode.STATE_UNKNOWN, {"name": given, "known": ", ".join(kind)}),
            field="state",
        )
    return kind(given) if given else None


def next_of(part: Slice, names: Sequence[str]) -> str:
    """Return the value of `after` for the next page; empty at the end, and where a list is not sorted by name.

    Args:
        part: the part that was asked for.
        names: the names of its entries.
    """
    by_name = not part.sort and not part.descending
    return names[-1] if by_name and len(names) == part.limit else ""


@dataclass(frozen=True, slots=True)
class Cut(Generic[T]):
    """A part of a list that is in memory, and the length of the list where it was asked for."""

    entries: Sequence[T]
    next: str
    total: int | None


def cut(entries: Sequence[T], part: Slice, columns: Mapping[str, Callable[[T], Any]], name: str) -> Cut[T]:
    """Return a part of a list that is in memory, sorted as it is asked for; among equal entries, by name.

    Args:
        entries: the list, in the order by name.
        part: the part; after a name that is no longer in the list comes its beginning.
        columns: the value of an entry by each field that it can be sorted by.
        name: the field that names an entry.
    """
    names = columns[name]
    ordered = sorted(entries, key=columns[part.sort], reverse=part.descending) if part.sort else list(entries)
    if not part.sort and part.descending:
        ordered.reverse()
    total = len(ordered) if part.counted else None
    places = [names(each) for each in ordered]
    first = part.offset + (places.index(part.after) + 1 if part.after in places else 0)
    last = min(first + part.limit, len(ordered))
    more = last < len(ordered) and not part.sort and not part.descending
    return Cut(ordered[first:last], places[last - 1] if more else "", total)


def matches(text: str, *values: str) -> bool:
    """Return whether one of some values contains a text, regardless of case."""
    return any(text.casefold() in value.casefold() for value in values)
