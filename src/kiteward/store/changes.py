"""What has changed since a revision: which statements read it, and what their rows mean."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import Executable

from kiteward.store import intents, queries, row_policies
from kiteward.store.connections import Rows
from kiteward.store.records import Change, PolicyChanges, Subject, subject_collection
from kiteward.store.transaction import FEED_LENGTH

T = TypeVar("T")

_CHUNK: Final = 2000
"""Records built before the event loop gets control again; they take a few milliseconds."""

_MOST_READ: Final = 500
"""Most roles, groups and collections that are read one by one; beyond, reading the whole policy is less."""


async def gathered(items: Iterator[T]) -> list[T]:
    """Build a long list in steps, so that the event loop is not blocked for the whole of it."""
    found: list[T] = []
    while chunk := list(islice(items, _CHUNK)):
        found += chunk
        await asyncio.sleep(0)
    return found


class ChangesSince:
    """Reads what has changed since a revision, all of it as of one state of the database.

    The statements of `feed` are executed first. `contents` returns those that follow.
    """

    def __init__(self, revision: int) -> None:
        self._since = revision
        self._reached = False
        self._changes: tuple[Change, ...] = ()

    @property
    def feed(self) -> tuple[Executable, Executable]:
        """The statements that read the revision and the change feed."""
        return queries.REVISION, queries.feed_after(self._since)

    def contents(self, rows: list[Rows]) -> Sequence[Executable]:
        """Return the statements that read what the feed names; none where the feed does not reach back."""
        revision, feed = rows
        self._changes = tuple(dict.fromkeys(Change(Subject(subject), name) for subject, name in feed))
        roles, groups, places = (self._names(each) for each in (Subject.ROLE, Subject.GROUP, Subject.COLLECTION))
        self._reached = self._since <= revision[0][0] <= self._since + FEED_LENGTH
        self._reached &= len(roles) + len(groups) + len(places) <= _MOST_READ
        if not self._reached:
            return ()
        return (
            *(statement for name in roles for statement in (queries.roles_named(name), queries.grants_of(name))),
            *(queries.groups_named(name) for name in groups),
            *(row_policies.selected_on(*subject_collection(name)) for name in places),
            *([intents.OPEN] if self._names(Subject.CATALOG) else []),
        )

    async def result(self, rows: list[Rows]) -> PolicyChanges | None:
        """Return what the rows of all statements mean; None where the feed does not reach back."""
        if not self._reached:
            return None
        revision, _, *contents = rows
        left = iter(contents)
        roles = {}
        for name in self._names(Subject.ROLE):
            role, grants = queries.roles(next(left)), await gathered(queries.grants(next(left)))
            roles[name] = (role[0], grants) if role else None
        return PolicyChanges(
            revision[0][0],
            self._changes,
            roles,
            {name: next(iter(queries.groups(next(left))), None) for name in self._names(Subject.GROUP)},
            {
                subject_collection(name): next(row_policies.collections(next(left)), None)
                for name in self._names(Subject.COLLECTION)
            },
            intents.records(next(left)) if self._names(Subject.CATALOG) else None,
        )

    def _names(self, subject: Subject) -> list[str]:
        return [change.name for change in self._changes if change.subject is subject]
