"""The audit trail, for administrators: what was done, by whom, and how it ended."""

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from kiteward.audit.events import HIDDEN
from kiteward.audit.reader import AuditQuery, AuditReader, Entry
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineError, InvalidArgument, NotFound
from kiteward.gateway.administration.base import Services
from kiteward.gateway.extensions.access import Explained, ExplainRequest, explained
from kiteward.gateway.extensions.base import AdminOperation, Arguments, Outcome, Request, page
from kiteward.gateway.extensions.objects import collections_of, databases_of
from kiteward.gateway.operations import OPERATIONS


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
    """Lines of the trail, newest first; `before` is what to ask for next, null at the end.

    `hidden` holds the numbers (`seq`) of those whose caller asked for a collection that exists now and was told that it
    does not, because no role of the caller reaches it.
    """

    lines: list[dict[str, Any]]
    hidden: list[int]
    before: int | None


class LineNamed(Arguments):
    """Names a line by its number."""

    seq: int


class ExplainedLine(Outcome):
    """A line, and what would be decided today.

    `today` is null where nothing can be said: of a user or API key that is gone (`gone` says which), and of a line that
    no privilege of an RPC decided. `differs` says whether today's decision is another one.
    """

    line: dict[str, Any]
    today: Explained | None
    gone: str
    differs: bool


async def searched(services: Services, _request: Request, arguments: Wanted) -> Lines:
    """Return lines of the audit trail."""
    question = AuditQuery(
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
    found = await asyncio.to_thread(_trail(services).search, question, limit=page(arguments.limit))
    hidden = await _hidden(services, found.entries)
    return Lines(lines=[dict(entry) for entry in found.entries], hidden=hidden, before=found.before)


async def _hidden(services: Services, entries: Iterable[Entry]) -> list[int]:
    """Return the numbers of lines about collections that exist and were answered to be absent."""
    asked = [entry for entry in entries if str(entry.get("reason", "")).endswith(HIDDEN)]
    there: dict[str, frozenset[str]] = {}
    with contextlib.suppress(EngineError):
        for database in {entry.get("database", "") for entry in asked} & set(
            await databases_of(services) if asked else ()
        ):
            there[database] = frozenset(await collections_of(services, database))
    return [
        entry["seq"]
        for entry in asked
        if set(entry.get("resources", ())) & there.get(entry.get("database", ""), frozenset())
    ]


async def explained_line(services: Services, request: Request, arguments: LineNamed) -> ExplainedLine:
    """Tell what was decided when a line was written, and what would be decided today."""
    question = AuditQuery(before=arguments.seq + 1)
    found = (await asyncio.to_thread(_trail(services).search, question, limit=1)).entries
    if not found or found[0]["seq"] != arguments.seq:
        raise NotFound(
            f"the audit trail has no line {arguments.seq}",
            ErrorDetail(ErrorCode.AUDIT_LINE_NOT_FOUND, {"seq": arguments.seq}),
            field="seq",
        )
    line = found[0]
    today, gone = None, ""
    if line.get("principal") and line.get("decision") and line.get("operation") in OPERATIONS:
        try:
            today = await _today(services, request, line)
        except NotFound as error:
            gone = str(error)
    allowed_now = today is not None and today.allowed
    decided = today is not None or bool(gone)
    return ExplainedLine(
        line=dict(line),
        today=today,
        gone=gone,
        differs=decided and allowed_now != (line["decision"] == "allowed"),
    )


async def _today(services: Services, request: Request, line: Entry) -> Explained:
    """Explain what a line is about by the policy of now: the first of its objects that is refused, or else the first.

    Raises:
        NotFound: the user or the API key is gone.
    """
    kind, _, key_id = line.get("credential", "").partition(":")
    who = {"key_id": key_id} if kind == "key" else {"user_name": line["principal"]}
    answers = []
    for name in line.get("resources") or [""]:
        asked = ExplainRequest(
            operation=line["operation"], collection_name=name, db_name=line.get("database", ""), **who
        )
        answers.append(await explained(services, request, asked))
        if not answers[-1].allowed:
            return answers[-1]
    return answers[0]


def _trail(services: Services) -> AuditReader:
    if services.trail is None:
        raise InvalidArgument(
            "there is no audit trail: kiteward.audit.enabled is false", ErrorDetail(ErrorCode.AUDIT_DISABLED)
        )
    return services.trail


def _seconds(given: datetime | None) -> float | None:
    if given is None:
        return None
    return (given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp()


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "SearchAudit",
        "audit/search",
        Wanted,
        Lines,
        searched,
        "Search the audit trail, newest lines first.",
        changes=False,
    ),
    AdminOperation(
        "ExplainAuditLine",
        "audit/explain",
        LineNamed,
        ExplainedLine,
        explained_line,
        "Explain a line of the audit trail: what was decided then, and what would be decided today.",
        changes=False,
    ),
)
