"""The audit trail for administrators: searched, and its decisions compared with current ones."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.audit.events import HIDDEN, NOT_SHARED
from kiteward.audit.reader import AuditPage, AuditQuery, AuditReader, Entry, Scope
from kiteward.authz.privileges import ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineError, InvalidArgument, NotFound
from kiteward.iam.access import AccessExplanation, AccessQuestion, Who, explain_access
from kiteward.iam.caller import Caller
from kiteward.iam.services import Services

_ALLOWED: Final = "allowed"

_DECIDED_BY_HOLDERS: Final = frozenset({"keyId", "keyIds", "roleName", "sessionId"})
"""Details that name what belongs to somebody; to whom, a line does not say."""


@dataclass(frozen=True, slots=True)
class AuditLines:
    """A page of the audit trail, newest lines first.

    Attributes:
        lines: the lines.
        hidden: numbers of lines whose response said that a collection does not exist, and it exists now.
        before: the line number before which the page of older lines begins; None at the end.
        after: the line number after which the page of newer lines begins; None where these are the newest.
        shared: whether replicas share a store, so that the scopes differ.
    """

    lines: Sequence[Entry]
    hidden: Sequence[int]
    before: int | None
    after: int | None
    shared: bool


@dataclass(frozen=True, slots=True)
class ReviewedLine:
    """A line, with the decision that its request would get now.

    Attributes:
        line: the line.
        today: the current decision; None where there is none to compare.
        gone: why there is none: the user or API key no longer exists; else empty.
        gone_details: the same as codes.
    """

    line: Entry
    today: AccessExplanation | None
    gone: str
    gone_details: tuple[ErrorDetail, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the current decision differs from the recorded one."""
        allowed_today = self.today is not None and self.today.allowed
        compared = "decision" in self.line and (self.today is not None or bool(self.gone))
        return compared and allowed_today != (self.line["decision"] == _ALLOWED)


async def search_audit(services: Services, query: AuditQuery, *, limit: int, scope: Scope = Scope.ALL) -> AuditLines:
    """Return a page of the audit trail.

    Raises:
        InvalidArgument: there is no audit trail, or replicas do not share lines of this kind.
    """
    found = await _search(services, query, limit=limit, scope=scope)
    hidden = await _hidden(services, found.entries)
    return AuditLines(found.entries, hidden, found.before, found.after, services.shared_trail is not None)


async def _search(services: Services, query: AuditQuery, *, limit: int, scope: Scope) -> AuditPage:
    trail, shared = _trail(services), services.shared_trail
    if shared is None or scope is Scope.REPLICA:
        return await asyncio.to_thread(trail.search, query, limit=limit)
    if query.kind in NOT_SHARED:
        raise InvalidArgument(
            f"lines of the kind `{query.kind}` are in the trail of each replica only: search there, with the scope "
            f"`{Scope.REPLICA}`",
            ErrorDetail(ErrorCode.AUDIT_KIND_NOT_SHARED, {"name": query.kind}),
            field="scope",
        )
    return await shared.search(query, limit=limit)


async def review_line(services: Services, caller: Caller, number: int, *, scope: Scope = Scope.ALL) -> ReviewedLine:
    """Return a line of the audit trail by its number, with the current decision.

    Args:
        services: what services work with.
        caller: who asks.
        number: the number of the line.
        scope: where it is.

    Raises:
        InvalidArgument: there is no audit trail.
        NotFound: there is no such line.
    """
    query = AuditQuery(before=number + 1)
    found = (await _search(services, query, limit=1, scope=scope)).entries
    if not found or found[0]["seq"] != number:
        raise NotFound(
            f"the audit trail has no line {number}",
            ErrorDetail(ErrorCode.AUDIT_LINE_NOT_FOUND, {"seq": number}),
            field="seq",
        )
    line = found[0]
    own = line.get("operation") in services.own_operations
    decided = line.get("decision") and line.get("operation") in services.operations
    if not (line.get("principal") and (own or decided)) or (own and _objects_of(services, line) is None):
        return ReviewedLine(line, None, "")
    try:
        return ReviewedLine(line, await _decided_today(services, caller, line), "")
    except NotFound as error:
        return ReviewedLine(line, None, str(error), error.details)


async def _hidden(services: Services, entries: Iterable[Entry]) -> list[int]:
    """Return the numbers of lines whose response said that a collection does not exist, and it exists now."""
    candidates = [entry for entry in entries if str(entry.get("reason", "")).endswith(HIDDEN)]
    if not candidates:
        return []
    collections: dict[str, frozenset[str]] = {}
    with contextlib.suppress(EngineError):
        databases = await services.catalog.database_names()
        for database in {entry.get("database", "") for entry in candidates} & set(databases):
            collections[database] = frozenset(await services.catalog.collection_names(database))
    return [
        entry["seq"]
        for entry in candidates
        if set(entry.get("resources", ())) & collections.get(entry.get("database", ""), frozenset())
    ]


async def _decided_today(services: Services, caller: Caller, line: Entry) -> AccessExplanation:
    """Explain a line's request by the current policy: the first of its objects that is refused, or else the first.

    Raises:
        NotFound: the user or the API key no longer exists.
    """
    kind, _, key_id = line.get("credential", "").partition(":")
    who = Who(key_id=key_id) if kind == "key" else Who(user_name=line["principal"])
    explanations = []
    database = line.get("database") or line.get("details", {}).get("dbName", "")
    for name in _objects_of(services, line) or [""]:
        question = AccessQuestion(who, operation=line["operation"], collection=name, database=database)
        explanations.append(await explain_access(services, caller, question))
        if not explanations[-1].allowed:
            return explanations[-1]
    return explanations[0]


def _objects_of(services: Services, line: Entry) -> Sequence[str] | None:
    """Return the collections or the user that a line is about; None where it does not say on what its decision was."""
    row = services.own_operations.get(line["operation"])
    resources: Sequence[str] = line.get("resources", ())
    if resources or row is None or not (row.own or row.on_objects):
        return resources
    details = line.get("details", {})
    if not (row.own or any(each.privilege.object_type is ObjectType.USER for each in row.on_objects)):
        return [str(details.get("collectionName", ""))]
    user = details.get("userName") or details.get("result", {}).get("userName")
    if user:
        return [str(user)]
    if details.keys() & _DECIDED_BY_HOLDERS:
        return None
    return [line["principal"]] if row.own else ()


def _trail(services: Services) -> AuditReader:
    if services.trail is None:
        raise InvalidArgument(
            "there is no audit trail: kiteward.audit.enabled is false", ErrorDetail(ErrorCode.AUDIT_DISABLED)
        )
    return services.trail
