"""The audit trail, for administrators: what was done, by whom, and how it ended."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from kiteward.domain.errors import InvalidArgument
from kiteward.gateway.administration.base import Tools
from kiteward.gateway.extensions.base import Arguments, Extension, Outcome, Request, page
from kiteward.observe.audit.reading import Question


class Wanted(Arguments):
    """Which lines: every part that is given must fit. `before` goes on where an earlier page ended."""

    user_name: str = ""
    collection_name: str = ""
    db_name: str = ""
    operation: str = ""
    kind: str = ""
    outcome: str = ""
    request_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100


class Lines(Outcome):
    """Lines of the trail, newest first; `before` is what to ask for next, null at the end."""

    lines: list[dict[str, Any]]
    before: int | None


async def searched(tools: Tools, _request: Request, arguments: Wanted) -> Lines:
    """Return lines of the audit trail."""
    if tools.trail is None:
        raise InvalidArgument("there is no audit trail: kiteward.audit.enabled is false")
    question = Question(
        user=arguments.user_name,
        collection=arguments.collection_name,
        database=arguments.db_name,
        operation=arguments.operation,
        kind=arguments.kind,
        outcome=arguments.outcome,
        request_id=arguments.request_id,
        since=_seconds(arguments.since),
        until=_seconds(arguments.until),
        before=arguments.before,
    )
    found = await asyncio.to_thread(tools.trail.search, question, limit=page(arguments.limit))
    return Lines(lines=[dict(entry) for entry in found.entries], before=found.before)


def _seconds(given: datetime | None) -> float | None:
    if given is None:
        return None
    return (given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp()


EXTENSIONS: Final = (
    Extension(
        "SearchAudit",
        "audit/search",
        Wanted,
        Lines,
        searched,
        "Search the audit trail, newest lines first.",
        changes=False,
    ),
)
