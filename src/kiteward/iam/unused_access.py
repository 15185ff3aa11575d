"""Grants and API keys that were not used, by the audit trail."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kiteward.audit.reader import AuditQuery, AuditReader
from kiteward.audit.uses import uses_of
from kiteward.authz.explanation import allowing_grants_of, condition_of
from kiteward.authz.model import PUBLIC_ROLE, Grant
from kiteward.authz.policy import PolicySnapshot
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.caller import Caller
from kiteward.iam.services import OperationRules, Services
from kiteward.store.records import KeyRecord, Use


@dataclass(frozen=True, slots=True)
class UnusedAccess:
    """What was not used since a time. What was made since then cannot be said to be unused, and is left out.

    Attributes:
        grants: grants that allowed no request, by role and key.
        keys: API keys with which no request was made, without those of token exchanges.
        newer_grants: how many grants that allowed no request were made since then.
        newer_keys: how many keys with which no request was made were made since then.
        recorded_since: the time from which on requests are recorded; None if none are.
    """

    grants: Sequence[Grant]
    keys: Sequence[KeyRecord]
    newer_grants: int
    newer_keys: int
    recorded_since: datetime | None


async def list_unused(services: Services, caller: Caller, since: datetime) -> UnusedAccess:
    """Return the grants and API keys that were not used since a time.

    Raises:
        InvalidArgument: there is no audit trail, or the time is yet to come.
        StoreUnavailable: the store cannot be read.
    """
    if services.trail is None:
        raise InvalidArgument(
            "there is no audit trail (kiteward.audit.enabled is false), so usage is not recorded",
            ErrorDetail(ErrorCode.AUDIT_DISABLED),
        )
    if since > datetime.now(UTC):
        raise InvalidArgument(
            "`since` must not be in the future: everything is unused since then",
            ErrorDetail(ErrorCode.UNUSED_SINCE_FUTURE),
            field="since",
        )
    roles = {record.name: (*record.roles, *record.group_roles) for record in await services.store.users()}
    if services.shared_trail is not None:
        uses, recorded_since = await services.shared_trail.uses(since)
    else:
        uses, recorded_since = await asyncio.to_thread(_uses, services.trail, since)
    used = await asyncio.to_thread(_used_grants, uses, roles, services.operations, caller.snapshot)
    unused = [grant for role in caller.snapshot.roles.values() for grant in role.grants if grant not in used]
    stored = [key for key in await services.store.keys() if key.exchange is None]  # the others expire soon
    keys = [key for key in stored if (key.used_at or 0.0) < since.timestamp()]
    newer = {(grant.role, grant.key) for grant in await services.store.grants_since(since.timestamp())}
    older = sorted(
        (each for each in unused if (each.role, each.key) not in newer), key=lambda each: (each.role, each.key)
    )
    older_keys = [key for key in keys if key.created_at < since.timestamp()]
    return UnusedAccess(
        older, older_keys, len(unused) - len(older), len(keys) - len(older_keys), recorded_since=recorded_since
    )


def _uses(trail: AuditReader, since: datetime) -> tuple[set[Use], datetime | None]:
    """Return the uses since a time, and the time from which on they are recorded."""
    oldest = next(iter(trail.every(AuditQuery())), None)
    uses = {use for entry in trail.every(AuditQuery(since=since.timestamp())) for use in uses_of(entry)}
    first = datetime.fromisoformat(oldest["time"]) if oldest is not None else None
    return uses, None if first is None else max(first, since).astimezone(UTC)


def _used_grants(
    uses: Iterable[Use],
    roles: Mapping[str, Sequence[str]],
    operations: Mapping[str, OperationRules],
    snapshot: PolicySnapshot,
) -> set[Grant]:
    """Return the grants that would allow one of the uses, by the current policy."""
    used: set[Grant] = set()
    for use in uses:
        row = operations.get(use.operation)
        if use.privilege not in PRIVILEGES:
            continue
        condition = condition_of(
            PRIVILEGES[use.privilege],
            use.database,
            use.collection,
            visibility_is_enough=row is not None and row.visibility_is_enough,
        )
        names = (*roles.get(use.user, ()), PUBLIC_ROLE)
        held = [snapshot.roles[name] for name in names if name in snapshot.roles]
        used.update(allowing_grants_of(held, condition, snapshot))
    return used
