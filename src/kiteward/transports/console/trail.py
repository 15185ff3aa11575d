"""Why may somebody do something, and who did what: explanations, and the audit trail."""

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from kiteward.domain.errors import InvalidArgument, NotFound
from kiteward.domain.privileges import PRIVILEGES
from kiteward.gateway.extensions.access import Asked
from kiteward.gateway.extensions.audit import Wanted
from kiteward.gateway.operations import OPERATIONS
from kiteward.observe.audit.reading import KINDS, OUTCOMES, shown
from kiteward.transports.console.visit import Page, Visit

_LINES: Final = 50
_FILTERS: Final = ("user", "collection", "database", "operation", "kind", "outcome")
_SEQ: Final = re.compile(r"[0-9]{1,18}")


async def audit(visit: Visit) -> Response:
    """Search the audit trail, newest lines first."""
    asked = {name: visit.asked(name).strip() for name in _FILTERS}
    values: dict[str, Any] = {"asked": asked, "kinds": KINDS, "outcomes": OUTCOMES, "lines": (), "before": None}
    before = visit.asked("before")
    if before and not _SEQ.fullmatch(before):
        return visit.wrong("audit.html", {"": visit.text("field.number")}, **values)
    wanted = Wanted(
        user_name=asked["user"],
        collection_name=asked["collection"],
        db_name=asked["database"],
        operation=asked["operation"],
        kind=asked["kind"],
        outcome=asked["outcome"],
        before=int(before) if before else None,
        limit=_LINES,
    )
    try:
        found = await visit.talk.extend("SearchAudit", wanted)
    except InvalidArgument as error:
        return visit.wrong("audit.html", {"": str(error)}, **values)
    return visit.page(
        "audit.html", **{**values, "lines": [_line(each) for each in found.lines], "before": found.before}
    )


def _line(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line as the page shows it, with the question that explains it if it was decided on a privilege."""
    resources = entry.get("resources", [])
    details = entry.get("details", {})
    why = None
    if entry.get("principal") and entry.get("operation") in OPERATIONS and entry.get("privilege"):
        why = {
            "user": entry["principal"],
            "operation": entry["operation"],
            "collection": resources[0] if resources else "",
            "database": entry.get("database", ""),
        }
    return {
        "time": entry["time"][:23].replace("T", " "),
        "outcome": entry["outcome"],
        "operation": entry.get("operation", entry["kind"]),
        "who": entry.get("principal", entry.get("presented_user", "")),
        "established": "principal" in entry,
        "where": entry.get("address", "").rpartition(":")[0],
        "client": entry.get("client", ""),
        "about": ".".join(filter(None, [entry.get("database", ""), ", ".join(map(str, resources))])),
        "part": f"{entry['part']}/{entry['parts']}" if "parts" in entry else "",
        "details": ", ".join(f"{name}: {shown(value)}" for name, value in details.items()),
        "reason": entry.get("reason", ""),
        "error": entry.get("error", ""),
        "request_id": entry.get("request_id", ""),
        "why": why,
    }


async def explain(visit: Visit) -> Response:
    """Explain whether somebody may do something: whoever is signed in, or for administrators anybody."""
    asked = {name: visit.asked(name).strip() for name in ("user", "privilege", "operation", "collection", "database")}
    if not asked["user"]:
        asked["user"] = visit.me.user_name
    values: dict[str, Any] = {"asked": asked, "privileges": sorted(PRIVILEGES), "answer": None}
    if not (asked["privilege"] or asked["operation"]):
        return visit.page("explain.html", **values)
    question = Asked(
        user_name=asked["user"],
        privilege="" if asked["operation"] else asked["privilege"],
        operation=asked["operation"],
        collection_name=asked["collection"],
        db_name=asked["database"],
    )
    try:
        values["answer"] = await visit.talk.extend("ExplainAccess", question)
    except (InvalidArgument, NotFound) as error:
        return visit.wrong("explain.html", {"": str(error)}, **values)
    return visit.page("explain.html", **values)


PAGES: Final = (Page("explain", explain), Page("audit", audit))
