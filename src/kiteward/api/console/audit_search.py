"""What the audit page searches for: its filters, from the address of the page to the search of the gateway."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from kiteward.api.console.request import ConsoleRequest
from kiteward.audit.reader import Scope
from kiteward.iam.json_api.audit import Wanted

PERIODS: Final[Mapping[str, timedelta]] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}
"""The periods to choose from, each up to now."""

ROLES: Final = ("any", "by", "target")
"""How a user may be connected with a line: in any way, as who did it, or as whom it was done to."""

FILTERS: Final = (
    *("user", "user_is", "collection", "database", "operation", "kind", "outcome"),
    *("request_id", "period", "since", "until", "replica", "scope"),
)
_SEQ: Final = re.compile(r"[0-9]{1,18}")


class FilterInvalid(Exception):
    """A filter cannot be read.

    Attributes:
        field: the filter; empty where the page has no field for it.
        key: the text that says what would be right.
    """

    def __init__(self, field: str, key: str) -> None:
        super().__init__(key)
        self.field = field
        self.key = key


@dataclass(frozen=True, slots=True)
class Search:
    """The filters of a search, as they were given.

    Attributes:
        asked: filter -> its text; empty where it is not given.
        before, after: the number of the line where the page begins or ends.
        zone: the time zone of the times that were given.
    """

    asked: Mapping[str, str]
    before: str
    after: str
    zone: tzinfo = UTC

    @classmethod
    def of(cls, request: ConsoleRequest) -> "Search":
        """Return the filters that the address of a page has."""
        asked = {name: request.query_value(name).strip() for name in FILTERS}
        asked["scope"] = Scope.REPLICA if asked["scope"] == Scope.REPLICA else Scope.ALL
        asked["user_is"] = asked["user_is"] if asked["user_is"] in ROLES else ROLES[0]
        return cls(asked, request.query_value("before"), request.query_value("after"), request.display.time_zone)

    @property
    def scope(self) -> Scope:
        """Which lines are searched."""
        return Scope(self.asked["scope"])

    @property
    def given(self) -> dict[str, str]:
        """The filters that say something, for addresses of other pages of the same search."""
        usual = {"scope": Scope.ALL.value, "user_is": ROLES[0]}
        return {name: value for name, value in self.asked.items() if value and usual.get(name) != value}

    def wanted(self, limit: int, now: datetime | None = None) -> Wanted:
        """Return the search.

        Args:
            limit: the number of lines.
            now: the time; None for that of the clock.

        Raises:
            FilterInvalid: a filter cannot be read.
        """
        asked = self.asked
        users = {"any": "user_name", "by": "by_user_name", "target": "target_user_name"}
        since = self._time("since")
        if since is None and asked["period"] in PERIODS:
            since = (now or datetime.now(UTC)) - PERIODS[asked["period"]]
        return Wanted(
            **{users[asked["user_is"]]: asked["user"]},
            collection_name=asked["collection"],
            db_name=asked["database"],
            operation=asked["operation"],
            kind=asked["kind"],
            outcome=asked["outcome"],
            request_id=asked["request_id"],
            replica=asked["replica"],
            scope=self.scope,
            since=since,
            until=self._time("until"),
            before=_number(self.before),
            after=_number(self.after),
            limit=limit,
        )

    def _time(self, name: str) -> datetime | None:
        if not self.asked[name]:
            return None
        try:
            given = datetime.fromisoformat(self.asked[name])
        except ValueError:
            raise FilterInvalid(name, "field.moment") from None
        return given if given.tzinfo is not None else given.replace(tzinfo=self.zone)


def _number(given: str) -> int | None:
    if not given:
        return None
    if not _SEQ.fullmatch(given):
        raise FilterInvalid("", "field.number")
    return int(given)
