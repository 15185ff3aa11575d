"""What there was before a deletion, as the audit trail has it: all that goes with what is deleted, and no secret.

Lists are cut after `MOST_RECORDED` entries, and then end with their length. Texts are whole, of row policies as far as
there is room for all of them: whatever a role had, its lines are no more than those of a change.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from kiteward.audit.events import DETAILS_LIMIT, shortened_details, weight
from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup
from kiteward.authz.row_policies import ProtectedCollection, RowPolicy
from kiteward.domain.request_limits import RequestLimits
from kiteward.iam.row_policy_forms import LONGEST_EXPRESSION
from kiteward.store.factor_records import FactorRecord
from kiteward.store.records import KeyRecord, Subject, UserRecord
from kiteward.store.transaction import Transaction

MOST_RECORDED: Final = 256
"""Entries of a list that are recorded of what is deleted alone; of each one among many as of other events."""


def add_result(recorded: dict[str, Any], **found: Any) -> None:
    """Add to the recorded result of a change. A state before it that is empty is left out."""
    recorded.update(found)
    if recorded.get("before") in ({}, []):
        del recorded["before"]


def user_before(user: UserRecord, ended_keys: Sequence[str], *, among_many: bool = False) -> Mapping[str, Any]:
    """Return what a user had.

    Args:
        user: the user, as it was.
        ended_keys: ids of the API keys that ended with it, also those of others.
        among_many: whether others are deleted in the same change.
    """
    identity = user.identity
    told = {
        "description": user.description,
        "enabled": user.enabled,
        "roles": user.roles,
        "groupRoles": user.group_roles,
        "keyIds": sorted(ended_keys),
        "tags": dict(user.tags),
        "limits": recorded_limits(user.limits),
        "issuer": "" if identity is None else identity.issuer,
        "subject": "" if identity is None else identity.subject or "",
        "scimUserName": user.scim_login or "",
    }
    return _bounded(told, among_many=among_many)


def key_before(key: KeyRecord, ended_keys: Sequence[str], *, among_many: bool = False) -> Mapping[str, Any]:
    """Return what an API key had; `ended_keys` are the ids of those that ended, itself included."""
    told = {
        "description": key.description,
        "enabled": key.enabled,
        "networks": key.networks,
        "expiresAt": "" if key.expires_at is None else _moment(key.expires_at),
        "madeByKey": key.made_by_key or "",
        "keyIds": sorted(set(ended_keys) - {key.key_id}),
        "tags": dict(key.tags),
        "limits": recorded_limits(key.limits),
    }
    # Without the list, it had all roles of its user; with an empty one, none.
    roles = {} if key.roles is None else _cut({"roles": list(key.roles)}, among_many=among_many)
    return {**_bounded(told, among_many=among_many), **roles}


def keys_before(ended: Sequence[str]) -> Mapping[str, Any]:
    """Return the ids of API keys that ended with something that stays."""
    return _bounded({"keyIds": sorted(ended)})


def directory_before(user: UserRecord) -> Mapping[str, Any]:
    """Return what a user had of the directory of SCIM."""
    return _bounded({"scimUserName": user.scim_login or "", "groupRoles": user.group_roles})


async def role_before(transaction: Transaction, name: str) -> Mapping[str, Any]:
    """Return what a role has, and who has it."""
    role = await transaction.roles.get(name)
    limits = await transaction.limits.of(Subject.ROLE, name)
    holders = await transaction.roles.holders(name)
    told = {
        "description": "" if role is None else role.description,
        "users": holders.users,
        "keyIds": holders.key_ids,
        "grants": [_grant(each.key) for each in await transaction.grants.of_role(name)],
        "groupRoles": [
            {"issuer": each.issuer, "group": each.group, "pattern": each.is_pattern}
            for each in await transaction.identities.giving_role(name)
        ],
        "limits": recorded_limits(limits or RequestLimits()),
        "policies": _policies(await transaction.row_policies.that_name(name), naming=name),
    }
    return _bounded(told)


def group_before(group: PrivilegeGroup) -> Mapping[str, Any]:
    """Return what a privilege group had."""
    return _bounded({"privileges": list(group.privileges)})


def members_before(users: Iterable[str]) -> Mapping[str, Any]:
    """Return who was in a group of SCIM."""
    return _bounded({"members": sorted(users)})


def factors_before(factors: Iterable[FactorRecord]) -> Mapping[str, Any]:
    """Return which second factors a user had."""
    told = [{"factorId": each.factor_id, "kind": str(each.kind), "label": each.label} for each in factors]
    return _bounded({"factors": told})


def objects_before(grants: Sequence[Grant], protected: Sequence[ProtectedCollection]) -> Mapping[str, Any]:
    """Return the grants on a collection or a database, and the row policies there."""
    told = {
        "grants": [{**_grant(each.key), "role": each.role} for each in grants],
        "policies": _policies(protected),
        "enforced": [each.collection for each in protected if each.enabled],
    }
    return _bounded(told)


def recorded_policy(policy: RowPolicy) -> dict[str, object]:
    """Return what is recorded of a row policy: all of it but its time."""
    return {
        "policy": policy.name,
        "type": policy.policy_type.value,
        "actions": sorted(action.value for action in policy.actions),
        "roles": list(policy.roles),
        "using_expr": policy.using_expr,
        "check_expr": policy.check_expr,
        "description": policy.description,
    }


def recorded_limits(limits: RequestLimits) -> dict[str, float]:
    """Return what is recorded of limits of requests."""
    values = {"requestsPerSecond": limits.rate, "burst": limits.burst, "concurrentRequests": limits.concurrent}
    return {name: value for name, value in values.items() if value is not None}


def _grant(key: GrantKey) -> dict[str, str]:
    return {
        "privilege": key.privilege,
        "objectType": key.object_type.value,
        "dbName": key.db_name,
        "objectName": key.object_name,
    }


def _policies(protected: Iterable[ProtectedCollection], *, naming: str = "") -> list[Mapping[str, object]]:
    """Return the row policies of collections; those that name a role, if one is given.

    Those that exceed `DETAILS_LIMIT` together with the ones before them are shortened.
    """
    room = DETAILS_LIMIT
    found: list[Mapping[str, object]] = []
    for each in protected:
        for policy in each.policies:
            if naming and naming not in policy.roles:
                continue
            told = {"database": each.database, "collection": each.collection, **recorded_policy(policy)}
            room -= weight(told)
            found.append(told if room >= 0 else shortened_details(told))
    return found


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bounded(told: Mapping[str, Any], *, among_many: bool = False) -> Mapping[str, Any]:
    """Return a state without what says nothing, its lists and texts cut."""
    return _cut({name: value for name, value in told.items() if value not in ("", [], (), {})}, among_many=among_many)


def _cut(told: Mapping[str, Any], *, among_many: bool) -> Mapping[str, Any]:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}
    if among_many:
        return shortened_details(plain)
    return shortened_details(plain, most=MOST_RECORDED, longest=LONGEST_EXPRESSION)
