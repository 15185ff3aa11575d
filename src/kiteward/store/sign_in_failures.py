"""Wrong passwords that replicas count together, each step one statement that needs no transaction.

Names of users are here as digests, so that the size of a row does not depend on presented names. Times are those of the
database, so that the clocks of replicas do not matter. The end of an attempt that nobody reports is not waited for.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Executable, bindparam, case, delete, exists, literal, select, update

from kiteward.store import schema
from kiteward.store.connections import Rows
from kiteward.store.records import AttemptsHeld
from kiteward.store.statements import database_time, insert_with_conflicts

ANY: Final = "*"
"""Stands for all sources in the row of a user, and for all users in the row of a source."""

_DIGEST_BYTES: Final = 16
_table = schema.sign_in_failures
_held = _table.c

RunStatement = Callable[[Executable], Awaitable[Rows]]
"""Runs one statement that returns rows, and makes what it did visible to all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRules:
    """How wrong passwords are counted; times in seconds.

    Attributes:
        free: wrong passwords of one user from one source before there are waits, those being verified included.
        waits: how long to wait after that many, and after each further one; the last holds for all that follow.
        forgotten_after: the time without an attempt after which earlier ones no longer count.
        lost_after: the time without an attempt after which one that has not ended is taken for lost.
        source_burst: wrong passwords from one source, for any users, before their rate is limited.
        source_rate: wrong passwords a second that are then still verified.
        capacity: the most rows; those unused longest are removed first.
    """

    free: int
    waits: Sequence[float]
    forgotten_after: float
    lost_after: float
    source_burst: float
    source_rate: float
    capacity: int


