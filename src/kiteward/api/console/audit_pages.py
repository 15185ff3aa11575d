"""The pages that search the audit trail and explain decisions."""

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.audit.reader import KINDS, OUTCOMES, Scope, shown
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.errors import InvalidArgument, NotFound
from kiteward.gateway.operations import OPERATIONS
from kiteward.iam.json_api.access import Explained, ExplainRequest
from kiteward.iam.json_api.audit import ExplainedLine, LineNamed, Lines, Wanted

_LINES: Final = 50
_FILTERS: Final = ("user", "collection", "database", "operation", "kind", "outcome", "replica")
_SEQ: Final = re.compile(r"[0-9]{1,18}")


async def audit(request: ConsoleRequest) -> Response:
    """Search the audit trail, newest lines first."""
    asked = {name: request.query_value(name).strip() for name in _FILTERS}
    scope = Scope.REPLICA if request.query_value("scope") == Scope.REPLICA else Scope.ALL
    asked["scope"] = scope.value
    values: dict[str, Any] = {"asked": asked, "kinds": KINDS, "outcomes": OUTCOMES, "lines": (), "before": None}
    values |= {"scopes": tuple(scope.value for scope in Scope), "shared": scope is Scope.REPLICA}
    before = request.query_value("before")
    if before and not _SEQ.fullmatch(before):
        return request.page_with_errors("audit.html", {"": request.complaint("field.number")}, **values)
    wanted = Wanted(
        user_name=asked["user"],
        collection_name=asked["collection"],
        db_name=asked["database"],
        operation=asked["operation"],
        kind=asked["kind"],
        outcome=asked["outcome"],
        replica=asked["replica"],
        scope=scope,
        before=int(before) if before else None,
        limit=_LINES,
    )
    try:
        found = await request.client.invoke("SearchAudit", wanted, Lines)
    except InvalidArgument as error:
        return request.page_with_errors("audit.html", {"": request.reason(error.details)}, **values)
    lines = [{**_line(each), "hidden": each["seq"] in found.hidden} for each in found.lines]
    found_values = {"lines": lines, "before": found.before, "shared": found.shared}
    return request.page("audit.html", **{**values, **found_values})


def _line(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line as pages show it; `why` is its number if a privilege decided it, so that it can be explained."""
    decided = entry.get("principal") and entry.get("operation") in OPERATIONS and entry.get("privilege")
    resources, details = entry.get("resources", []), entry.get("details", {})
    return {
        "time": entry["time"][:23].replace("T", " "),
        "outcome": entry["outcome"],
        "decision": entry.get("decision", ""),
        "operation": entry.get("operation", entry["kind"]),
        "who": entry.get("principal", entry.get("presented_user", "")),
        "actor": entry.get("actor", ""),
        "issuer": entry.get("issuer", ""),
        "subject": entry.get("subject", ""),
        "roles": entry.get("roles", []),
        "established": "principal" in entry,
        "where": entry.get("address", "").rpartition(":")[0],
        "client": entry.get("client", ""),
        "about": ".".join(filter(None, [entry.get("database", ""), ", ".join(map(str, resources))])),
        "part": f"{entry['part']}/{entry['parts']}" if "parts" in entry else "",
        "details": ", ".join(f"{name}: {shown(value)}" for name, value in details.items()),
        "reason": entry.get("reason", ""),
        "error": entry.get("error", ""),
        "replica": entry.get("replica", ""),
        "request_id": entry.get("request_id", ""),
        "why": entry["seq"] if decided else None,
    }


async def explain(request: ConsoleRequest) -> Response:
    """Explain a decision about the signed-in user, or for administrators about any user."""
    asked = {
        name: request.query_value(name).strip() for name in ("user", "privilege", "operation", "collection", "database")
    }
    if not asked["user"]:
        asked["user"] = request.me.user_name
    values: dict[str, Any] = {"asked": asked, "privileges": sorted(PRIVILEGES), "answer": None, "then": None}
    line = request.query_value("line")
    if line:
        return await _explain_line(request, line, values)
    if not (asked["privilege"] or asked["operation"]):
        return request.page("explain.html", **values)
    question = ExplainRequest(
        user_name=asked["user"],
        privilege="" if asked["operation"] else asked["privilege"],
        operation=asked["operation"],
        collection_name=asked["collection"],
        db_name=asked["database"],
    )
    try:
        values["answer"] = await request.client.invoke("ExplainAccess", question, Explained)
    except (InvalidArgument, NotFound) as error:
        return request.page_with_errors("explain.html", {"": request.reason(error.details)}, **values)
    return request.page("explain.html", **values)


async def _explain_line(request: ConsoleRequest, number: str, values: dict[str, Any]) -> Response:
    """Explain a line of the trail: the recorded decision and the current one."""
    if not _SEQ.fullmatch(number):
        return request.page_with_errors("explain.html", {"": request.complaint("field.number")}, **values)
    scope = Scope.REPLICA if request.query_value("scope") == Scope.REPLICA else Scope.ALL
    try:
        found = await request.client.invoke("ExplainAuditLine", LineNamed(seq=int(number), scope=scope), ExplainedLine)
    except (InvalidArgument, NotFound) as error:
        return request.page_with_errors("explain.html", {"": request.reason(error.details)}, **values)
    line, today = _line(found.line), found.today
    asked = {**values["asked"], "user": line["who"], "operation": line["operation"]}
    if today is not None:
        asked |= {"privilege": today.privilege or "", "collection": today.collection_name, "database": today.db_name}
    explained = {"then": line, "answer": today, "gone": found.gone_details, "differs": found.differs, "asked": asked}
    return request.page("explain.html", **{**values, **explained})


PAGES: Final = (Page("explain", explain), Page("audit", audit))
