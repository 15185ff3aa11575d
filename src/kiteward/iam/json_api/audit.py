"""The audit trail, for administrators: what was done, by whom, and with which outcome."""

from datetime import UTC, datetime
from typing import Any, Final

from kiteward.audit.reader import AuditQuery, Scope
from kiteward.domain.error_codes import ErrorDetail
from kiteward.iam.audit_review import review_line, search_audit
from kiteward.iam.json_api.access import Explained, explanation_shape
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request, page
from kiteward.iam.services import Services


class Wanted(Arguments):
    """Selects lines that match all given parts. `before` continues with older lines, `after` with newer ones.

    `userName` selects what a user did and what was done to it, `byUserName` and `targetUserName` one of the two.

    Where replicas share a store, the scope `all` holds the changes, refusals and server events of all of them, and the
    scope `replica` every line of the replica that answers. Each scope numbers its lines for itself.
    """

    user_name: str = ""
    by_user_name: str = ""
    target_user_name: str = ""
    collection_name: str = ""
    db_name: str = ""
    operation: str = ""
    kind: str = ""
    outcome: str = ""
    request_id: str = ""
    replica: str = ""
    scope: Scope = Scope.ALL
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    after: int | None = None
    limit: int = 100


class Lines(Outcome):
    """Lines of the trail, newest first.

    `before` is the value for the page of older lines, null at the end; `after` that for newer ones, null at the newest.

    `hidden` holds the numbers (`seq`) of lines whose response said that a collection does not exist, because no role of
    the caller makes it visible, and which exists now. `shared` says whether replicas share a store.
    """

    lines: list[dict[str, Any]]
    hidden: list[int]
    before: int | None
    after: int | None
    shared: bool


class LineNamed(Arguments):
    """Names a line by its number in its scope."""

    seq: int
    scope: Scope = Scope.ALL


class ExplainedLine(Outcome):
    """A line, with the decision that its request would get now.

    `today` is null where there is none: the user or API key no longer exists (`gone` says which, `goneDetails` as codes
    with parameters), or the line does not say on what its decision was made. `differs` says whether the current
    decision is another one.
    """

    line: dict[str, Any]
    today: Explained | None
    gone: str
    gone_details: list[ErrorDetail]
    differs: bool


async def searched(services: Services, _request: Request, arguments: Wanted) -> Lines:
    """Return lines of the audit trail."""
    query = AuditQuery(
        user=arguments.user_name,
        by=arguments.by_user_name,
        target=arguments.target_user_name,
        collection=arguments.collection_name,
        database=arguments.db_name,
        operation=arguments.operation,
        kind=arguments.kind,
        outcome=arguments.outcome,
        request_id=arguments.request_id,
        replica=arguments.replica,
        since=_seconds(arguments.since),
        until=_seconds(arguments.until),
        before=arguments.before,
        after=arguments.after,
    )
    found = await search_audit(services, query, limit=page(arguments.limit), scope=arguments.scope)
    return Lines(
        lines=[dict(entry) for entry in found.lines],
        hidden=list(found.hidden),
        before=found.before,
        after=found.after,
        shared=found.shared,
    )


async def explained_line(services: Services, request: Request, arguments: LineNamed) -> ExplainedLine:
    """Return the decision of a recorded line, and the current one."""
    found = await review_line(services, request, arguments.seq, scope=arguments.scope)
    return ExplainedLine(
        line=dict(found.line),
        today=None if found.today is None else explanation_shape(request, found.today),
        gone=found.gone,
        gone_details=list(found.gone_details),
        differs=found.differs,
    )


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
        continues_after="after",
    ),
    AdminOperation(
        "ExplainAuditLine",
        "audit/explain",
        LineNamed,
        ExplainedLine,
        explained_line,
        "Explain a line of the audit trail: the recorded and the current decision.",
        changes=False,
    ),
)
