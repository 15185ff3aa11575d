"""The pages of the audit trail: searching it, one line in full, and a file of what was found."""

import json
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.audit_export import export
from kiteward.api.console.audit_lines import drop_ended, folded, line_of, without_ends
from kiteward.api.console.audit_search import PERIODS, ROLES, FilterInvalid, Search
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.audit.reader import KINDS, OUTCOMES, Scope
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, NotFound
from kiteward.iam.json_api.audit import Lines, Wanted

_LINES: Final = 50
_AROUND: Final = 20
"""Newer lines that are looked at for the end of a change, whose beginning is the newest line of a page."""

_DIGITS: Final = 18


async def audit(request: ConsoleRequest) -> Response:
    """Search the audit trail, newest lines first."""
    search = Search.of(request)
    values: dict[str, Any] = {"asked": search.asked, "given": search.given, "rows": (), "before": None, "after": None}
    values |= {"kinds": KINDS, "outcomes": OUTCOMES, "periods": tuple(PERIODS), "roles": ROLES}
    values |= {"scopes": tuple(scope.value for scope in Scope), "shared": search.scope is Scope.REPLICA}
    try:
        wanted = search.wanted(_LINES)
        found = await request.client.invoke("SearchAudit", wanted, Lines)
        rows = folded(request.text, found.lines, found.hidden)
        if found.after is not None and without_ends(rows):
            around = _newer(wanted, found.lines[0]["seq"])
            rows = drop_ended(rows, (await request.client.invoke("SearchAudit", around, Lines)).lines)
    except FilterInvalid as error:
        return request.page_with_errors("audit.html", {error.field: request.complaint(error.key)}, **values)
    except InvalidArgument as error:
        field = error.field if error.field == "until" else ""
        return request.page_with_errors("audit.html", {field: request.reason(error.details)}, **values)
    values |= {"rows": rows, "before": found.before, "after": found.after, "shared": found.shared}
    return request.page("audit.html", **values)


def _newer(wanted: Wanted, newest: int) -> Wanted:
    """Return the search for the lines that are a little newer than the newest of a page."""
    fields = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    return Wanted(**{**fields, "after": newest, "before": None, "limit": _AROUND})


async def line(request: ConsoleRequest) -> Response:
    """Show a line in full: every field, and the line as it was recorded."""
    scope = Scope.REPLICA if request.query_value("scope") == Scope.REPLICA else Scope.ALL
    number = request.names["seq"]
    seq = int(number) if number.isascii() and number.isdecimal() and len(number) <= _DIGITS else 0
    found = await request.client.invoke("SearchAudit", Wanted(before=seq + 1, limit=1, scope=scope), Lines)
    if not found.lines or found.lines[0]["seq"] != seq:
        raise NotFound(
            f"the audit trail has no line {seq}", ErrorDetail(ErrorCode.AUDIT_LINE_NOT_FOUND, {"seq": seq}), field="seq"
        )
    entry = found.lines[0]
    shown = line_of(request.text, entry)
    hidden = seq in found.hidden
    recorded = json.dumps(entry, indent=2, ensure_ascii=False)
    return request.page("audit_line.html", line=shown, scope=scope.value, hidden=hidden, recorded=recorded)


PAGES: Final = (Page("audit", audit), Page("audit/export", export), Page("audit/lines/{seq}", line))
