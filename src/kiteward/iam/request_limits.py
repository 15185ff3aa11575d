"""Limits of requests of users, API keys and roles (decision 0055): setting, removing and showing them."""

from collections.abc import Sequence
from dataclasses import dataclass

from kiteward.authz.policy import decide_administrator
from kiteward.authz.request_limits import LimitedBy, applying
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, NotFound, RoleNotFound, UserNotFound
from kiteward.domain.faults import Faults
from kiteward.domain.identity import Principal
from kiteward.domain.request_limits import HIGHEST_RATE, LOWEST_RATE, MOST_AT_ONCE, RequestLimits
from kiteward.iam.access import Who, find_principal
from kiteward.iam.caller import Caller
from kiteward.iam.recorded_states import recorded_limits
from kiteward.iam.services import Services
from kiteward.store.records import Subject


@dataclass(frozen=True, slots=True)
class LimitHolder:
    """A user, an API key or a role; without any, the credential that the caller uses."""

    user_name: str = ""
    key_id: str = ""
    role_name: str = ""


@dataclass(frozen=True, slots=True)
class ShownLimits:
    """The limits of a user, an API key or a role.

    Attributes:
        holder: whose they are.
        own: its own limits.
        applying: for a user or an API key, every limit that its requests have to keep within.
    """

    holder: LimitHolder
    own: RequestLimits
    applying: Sequence[tuple[LimitedBy, RequestLimits]] = ()

    @property
    def effective(self) -> RequestLimits:
        """What remains of all of them."""
        return RequestLimits.smallest(limits for _, limits in self.applying)


def _missing(subject: Subject, name: str) -> NotFound:
    """Return the error that a user, an API key or a role does not exist."""
    if subject is Subject.USER:
        detail = ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": name})
        return UserNotFound(f"user not found: {name}", detail, field="userName")
    if subject is Subject.ROLE:
        detail = ErrorDetail(ErrorCode.ROLE_NOT_FOUND, {"name": name})
        return RoleNotFound(f"role not found: {name}", detail, field="roleName")
    detail = ErrorDetail(ErrorCode.API_KEY_NOT_FOUND, {"name": name})
    return NotFound(f"API key not found: {name}", detail, field="keyId")


async def set_limits(caller: Caller, holder: LimitHolder, limits: RequestLimits) -> None:
    """Replace the limits of a user, an API key or a role. The operation is one for administrators.

    Raises:
        InvalidArgument: no limit is given, one is out of its range, or the holder is not exactly one.
        NotFound: there is no such user, API key or role.
    """
    check_limits(limits)
    await _put(caller, holder, limits)


async def delete_limits(caller: Caller, holder: LimitHolder) -> bool:
    """Remove all limits of a user, an API key or a role, and return whether there were any.

    Raises:
        InvalidArgument, NotFound: as of `set_limits`.
    """
    return await _put(caller, holder, RequestLimits()) != RequestLimits()


async def _put(caller: Caller, holder: LimitHolder, limits: RequestLimits) -> RequestLimits:
    """Put limits in place of those that there are, and return these."""
    subject, name = _subject(holder)
    async with caller.change() as transaction:
        before = await transaction.limits.of(subject, name)
        if before is None:
            raise _missing(subject, name)
        await transaction.limits.put(subject, name, limits)
        caller.record(before=recorded_limits(before), after=recorded_limits(limits))
    return before


async def shown_limits(services: Services, caller: Caller, holder: LimitHolder) -> ShownLimits:
    """Return the limits of a user, an API key or a role; without any, of the credential that the caller uses.

    Users may see their own, and those of their API keys and roles; administrators all.

    Raises:
        InvalidArgument: more than one is given.
        AccessDenied: for another user, the caller is not an administrator.
        NotFound: there is no such user or role, or no such API key that the caller manages.
    """
    if holder.role_name:
        return _of_role(caller, _subject(holder)[1])
    state, key_id = await find_principal(services, caller, Who(holder.user_name, holder.key_id))
    principal = state.principal
    found = applying(principal, caller.snapshot.role_limits, services.request_limits or None)
    named = LimitHolder(key_id=key_id) if key_id is not None else LimitHolder(principal.user_name)
    return ShownLimits(named, _own(principal, key_id), found)


def _of_role(caller: Caller, name: str) -> ShownLimits:
    held = caller.principal.roles | caller.principal.withheld_roles
    if name not in held:
        decide_administrator(caller.principal).require_allowed()
    if name not in caller.snapshot.roles:
        raise _missing(Subject.ROLE, name)
    limits = (caller.snapshot.role_limits or {}).get(name, RequestLimits())
    return ShownLimits(LimitHolder(role_name=name), limits)


def _own(principal: Principal, key_id: str | None) -> RequestLimits:
    held = principal.limits
    if held is None:
        return RequestLimits()
    return held.user if key_id is None else dict(held.keys).get(key_id, RequestLimits())


async def limited_holders(services: Services) -> list[tuple[LimitHolder, RequestLimits]]:
    """Return every user, API key and role with limits, in this order, each sorted. It is for administrators."""
    users = await services.store.limited(Subject.USER)
    keys = await services.store.limited(Subject.KEY)
    roles = await services.store.limited(Subject.ROLE)
    return [
        *((LimitHolder(user_name=name), limits) for name, limits in users),
        *((LimitHolder(key_id=key_id), limits) for key_id, limits in keys),
        *((LimitHolder(role_name=name), limits) for name, limits in roles),
    ]


def _subject(holder: LimitHolder) -> tuple[Subject, str]:
    given = [
        (subject, name)
        for subject, name in (
            (Subject.USER, holder.user_name),
            (Subject.KEY, holder.key_id),
            (Subject.ROLE, holder.role_name),
        )
        if name
    ]
    if len(given) != 1:
        raise InvalidArgument(
            "give one of `userName`, `keyId` and `roleName`", ErrorDetail(ErrorCode.LIMITS_HOLDER), field="userName"
        )
    return given[0]


def check_limits(limits: RequestLimits) -> None:
    """Refuse limits that are none, or out of range.

    Raises:
        InvalidArgument: they are; one that is out of range has the others.
    """
    faults = Faults()
    with faults:
        _require_some(limits)
    for field, value, least, most in (
        ("requestsPerSecond", limits.rate, LOWEST_RATE, HIGHEST_RATE),
        ("burst", limits.burst, 1, MOST_AT_ONCE),
        ("concurrentRequests", limits.concurrent, 1, MOST_AT_ONCE),
    ):
        with faults:
            _require_between(field, value, least, most)
    faults.require_none()


def _require_some(limits: RequestLimits) -> None:
    if limits.burst is not None and limits.rate is None:
        raise InvalidArgument(
            "`burst` limits nothing without `requestsPerSecond`: give both, or leave it out",
            ErrorDetail(ErrorCode.LIMIT_BURST_WITHOUT_RATE),
            field="burst",
        )
    if not limits:
        raise InvalidArgument(
            "no limit is given: give `requestsPerSecond`, `concurrentRequests` or both",
            ErrorDetail(ErrorCode.LIMITS_MISSING),
            field="requestsPerSecond",
        )


def _require_between(field: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        detail = ErrorDetail(
            ErrorCode.LIMIT_OUT_OF_RANGE, {"name": field, "least": f"{least:g}", "most": f"{most:.0f}"}
        )
        raise InvalidArgument(f"`{field}` must be from {least:g} to {most:.0f}", detail, field=field)
