"""What replicas share of their audit trails: lines in one chain, and how far each replica's trail is in it.

What a line says is the business of `kiteward.audit`; here it is text with a number and a time.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Executable, Row, delete, func, insert, select, update

from kiteward.store import schema
from kiteward.store.connections import WriteTransaction

_HEAD_ROW: Final = 1
_events = schema.audit_events.c
_trails = schema.audit_trails.c
_head = schema.audit_head.c


class StoredHead(NamedTuple):
    """Where the chain of stored lines begins and ends.

    Attributes:
        first: number of the first line that is kept.
        before: the chain of the line before that.
        seq: number of the last line; 0 before there is any.
        chain: its chain.
        elapsed: seconds that have passed at least since the first line was stored.
    """

    first: int
    before: str
    seq: int
    chain: str
    elapsed: float


class StoredLine(NamedTuple):
    """A line to store.

    Attributes:
        seq: its number, which follows that of the line before.
        time: when its event happened, in seconds since the epoch.
        line: its text, without a newline.
    """

    seq: int
    time: float
    line: str


class LineRange(NamedTuple):
    """Selects stored lines.

    Attributes:
        first: their lowest number.
        last: their highest number.
        needles: texts that each line contains; the case of letters may be ignored.
        since: seconds since the epoch, inclusive.
        until: likewise, exclusive.
    """

    first: int
    last: int
    needles: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None


HEAD: Final[Executable] = select(_head.first, _head.before, _head.seq, _head.chain, _head.elapsed)


def head_of(rows: Sequence[Row[*tuple[Any, ...]]]) -> StoredHead:
    """Return the head that the rows of `HEAD` hold."""
    return StoredHead(*rows[0])


def lines_in(wanted: LineRange) -> Executable:
    """Select the texts of lines, the oldest first."""
    found = select(_events.line).where(_events.seq >= wanted.first, _events.seq <= wanted.last).order_by(_events.seq)
    for needle in wanted.needles:
        found = found.where(_events.line.contains(needle, autoescape=True))
    if wanted.since is not None:
        found = found.where(_events.time >= wanted.since)
    return found if wanted.until is None else found.where(_events.time < wanted.until)


def position_of(trail: str) -> Executable:
    """Select the number of the last line of a trail that was read for the store."""
    return select(_trails.line).where(_trails.trail == trail)


class AuditEvents:
    """Stored audit events inside a transaction. They advance no revision."""

    def __init__(self, write_transaction: WriteTransaction) -> None:
        self._write_transaction = write_transaction

    async def head(self) -> StoredHead:
        """Return where the chain begins and ends."""
        return head_of(await self._write_transaction.rows(HEAD))

    async def append(self, lines: Sequence[StoredLine], *, chain: str, elapsed: float) -> None:
        """Store lines after the last one. The caller has numbered and chained them.

        Args:
            lines: at least one.
            chain: the chain of the last of them.
            elapsed: seconds, as of `StoredHead`; not less than there.
        """
        rows = [{**line._asdict(), "elapsed": elapsed} for line in lines]
        await self._write_transaction.run(insert(schema.audit_events), rows)
        await self._set_head(seq=lines[-1].seq, chain=chain, elapsed=elapsed)

    async def position(self, trail: str) -> int:
        """Return the number of the last line of a trail that was read for the store; 0 if none was."""
        rows = await self._write_transaction.rows(position_of(trail))
        return int(rows[0][0]) if rows else 0

    async def move(self, trail: str, line: int, *, replica: str) -> None:
        """Store how far a trail was read.

        Args:
            trail: its random name.
            line: the number of the last line that was read.
            replica: the name of the replica whose trail it is.
        """
        values = {"line": line, "replica": replica}
        moved = update(schema.audit_trails).where(_trails.trail == trail).values(values)
        if not await self._write_transaction.run(moved):
            await self._write_transaction.run(insert(schema.audit_trails), {"trail": trail, **values})

    async def last_before(self, elapsed: float, *, within: int) -> tuple[int, str] | None:
        """Return number and text of the last line that was stored before a moment, or None.

        Args:
            elapsed: the moment, in the seconds of `StoredHead.elapsed`.
            within: looks at so many lines from the first on.
        """
        until = (await self.head()).first + within
        number = select(func.max(_events.seq)).where(_events.seq < until, _events.elapsed < elapsed).scalar_subquery()
        rows = await self._write_transaction.rows(select(_events.seq, _events.line).where(_events.seq == number))
        return (int(rows[0][0]), str(rows[0][1])) if rows else None

    async def remove_to(self, seq: int, *, chain: str) -> None:
        """Remove the lines up to this one, whose chain is given."""
        await self._write_transaction.run(delete(schema.audit_events).where(_events.seq <= seq))
        await self._set_head(first=seq + 1, before=chain)

    async def _set_head(self, **values: Any) -> None:
        await self._write_transaction.run(update(schema.audit_head).where(_head.id == _HEAD_ROW).values(**values))
