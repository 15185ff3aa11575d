"""The page for access reviews: grants, API keys and users that nobody has used for some time."""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.json_api.overview import ReviewedCredentials, ReviewWanted
from kiteward.iam.json_api.shapes import HeldGrant
from kiteward.iam.json_api.unused import Since, Unused

_CHOICES: Final = (7, 30, 90, 180, 365)
_USUAL: Final = 90
_MOST: Final = 3_650
_DAYS: Final = re.compile("[0-9]{1,4}")
_LISTED: Final = 500


@dataclass(frozen=True, slots=True)
class OfRole:
    """The unused grants of a role.

    Attributes:
        role: the role.
        grants: each with its value in the form of the matrix.
    """

    role: str
    grants: Sequence[tuple[str, HeldGrant]]


async def unused(request: ConsoleRequest) -> Response:
    """List what was not used for so many days, with links and forms that take it away."""
    given = request.query_value("days").strip() or str(_USUAL)
    days = int(given) if _DAYS.fullmatch(given) and 1 <= int(given) <= _MOST else 0
    values: dict[str, Any] = {"days": given, "choices": _CHOICES, "roles": (), "found": None, "review": None}
    if not days:
        errors = {"days": request.complaint("unused.days_invalid")}
        return request.page_with_errors("unused.html", errors, **values)
    since = datetime.now(UTC) - timedelta(days=days)
    try:
        found = await request.client.invoke("ListUnusedAccess", Since(since=since), Unused)
    except InvalidArgument as error:
        return request.page_with_errors("unused.html", {"": request.reason(error.details)}, **values)
    wanted = ReviewWanted(unused_for_days=days, limit=_LISTED)
    review = await request.client.invoke("ReviewCredentials", wanted, ReviewedCredentials)
    short = found.recorded_since is not None and found.recorded_since > since + timedelta(minutes=1)
    shown = found.grants[:_LISTED]
    values |= {"found": found, "review": review, "since": since, "short": short, "roles": _by_role(shown)}
    return request.page("unused.html", listed=len(shown), **values)


def _by_role(grants: Iterable[HeldGrant]) -> list[OfRole]:
    grouped = itertools.groupby(grants, key=lambda grant: grant.role)
    return [
        OfRole(role, [("|".join((each.db_name, each.object_name, each.privilege)), each) for each in held])
        for role, held in grouped
    ]


PAGES: Final = (Page("unused", unused),)
