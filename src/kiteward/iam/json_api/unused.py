"""Grants and API keys that were not used, by the audit trail."""

from datetime import UTC, datetime
from typing import Final

from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.json_api.shapes import HeldGrant, moment
from kiteward.iam.services import Services
from kiteward.iam.unused_access import list_unused


class Since(Arguments):
    """A time, such as `2026-11-27T00:00:00Z`."""

    since: datetime


class UnusedKey(Outcome):
    """An API key that was not used."""

    key_id: str
    user_name: str
    used_at: datetime | None


class Unused(Outcome):
    """What was not used since then, by the requests recorded from `recordedSince` on; null if none are recorded.

    What was made since then is left out, because nobody can say that it is not needed: `newerGrants` and `newerKeys`
    say how much of it was not used either.
    """

    grants: list[HeldGrant]
    keys: list[UnusedKey]
    newer_grants: int
    newer_keys: int
    recorded_since: datetime | None


async def unused(services: Services, request: Request, arguments: Since) -> Unused:
    """List grants and API keys that were not used since a time."""
    since = arguments.since if arguments.since.tzinfo is not None else arguments.since.replace(tzinfo=UTC)
    found = await list_unused(services, request, since)
    return Unused(
        grants=[HeldGrant.of(grant) for grant in found.grants],
        keys=[UnusedKey(key_id=key.key_id, user_name=key.owner, used_at=moment(key.used_at)) for key in found.keys],
        newer_grants=found.newer_grants,
        newer_keys=found.newer_keys,
        recorded_since=found.recorded_since,
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ListUnusedAccess",
        "access/unused",
        Since,
        Unused,
        unused,
        "List grants and API keys that were not used since a time, according to the audit trail.",
        changes=False,
    ),
)
