"""The page that explains decisions: what a user may do, and why a recorded request was decided so."""

import re
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.audit_lines import line_of
from kiteward.api.console.privilege_choices import privileges_by_level
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.audit.reader import Scope
from kiteward.domain.errors import InvalidArgument, NotFound
from kiteward.iam.json_api.access import Explained, ExplainRequest
from kiteward.iam.json_api.audit import ExplainedLine, LineNamed

_SEQ: Final = re.compile(r"[0-9]{1,18}")


async def explain(request: ConsoleRequest) -> Response:
    """Explain a decision about the signed-in user, or for administrators about any user."""
    asked = {
        name: request.query_value(name).strip() for name in ("user", "privilege", "operation", "collection", "database")
    }
    if not asked["user"]:
        asked["user"] = request.me.user_name
    values: dict[str, Any] = {"asked": asked, "privileges": privileges_by_level(request.text)}
    values |= {"answer": None, "then": None}
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
    recorded, today = line_of(request.text, found.line), found.today
    asked = {**values["asked"], "user": recorded.who, "operation": recorded.operation}
    if today is not None:
        asked |= {"privilege": today.privilege or "", "collection": today.collection_name, "database": today.db_name}
    values |= {"scope": scope.value, "differs": found.differs, "asked": asked}
    explained = {"then": recorded, "answer": today, "gone": found.gone_details}
    return request.page("explain.html", **{**values, **explained})


PAGES: Final = (Page("explain", explain),)