class Attempts:
    """Implements `kiteward.store.base.Attempts`, which documents the contract of each method."""

    def __init__(self, run: RunStatement, dialect: str) -> None:
        """Take what runs statements.

        Args:
            run: runs one.
            dialect: the name of the dialect of the database.
        """
        self._run = run
        self._dialect = dialect

    async def begin(self, user: str, source: str, rules: AttemptRules) -> AttemptsHeld:
        digest, now = digest_of(user), database_time()
        failures, running = _failures(now, rules), _running(now, rules)
        values = select(*(literal(each) for each in (digest, source, 0.0, 1)), now, literal(0.0)).where(
            ~exists().where(*_named(ANY, source), _level(now, rules) >= rules.source_burst)
        )
        new = insert_with_conflicts(_table, self._dialect).from_select([column.name for column in _held], values)
        begun = new.on_conflict_do_update(
            index_elements=[_held.user_digest, _held.source],
            set_={"failures": failures, "running": running + 1, "changed_at": now},
            where=(_held.wait_until <= now) & ((failures + running < rules.free) | (running == 0)),
        )
        rows = await self._run(begun.returning(_held.failures))
        if rows:
            return AttemptsHeld(int(rows[0][0]), begun=True)
        return await self._why(digest, source, rules)

    async def end(self, user: str, source: str, rules: AttemptRules, *, right: bool | None) -> int:
        digest = digest_of(user)
        if right:
            for each in (source, ANY):
                await self._run(delete(_table).where(*_named(digest, each)).returning(_held.source))
            return 0
        if right is None:
            ended = case((_held.running > 0, _held.running - 1), else_=0)
            await self._run(update(_table).where(*_named(digest, source)).values(running=ended).returning(_held.source))
            return 0
        await self._add(digest, source, rules)
        now = database_time()
        await self._add_one(ANY, source, _level(now, rules) + 1)
        return int((await self._add_one(digest, ANY, _failures(now, rules) + 1))[0][0])

    async def expire(self, rules: AttemptRules) -> None:
        now = database_time()
        old = (_held.changed_at < now - rules.forgotten_after) & (_held.wait_until < now)
        newest = select(_held.changed_at).order_by(_held.changed_at.desc()).offset(rules.capacity).limit(1)
        beyond = _held.changed_at <= newest.scalar_subquery()
        for each in (old, beyond):
            await self._run(delete(_table).where(each).returning(_held.source))

    async def _why(self, digest: str, source: str, rules: AttemptRules) -> AttemptsHeld:
        """Return why an attempt was not begun; the reason may be over by now."""
        now = database_time()
        found = select(_held.user_digest, _failures(now, rules), _held.wait_until - now, _level(now, rules)).where(
            _held.user_digest.in_((digest, ANY)), _held.source == source
        )
        rows = {row[0]: row for row in await self._run(found)}
        _, failures, wait, _ = rows.get(digest, (digest, 0, 0.0, 0.0))
        level = rows[ANY][3] if ANY in rows else 0.0
        return AttemptsHeld(int(failures), max(0.0, wait), level)

    async def _add(self, digest: str, source: str, rules: AttemptRules) -> None:
        """Count a wrong password of a user at a source, and let the next one wait."""
        now = database_time()
        failures, running = _failures(now, rules) + 1, _running(now, rules)
        steps = [(failures == rules.free + step, now + wait) for step, wait in enumerate(rules.waits)]
        waiting = case((failures < rules.free, _held.wait_until), *steps, else_=now + rules.waits[-1])
        first = {"user_digest": digest, "source": source, "failures": 1.0, "running": 0}
        added = insert_with_conflicts(_table, self._dialect).values(**first, changed_at=now, wait_until=0.0)
        await self._run(
            added.on_conflict_do_update(
                index_elements=[_held.user_digest, _held.source],
                set_={
                    "failures": failures,
                    "running": case((running > 0, running - 1), else_=0),
                    "changed_at": now,
                    "wait_until": waiting,
                },
            ).returning(_held.source)
        )

    async def _add_one(self, digest: str, source: str, failures: ColumnElement[float]) -> Rows:
        """Replace the failures of a row, or make it with one, and return them."""
        now = database_time()
        first = {"user_digest": digest, "source": source, "failures": 1.0, "running": 0}
        added = insert_with_conflicts(_table, self._dialect).values(**first, changed_at=now, wait_until=0.0)
        return await self._run(
            added.on_conflict_do_update(
                index_elements=[_held.user_digest, _held.source],
                set_={"failures": failures, "changed_at": now},
            ).returning(_held.failures)
        )


def digest_of(user: str) -> str:
    """Return the digest under which the failures of a user are stored."""
    encoded = user.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES, person=b"kiteward sign-in").hexdigest()


def second_factor_of(user: str) -> str:
    """Return the name under which failures of a user's second factors are counted, apart from wrong passwords.

    A right password ends no wait of a second factor. No user has such a name.
    """
    return f"{user}\nsecond factor"


_FORGIVEN: Final = delete(_table).where(_held.user_digest == bindparam("forgiven_digest"))


def forgiven(user: str) -> tuple[Executable, dict[str, Any]]:
    """Return the statement that forgets the failures of a user, from all sources, and its parameters."""
    return _FORGIVEN, {"forgiven_digest": digest_of(user)}


def _named(digest: str, source: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _held.user_digest == digest, _held.source == source


def _failures(now: ColumnElement[float], rules: AttemptRules) -> ColumnElement[float]:
    """Return the failures of a row that still count."""
    return case((_held.changed_at < now - rules.forgotten_after, 0.0), else_=_held.failures)


def _running(now: ColumnElement[float], rules: AttemptRules) -> ColumnElement[Any]:
    """Return how many attempts are being verified."""
    return case((_held.changed_at < now - rules.lost_after, 0), else_=_held.running)


def _level(now: ColumnElement[float], rules: AttemptRules) -> ColumnElement[float]:
    """Return the failures of a source, reduced over time."""
    reduced = _held.failures - (now - _held.changed_at) * rules.source_rate
    return case((reduced > 0.0, reduced), else_=0.0)
