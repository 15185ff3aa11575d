"""Limits of requests of users, API keys and roles."""

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from kiteward.audit.events import Event
from kiteward.authz.request_limits import LimitedBy
from kiteward.domain.identity import CredentialReach
from kiteward.domain.request_limits import Counted, RequestLimits
from kiteward.iam import request_limits
from kiteward.iam.json_api.base import AdminOperation, Arguments, Done, Outcome, Request
from kiteward.iam.json_api.listing import ListArguments, cut, matches, part_of, state_of
from kiteward.iam.json_api.shapes import Changed
from kiteward.iam.request_limits import LimitHolder
from kiteward.iam.services import Services


class LimitedNamed(Arguments):
    """Names a user, an API key or a role; none for the credential that the caller uses."""

    user_name: str = ""
    key_id: str = ""
    role_name: str = ""


class LimitsGiven(Arguments):
    """Limits that take the place of those of a user, an API key or a role; those that are left out are removed.

    `requestsPerSecond` is an average, from 0.1. `burst` is how many may come at once after a pause; by default as many
    as in a second. `concurrentRequests` is how many are worked on at the same time.
    """

    user_name: str = ""
    key_id: str = ""
    role_name: str = ""
    requests_per_second: float | None = None
    burst: int | None = None
    concurrent_requests: int | None = None


class LimitsListing(ListArguments):
    """Selects the entries of the list of limits. `holder` is `user`, `api_key` or `role`."""

    holder: str = ""


class Limit(Outcome):
    """Limits, null where there is none of that kind.

    `holder` says whose they are: `user`, `role`, `api_key`, or `default` for those of the settings.
    """

    holder: str
    name: str
    requests_per_second: float | None
    burst: int | None
    concurrent_requests: int | None

    @classmethod
    def of(cls, holder: str, name: str, limits: RequestLimits) -> "Limit":
        """Return limits as they are shown."""
        return cls(
            holder=holder,
            name=name,
            requests_per_second=limits.rate,
            burst=None if limits.rate is None else int(limits.size),
            concurrent_requests=limits.concurrent,
        )

    @classmethod
    def by(cls, by: LimitedBy, limits: RequestLimits) -> "Limit":
        """Return limits that apply to somebody."""
        return cls.of(by.kind, by.name, limits)


class ShownLimits(Outcome):
    """The limits of a user, an API key or a role.

    `own` are its own, null without any. `applying` are all that the requests of a user or an API key have to keep
    within, and `effective` the smallest of each kind.
    """

    own: Limit | None
    applying: list[Limit]
    effective: Limit | None


class Limits(Outcome):
    """A page of users, API keys and roles with limits; `next` is the value of `after` for the next page."""

    limits: list[Limit]
    next: str
    total: int | None = None


_COLUMNS: Final[Mapping[str, Callable[[Limit], Any]]] = {
    "name": lambda limit: limit.name,
    "holder": lambda limit: limit.holder,
    "requestsPerSecond": lambda limit: _or_infinite(limit.requests_per_second),
    "burst": lambda limit: _or_infinite(limit.burst),
    "concurrentRequests": lambda limit: _or_infinite(limit.concurrent_requests),
}
_BY_PLACE: Final = ""
"""The order without `sort`: users, API keys, roles, each by name. `after` goes with it."""


class HolderKind(StrEnum):
    """Whose limits are listed."""

    USER = "user"
    API_KEY = "api_key"
    ROLE = "role"


async def described(services: Services, request: Request, arguments: LimitedNamed) -> ShownLimits:
    """Return the limits of a user, an API key or a role."""
    found = await request_limits.shown_limits(services, request, _holder(arguments))
    kind, name = _kind(found.holder)
    return ShownLimits(
        own=Limit.of(kind, name, found.own) if found.own else None,
        applying=[Limit.by(by, limits) for by, limits in found.applying],
        effective=Limit.of(kind, name, found.effective) if found.effective else None,
    )


async def changed(_services: Services, request: Request, arguments: LimitsGiven) -> Done:
    """Set limits."""
    limits = RequestLimits(arguments.requests_per_second, arguments.burst, arguments.concurrent_requests)
    await request_limits.set_limits(request, _holder(arguments), limits)
    return Done()


async def deleted(_services: Services, request: Request, arguments: LimitedNamed) -> Changed:
    """Delete limits."""
    return Changed(changed=await request_limits.delete_limits(request, _holder(arguments)))


async def listed(services: Services, _request: Request, arguments: LimitsListing) -> Limits:
    """List limits."""
    part, kind = part_of(arguments, _COLUMNS, _BY_PLACE), state_of(HolderKind, arguments.holder)
    held = [Limit.of(*_kind(holder), limits) for holder, limits in await request_limits.limited_holders(services)]
    found = [each for each in held if matches(arguments.contains, each.name) and (kind is None or each.holder == kind)]
    shown = cut(found, part, {**_COLUMNS, _BY_PLACE: lambda limit: f"{limit.holder}/{limit.name}"}, _BY_PLACE)
    return Limits(limits=list(shown.entries), next=shown.next, total=shown.total)


def _or_infinite(value: float | None) -> float:
    """Return a number to sort limits by: where there is none, anything is allowed."""
    return math.inf if value is None else value


def _holder(arguments: LimitedNamed | LimitsGiven) -> LimitHolder:
    return LimitHolder(arguments.user_name, arguments.key_id, arguments.role_name)


def _kind(holder: LimitHolder) -> tuple[str, str]:
    if holder.role_name:
        return "role", holder.role_name
    return ("api_key", holder.key_id) if holder.key_id else ("user", holder.user_name)


def _row(
    name: str, action: str, arguments: type[Arguments], outcome: type[Outcome], run: object, summary: str
) -> AdminOperation:
    """Return a row that administrators may always call, whatever their limits are."""
    changes, everybody = outcome in (Done, Changed), outcome is ShownLimits
    return AdminOperation(
        name,
        f"limits/{action}",
        arguments,
        outcome,
        run,  # type: ignore[arg-type]  # handlers have their own types of arguments
        summary,
        administrators=not everybody,
        own=everybody,
        credential=CredentialReach.ANY if everybody else CredentialReach.FULL,
        changes=changes,
        event=Event.LIMIT_CHANGE if changes else Event.ADMINISTRATIVE_READ,
        counted=Counted.OTHERS,
    )


ADMIN_OPERATIONS: Final = (
    _row("DescribeLimits", "describe", LimitedNamed, ShownLimits, described, "Return limits of requests."),
    _row("SetLimits", "set", LimitsGiven, Done, changed, "Set the limits of a user, an API key or a role."),
    _row(
        "DeleteLimits", "delete", LimitedNamed, Changed, deleted, "Remove the limits of a user, an API key or a role."
    ),
    _row("ListLimits", "list", LimitsListing, Limits, listed, "List the users, API keys and roles with limits."),
)
