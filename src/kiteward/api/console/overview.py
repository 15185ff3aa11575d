"""The first page of administrators: what the server does, who should be looked at, and what it holds."""

import asyncio
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.charts import Chart, Series, lined, stacked
from kiteward.api.console.failures import if_ready
from kiteward.api.console.request import HOME, ConsoleRequest, Page
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.json_api.overview import (
    ActivitySpan,
    ActivityWanted,
    ReviewedCredentials,
    ReviewWanted,
    ServerActivity,
    SizedCollections,
    SizesWanted,
)
from kiteward.iam.json_api.server import ServerState

_HOUR: Final = "hour"
_DAY: Final = "day"
_SLOTS: Final = {_HOUR: 60, _DAY: 96}
_LISTED: Final = 5
_COLLECTIONS: Final = 20


async def overview(request: ConsoleRequest) -> Response:
    """Show the overview to administrators, and the account page to others."""
    if not request.me.administrator:
        return request.redirect(HOME, done=request.query_value("done"))
    period = _DAY if request.query_value("period") == _DAY else _HOUR
    invoke = request.client.invoke
    state, activity, review, sizes = await asyncio.gather(
        if_ready(invoke("DescribeServer", Arguments(), ServerState)),
        if_ready(invoke("DescribeActivity", ActivityWanted(limit=_LISTED), ServerActivity)),
        if_ready(invoke("ReviewCredentials", ReviewWanted(limit=_LISTED), ReviewedCredentials)),
        if_ready(invoke("ListCollectionSizes", SizesWanted(limit=_COLLECTIONS), SizedCollections)),
    )
    values: dict[str, Any] = {"period": period, "periods": (_HOUR, _DAY), "server": state, "activity": activity}
    if activity is not None:
        values["total"] = activity.last_hour if period == _HOUR else activity.last_day
        values["charts"] = charts_of(activity.hour if period == _HOUR else activity.day, slots=_SLOTS[period])
    return request.page("overview.html", review=review, sizes=sizes, **values)


def charts_of(spans: list[ActivitySpan], *, slots: int) -> list[Chart]:
    """Return the charts of the spans of an hour or a day, of which there are so many at most."""
    moments = [each.begins_at for each in spans]

    def series(key: str, field: str) -> Series:
        return Series(key, [getattr(each, field) for each in spans])

    succeeded = Series("succeeded", [each.requests - each.refused - each.failed for each in spans])
    refused, failed = series("refused", "refused"), series("failed", "failed")
    signed_in, rejected = series("accepted", "sign_ins_accepted"), series("rejected", "sign_ins_rejected")
    return [
        stacked("requests", moments, [succeeded, refused, failed], slots=slots),
        lined("latency", moments, [series(key, key) for key in ("p50", "p95", "p99")], slots=slots),
        stacked("refusals", moments, [refused, failed], slots=slots),
        stacked("sign_ins", moments, [signed_in, rejected], slots=slots),
    ]


PAGES: Final = (Page("overview", overview),)
