"""Which grants and API keys nobody has used, by the audit trail."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from kiteward.audit.reader import AuditQuery, AuditReader, Entry
from kiteward.authz.explanation import allowing_grants_of, condition_of
from kiteward.authz.model import Grant
from kiteward.authz.policy import PolicySnapshot
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.gateway.administration.base import Services
from kiteward.gateway.extensions.access import AllowingGrant, allowing_grant_of
from kiteward.gateway.extensions.accounts import moment
from kiteward.gateway.extensions.base import AdminOperation, Arguments, Outcome, Request
from kiteward.gateway.operations import OPERATIONS


class Since(Arguments):
    """A moment, such as `2026-11-27T00:00:00Z`."""

    since: datetime


class UnusedKey(Outcome):
    """An API key that was not used."""

    key_id: str
    user_name: str
    used_at: datetime | None


class Unused(Outcome):
    """What was not used since then, as far as is recorded: from `recordedSince` on, null for nothing at all."""

    grants: list[AllowingGrant]
    keys: list[UnusedKey]
    recorded_since: datetime | None


async def unused(services: Services, request: Request, arguments: Since) -> Unused:
    """List grants and API keys that were not used since a moment."""
    if services.trail is None:
        raise InvalidArgument(
            "there is no audit trail (kiteward.audit.enabled is false), so that nobody can tell",
            ErrorDetail(ErrorCode.AUDIT_DISABLED),
        )
    since = _utc(arguments.since)
    roles = {record.name: record.roles for record in await services.store.users()}
    uses, first = await asyncio.to_thread(_uses, services.trail, since)
    used = await asyncio.to_thread(_all_used_grants, uses, roles, request.snapshot)
    grants = [grant for role in request.snapshot.roles.values() for grant in role.grants if grant not in used]
    keys = [key for key in await services.store.keys() if (key.used_at or 0.0) < since.timestamp()]
    return Unused(
        grants=[allowing_grant_of(grant) for grant in sorted(grants, key=lambda grant: (grant.role, grant.key))],
        keys=[UnusedKey(key_id=key.key_id, user_name=key.owner, used_at=moment(key.used_at)) for key in keys],
        recorded_since=first,
    )


Use = tuple[str, str, str, str, str]
"""Who did what: user, privilege, operation, database, collection."""


def _uses(trail: AuditReader, since: datetime) -> tuple[set[Use], datetime | None]:
    """Return what was done since a moment, each thing once, and since when that is recorded."""
    uses: set[Use] = set()
    oldest = next(iter(trail.every(AuditQuery())), None)
    for entry in trail.every(AuditQuery(since=since.timestamp())):
        if entry.get("decision") == "allowed" and entry.get("privilege"):
            uses.update(_uses_of(entry))
    first = datetime.fromisoformat(oldest["time"]) if oldest is not None else None
    return uses, None if first is None else max(first, since)


def _uses_of(entry: Entry) -> Iterable[Use]:
    for name in entry.get("resources") or ("",):
        yield (
            entry.get("principal", ""),
            entry["privilege"],
            entry.get("operation", ""),
            entry.get("database", ""),
            name,
        )


def _all_used_grants(uses: set[Use], roles: dict[str, tuple[str, ...]], snapshot: PolicySnapshot) -> set[Grant]:
    return {grant for use in uses for grant in _used_grants(use, roles, snapshot)}


def _used_grants(use: Use, roles: dict[str, tuple[str, ...]], snapshot: PolicySnapshot) -> Iterable[Grant]:
    user, privilege, operation, database, name = use
    row = OPERATIONS.get(operation)
    if privilege not in PRIVILEGES or row is None:
        return ()
    condition = condition_of(PRIVILEGES[privilege], database, name, visibility_is_enough=row.visibility_is_enough)
    held = [snapshot.roles[role] for role in (*roles.get(user, ()), "public") if role in snapshot.roles]
    return allowing_grants_of(held, condition, snapshot)


def _utc(given: datetime) -> datetime:
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ListUnusedAccess",
        "access/unused",
        Since,
        Unused,
        unused,
        "List grants and API keys that were not used since a moment, by the audit trail.",
        changes=False,
    ),
)
