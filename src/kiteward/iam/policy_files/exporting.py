"""What is stored as a file. The same state gives the same file: everything is sorted, and every field is there."""

from collections.abc import Iterable

from msgspec import UNSET

from kiteward.authz.compiled_role import CompiledRole
from kiteward.authz.model import ADMIN_ROLE, BUILT_IN_ROLES, Grant
from kiteward.authz.policy import PolicySnapshot
from kiteward.authz.row_policies import ProtectedCollection, RowPolicy
from kiteward.domain.identity import ROOT
from kiteward.domain.request_limits import RequestLimits
from kiteward.iam.grants import fitting_type
from kiteward.iam.policy_files.document import (
    VERSION,
    PolicyDocument,
    PolicyGrant,
    PolicyGroup,
    PolicyGroupRole,
    PolicyIdentity,
    PolicyLimits,
    PolicyRole,
    PolicyRowRule,
    PolicyRows,
    PolicyUser,
)
from kiteward.iam.services import Services
from kiteward.store.records import UserRecord


async def exported(services: Services, snapshot: PolicySnapshot) -> PolicyDocument:
    """Return everything that a file can hold of what is stored. `root` and kept grants are not in it."""
    group_roles = await services.store.group_roles(None)
    return PolicyDocument(
        version=VERSION,
        privilege_groups={
            name: PolicyGroup(privileges=sorted(snapshot.groups[name].privileges)) for name in sorted(snapshot.groups)
        },
        roles={name: _role(snapshot.roles[name]) for name in sorted(snapshot.roles)},
        users={record.name: _user(record) for record in await services.store.users() if record.name != ROOT},
        row_policies=[_rows(held) for held in protected(snapshot)],
        group_roles=sorted(
            PolicyGroupRole(issuer=each.issuer, group=each.group, role=each.role, pattern=each.is_pattern)
            for each in group_roles
        ),
    )


def held_grants(role: CompiledRole | None) -> list[Grant]:
    """Return the grants of a role, sorted, without those that are kept for one user on a dropped collection."""
    grants = () if role is None else role.grants
    return sorted((grant for grant in grants if grant.kept_for is None), key=lambda grant: grant.key)


def protected(snapshot: PolicySnapshot) -> list[ProtectedCollection]:
    """Return the collections with row policies, or with properties about them, sorted."""
    held = (snapshot.row_rules[key].stored for key in sorted(snapshot.row_rules))
    return [each for each in held if each.enabled or each.force or each.policies]


def limits_of(held: RequestLimits) -> PolicyLimits:
    """Return limits as a file has them."""
    return PolicyLimits(
        requests_per_second=UNSET if held.rate is None else held.rate,
        burst=UNSET if held.burst is None else held.burst,
        concurrent_requests=UNSET if held.concurrent is None else held.concurrent,
    )


def _role(held: CompiledRole) -> PolicyRole:
    role = held.role
    return PolicyRole(
        description=UNSET if role.name in BUILT_IN_ROLES else role.description,
        grants=UNSET if role.name == ADMIN_ROLE else _grants(held_grants(held)),
        limits=limits_of(role.limits),
    )


def _grants(held: Iterable[Grant]) -> list[PolicyGrant]:
    keys = (grant.key for grant in held)
    return [
        PolicyGrant(
            privilege=key.privilege,
            database=key.db_name,
            collection=key.object_name,
            object_type=UNSET if key.object_type is fitting_type(key.privilege) else key.object_type,
        )
        for key in keys
    ]


def _user(record: UserRecord) -> PolicyUser:
    identity, by_scim = record.identity, record.scim_login is not None
    return PolicyUser(
        description=record.description,
        enabled=UNSET if by_scim else record.enabled,
        roles=list(record.roles),
        tags=dict(sorted(record.tags.items())),
        limits=limits_of(record.limits),
        identity=UNSET
        if identity is None
        else PolicyIdentity(issuer=identity.issuer, subject=UNSET if identity.subject is None else identity.subject),
        scim=by_scim,
    )


def _rows(held: ProtectedCollection) -> PolicyRows:
    return PolicyRows(
        database=held.database,
        collection=held.collection,
        enforced=held.enabled,
        force=held.force,
        policies={policy.name: rule_of(policy) for policy in held.policies},
    )


def rule_of(policy: RowPolicy) -> PolicyRowRule:
    """Return a row policy as a file has it."""
    return PolicyRowRule(
        type=policy.policy_type,
        actions=sorted(policy.actions),
        roles=list(policy.roles),
        using=policy.using_expr,
        check=policy.check_expr,
        description=policy.description,
    )
