"""What a draft has changed, and how the turn of a writer makes it true."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Delete, Insert, Update

from kiteward.store import queries
from kiteward.store.connections import WriteTransaction
from kiteward.store.records import Change, Subject

T = TypeVar("T")

_CHUNK: Final = 1000
"""Rows that are handled before the event loop gets control again."""

_FEED: Final = frozenset({Subject.USER, Subject.ROLE, Subject.GROUP, Subject.ISSUER, Subject.COLLECTION})
"""What a draft depends on. What a name stands for in the engine is not in the copy."""


@dataclass(frozen=True, slots=True)
class Written:
    """A statement, and the parameters of each time that it runs."""

    statement: Insert | Update | Delete
    rows: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Drafted:
    """What a draft changes.

    Attributes:
        revision: of what was copied.
        changes: what the change feed will hold.
        written: what is written, in this order.
        ends_keys: whether API keys may end with it, so that it depends on which there are.
    """

    revision: int
    changes: Sequence[Change]
    written: Sequence[Written]
    ends_keys: bool

    def depends_on(self, subject: Subject) -> bool:
        """Return whether a change of such a thing since then may let it be wrong."""
        return subject in _FEED or (self.ends_keys and subject is Subject.KEY)


async def write(write_transaction: WriteTransaction, drafted: Drafted, *, reach: int) -> bool:
    """Write what a draft changes, unless what it depends on has changed since it was copied.

    Args:
        write_transaction: the turn of a writer.
        drafted: what the draft changes.
        reach: how many revisions the change feed holds.

    Returns:
        Whether it was written.

    Raises:
        StoreUnavailable: it could not be written.
    """
    revision = (await write_transaction.rows(queries.REVISION))[0][0]
    feed = await write_transaction.rows(queries.feed_after(drafted.revision))
    if not drafted.revision <= revision <= drafted.revision + reach:
        return False
    if any(drafted.depends_on(Subject(subject)) for subject, _ in feed):
        return False
    for each in drafted.written:
        for rows in chunks(each.rows):
            await write_transaction.run(each.statement, list(rows))
    return True


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield rows in parts that do not keep the event loop for long."""
    return (rows[begin : begin + _CHUNK] for begin in range(0, len(rows), _CHUNK))
