"""The lines that `kiteward audit` reads: those of this machine's trail, or those that replicas share in the store."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from kiteward.audit.reader import AuditPage, AuditQuery, AuditReader, Entry, Scope
from kiteward.audit.verify import Anchor, Verified
from kiteward.cli.running import run_async

if TYPE_CHECKING:  # most trails are files, which are read without a database
    from kiteward.audit.shared import SharedTrail
    from kiteward.cli.connection import Connection
    from kiteward.config.settings import Settings


MOST_LISTED: Final = 1_000
"""Lines that a server answers at once."""

_MEMBERS: Final = {
    "user": "userName",
    "by": "byUserName",
    "target": "targetUserName",
    "collection": "collectionName",
    "database": "dbName",
    "operation": "operation",
    "kind": "kind",
    "outcome": "outcome",
    "request_id": "requestId",
    "replica": "replica",
}
"""Attributes of a query -> members of a request to a server."""


class Lines(Protocol):
    """Lines of one chain."""

    @property
    def pause(self) -> float:
        """Seconds between two reads of who follows them."""
        ...

    def search(self, question: AuditQuery, *, limit: int) -> AuditPage:
        """Return the newest matching lines, at most `limit`.

        Raises:
            OSError, StoreUnavailable: they cannot be read; so do all methods.
        """
        ...

    def every(self, question: AuditQuery) -> Iterator[Entry]:
        """Yield every matching line, oldest first."""
        ...

    def after(self, number: int) -> list[Entry]:
        """Return the lines with greater numbers, oldest first."""
        ...


class FileLines:
    """The lines of a directory. Implements `Lines`."""

    pause: Final = 0.2

    def __init__(self, place: Path) -> None:
        self._reader = AuditReader(place)

    def search(self, question: AuditQuery, *, limit: int) -> AuditPage:
        return self._reader.search(question, limit=limit)

    def every(self, question: AuditQuery) -> Iterator[Entry]:
        return self._reader.every(question)

    def after(self, number: int) -> list[Entry]:
        fresh: list[Entry] = []
        for entry in self._reader.newest_first():
            if entry["seq"] <= number:
                break
            fresh.append(entry)
        return fresh[::-1]


class StoredLines:
    """The lines that replicas share. Implements `Lines`."""

    pause: Final = 0.2

    def __init__(self, runner: asyncio.Runner, trail: "SharedTrail") -> None:
        self._runner = runner
        self._trail = trail

    def verify(self, anchors: Sequence[Anchor], directories: Sequence[Path]) -> Verified:
        """Verify the chain, and that it has what the trails of these directories say it has."""

        async def verified() -> Verified:
            found = await self._trail.verify(anchors)
            differences = [each for place in directories for each in await self._trail.differences(place)]
            return replace(found, findings=(*found.findings, *differences))

        return self._runner.run(verified())

    def search(self, question: AuditQuery, *, limit: int) -> AuditPage:
        return self._runner.run(self._trail.search(question, limit=limit))

    def every(self, question: AuditQuery) -> Iterator[Entry]:
        entries = self._trail.every(question)
        while (entry := self._runner.run(_next(entries))) is not None:
            yield entry

    def after(self, number: int) -> list[Entry]:
        async def read() -> list[Entry]:
            return [entry async for entry in self._trail.every(AuditQuery(), after=number)]

        return self._runner.run(read())


class ServerLines:
    """The lines of a server, which only administrators may read. Implements `Lines`."""

    pause: Final = 1.0

    def __init__(self, server: "Connection", scope: Scope) -> None:
        self._server = server
        self._scope = scope

    def search(self, question: AuditQuery, *, limit: int) -> AuditPage:
        from kiteward.domain.moments import written  # noqa: PLC0415  loaded where a server is asked

        request = {"scope": self._scope, "limit": min(limit, MOST_LISTED)}
        request |= {member: value for name, member in _MEMBERS.items() if (value := getattr(question, name))}
        for name in ("since", "until"):
            seconds = getattr(question, name)
            if seconds is not None:
                request[name] = written(datetime.fromtimestamp(seconds, UTC))
        request |= {name: at for name in ("before", "after") if (at := getattr(question, name)) is not None}
        answer = run_async(self._server.ask("kiteward/audit/search", request))
        return AuditPage(tuple(answer["lines"]), answer["before"], answer["after"])

    def every(self, question: AuditQuery) -> Iterator[Entry]:
        yield from list(self._newest_first(question))[::-1]

    def after(self, number: int) -> list[Entry]:
        fresh: list[Entry] = []
        place: int | None = number
        while place is not None:
            page = self.search(AuditQuery(after=place), limit=MOST_LISTED)
            fresh += page.entries[::-1]
            place = page.after
        return fresh

    def _newest_first(self, question: AuditQuery) -> Iterator[Entry]:
        while True:
            page = self.search(question, limit=MOST_LISTED)
            yield from page.entries
            if page.before is None:
                return
            question = replace(question, before=page.before)


@contextlib.contextmanager
def stored_lines(settings: "Settings") -> Iterator[StoredLines]:
    """Open the lines that replicas share in the store of this configuration.

    Raises:
        StoreError: the store cannot be opened.
    """
    from kiteward.audit.shared import SharedTrail  # noqa: PLC0415  as above
    from kiteward.bootstrap.store import open_store  # noqa: PLC0415

    with asyncio.Runner() as runner:
        store = runner.run(open_store(settings))
        try:
            yield StoredLines(runner, SharedTrail(store))
        finally:
            runner.run(store.close())


async def _next(entries: AsyncIterator[Entry]) -> Entry | None:
    return await anext(entries, None)
