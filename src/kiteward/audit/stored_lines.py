"""Searches the lines that replicas share in the store."""

from collections.abc import Sequence
from typing import Final

from kiteward.audit.reader import MOST_LOOKED_AT, AuditPage, AuditQuery, Entry, after_of, newer_page, read
from kiteward.store.audit_events import LineRange
from kiteward.store.base import Store

_WINDOW: Final = 1000
"""Stored lines that one statement reads."""


async def search_stored(store: Store, question: AuditQuery, *, limit: int) -> AuditPage:
    """Return the newest matching lines, or the oldest after `AuditQuery.after`.

    Args:
        store: has the lines.
        question: which lines.
        limit: most entries of the page.

    Raises:
        StoreUnavailable: they cannot be read.
    """
    if question.after is not None:
        return await _newer(store, question, question.after, limit)
    head = await store.audit_head()
    last = head.seq if question.before is None else min(head.seq, question.before - 1)
    oldest = max(head.first, last - MOST_LOOKED_AT + 1)
    found: list[Entry] = []
    while last >= oldest:
        first = max(oldest, last - _WINDOW + 1)
        for entry in reversed(await matching(store, question, LineRange(first, last))):
            found.append(entry)
            if len(found) == limit:
                return AuditPage(tuple(found), entry["seq"], after_of(question, found))
        last = first - 1
    return AuditPage(tuple(found), oldest if oldest > head.first else None, after_of(question, found))


async def matching(store: Store, question: AuditQuery, lines: LineRange) -> Sequence[Entry]:
    """Return the matching lines of a range, oldest first.

    Raises:
        StoreUnavailable: they cannot be read.
    """
    needles = tuple(needle.decode() for needle in question.needles())
    wanted = lines._replace(needles=needles, since=question.since, until=question.until)
    entries = [read(line.encode()) for line in await store.audit_lines(wanted)]
    return [entry for entry in entries if entry is not None and question.fits(entry)]


async def _newer(store: Store, question: AuditQuery, after: int, limit: int) -> AuditPage:
    head = await store.audit_head()
    first = max(head.first, after + 1)
    newest = min(head.seq, first + MOST_LOOKED_AT - 1)
    found: list[Entry] = []
    while first <= newest:
        last = min(first + _WINDOW - 1, newest)
        for entry in await matching(store, question, LineRange(first, last)):
            if len(found) == limit:
                return newer_page(question, found, found[-1]["seq"])
            found.append(entry)
        first = last + 1
    return newer_page(question, found, newest if newest < head.seq else None)
