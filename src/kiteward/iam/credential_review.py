"""Users and API keys that an administrator should look at: locked, soon to expire, or unused."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.services import Services
from kiteward.store.records import KeyRecord, UserRecord

_DAY: Final = 86_400.0
LONGEST_DAYS: Final = 3_650
"""Most days that reviews look ahead or back."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Some(Generic[_T]):
    """The first of several, and how many there are.

    Attributes:
        first: the first.
        count: how many there are.
    """

    first: Sequence[_T]
    count: int


@dataclass(frozen=True, slots=True)
class CredentialReview:
    """What an administrator should look at.

    Attributes:
        locked: locked users, the latest first.
        expiring: enabled keys that expire soon, the first to expire first. Those of token exchanges are left out.
        unused_users: enabled users with no recent sign-in, the longest unused first, without those created since then.
        unused_keys: likewise enabled keys.
    """

    locked: Some[UserRecord]
    expiring: Some[KeyRecord]
    unused_users: Some[UserRecord]
    unused_keys: Some[KeyRecord]


async def review_credentials(
    services: Services, now: float, *, expire_within: int, unused_for: int, most: int
) -> CredentialReview:
    """Return users and keys that an administrator should look at.

    Args:
        services: what services work with.
        now: seconds since the epoch.
        expire_within: days within which a key expires.
        unused_for: days for which a user or key was not used.
        most: how many of each at most.

    Raises:
        InvalidArgument: a number of days is not from 1 to 3650.
        StoreUnavailable: the store cannot be read.
    """
    soon, then = now + _seconds("expiringWithinDays", expire_within), now - _seconds("unusedForDays", unused_for)
    users = [record for record in await services.store.users() if record.enabled or record.locked_at is not None]
    keys = [key for key in await services.store.keys() if key.enabled and key.exchange is None]
    live = [key for key in keys if key.expires_at is None or key.expires_at > now]

    def last_used(user: UserRecord) -> float:
        return user.signed_in_at or user.created_at

    return CredentialReview(
        _some((each for each in users if each.locked_at is not None), lambda each: -(each.locked_at or 0.0), most),
        _some((each for each in live if each.expires_at and each.expires_at <= soon), _expiry, most),
        _some((each for each in users if each.enabled and last_used(each) < then), last_used, most),
        _some((each for each in live if _last_use(each) < then), _last_use, most),
    )


def _expiry(key: KeyRecord) -> float:
    return key.expires_at or 0.0


def _last_use(key: KeyRecord) -> float:
    return key.used_at or key.created_at


def _some(found: Iterable[_T], order: Callable[[_T], float], most: int) -> Some[_T]:
    every = sorted(found, key=order)
    return Some(every[:most], len(every))


def _seconds(field: str, days: int) -> float:
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidArgument(
            f"`{field}` must be from 1 to {LONGEST_DAYS}",
            ErrorDetail(ErrorCode.LIMIT_OUT_OF_RANGE, {"name": field, "least": 1, "most": LONGEST_DAYS}),
            field=field,
        )
    return days * _DAY
