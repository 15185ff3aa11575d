"""Explains decisions: by which grant something is allowed, and what would allow what is refused.

Verdicts are those of `decide` and of nothing else: a grant counts as a way when `decide` allows a role that holds
this grant alone. What is explained about somebody costs what that one's own grants cost; only remedies look at every
role.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from kiteward.authz.model import ADMIN_ROLE, Grant, GrantKey
from kiteward.authz.policy import CompiledRole, Condition, Decision, PolicySnapshot, decide, denied
from kiteward.authz.privileges import LEGACY_GROUPS, PRIVILEGES, Level, ObjectType, Privilege
from kiteward.domain.identity import Principal
from kiteward.domain.naming import ANY, DEFAULT_DATABASE

MOST_REMEDIES: Final = 20
"""Most roles that are named as remedies."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change that would allow what is refused.

    Attributes:
        role: the role to bind; or, with `grant`, to grant it to.
        grant: what to grant, or None where binding the role is enough.
    """

    role: str
    grant: GrantKey | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with what is behind it.

    Attributes:
        decision: what `decide` says.
        ways: every grant that alone allows it; empty where a rule does, or nothing does.
        remedies: what would allow it; empty where it is allowed, or was not asked for.
    """

    decision: Decision
    ways: tuple[Grant, ...] = ()
    remedies: tuple[Remedy, ...] = ()


def condition_of(privilege: Privilege, database: str, name: str, *, visibility_is_enough: bool = False) -> Condition:
    """Return the condition of needing a privilege on one object.

    Args:
        privilege: the privilege.
        database: the database, empty for `default`.
        name: a collection, or for privileges on users a user; empty or `*` for every one.
        visibility_is_enough: as in `Condition`.
    """
    if privilege.object_type is ObjectType.USER:
        return Condition(privilege, names=(name or ANY,))
    if privilege.level is Level.CLUSTER:
        return Condition(privilege)
    return Condition(privilege, database or DEFAULT_DATABASE, (name or ANY,), visibility_is_enough)


def explain(principal: Principal, condition: Condition, snapshot: PolicySnapshot) -> Explanation:
    """Explain whether a principal may do something, and through which of its own grants.

    Args:
        principal: who would call.
        condition: what must hold, of one object.
        snapshot: the policy in force.
    """
    decision = decide(principal, (condition,), snapshot)
    unneeded = principal.unrestricted or ADMIN_ROLE in principal.roles
    if unneeded or not decision.allowed or _by_rule(principal, condition, snapshot):
        return Explanation(decision)
    return Explanation(decision, allowing_grants_of(snapshot.held_by(principal), condition, snapshot))


def explain_with_remedies(principal: Principal, condition: Condition, snapshot: PolicySnapshot) -> Explanation:
    """Explain the same, and what would allow what is refused, by the roles of everybody.

    It is for administrators, and costs a decision for each role there is.
    """
    found = explain(principal, condition, snapshot)
    if found.decision.allowed:
        return found
    return replace(found, remedies=_remedies(principal, condition, snapshot))


def named_as_given(found: Explanation, principal: Principal, condition: Condition, name: str) -> Explanation:
    """Return an explanation whose reason names an object as it was asked for, not what stands behind an alias."""
    if found.decision.allowed:
        return found
    return replace(found, decision=denied(principal, condition, name))


def allowing_grants_of(
    roles: Iterable[CompiledRole], condition: Condition, snapshot: PolicySnapshot
) -> tuple[Grant, ...]:
    """Return the grants of these roles that allow something each by itself."""
    return tuple(
        grant
        for role in roles
        for grant in role.grants
        if _concerns(grant.key, condition) and _allows(role, (grant,), condition, snapshot)
    )


def held_privileges(principal: Principal, database: str, name: str, snapshot: PolicySnapshot) -> tuple[str, ...]:
    """Return the privileges, but those of the cluster, that a principal holds on a collection, or for `*` on all."""
    return tuple(
        privilege.name
        for privilege in PRIVILEGES.values()
        if privilege.level is not Level.CLUSTER
        and decide(principal, (condition_of(privilege, database, name),), snapshot).allowed
    )


def rows_of(roles: Iterable[CompiledRole]) -> Sequence[tuple[str, str]]:
    """Return the databases and collections that the grants of these roles are about, `*` among them."""
    return sorted({row for role in roles for row in role.rows})


def _by_rule(principal: Principal, condition: Condition, snapshot: PolicySnapshot) -> bool:
    """Tell whether it is allowed without any grant, such as reading about oneself."""
    bare = {role.role.name: CompiledRole(role.role) for role in snapshot.held_by(principal)}
    return decide(principal, (condition,), replace(snapshot, roles=bare)).allowed


def _concerns(key: GrantKey, condition: Condition) -> bool:
    """Tell whether a grant may have to do with a condition; whether it allows anything is for `decide` to say."""
    if condition.privilege.object_type is ObjectType.USER or condition.privilege.level is Level.CLUSTER:
        return True
    # A legacy group on a collection reaches its database too.
    named = key.object_name in (ANY, *condition.names) or key.privilege in LEGACY_GROUPS
    return named and key.db_name in (ANY, condition.database)


def _allows(role: CompiledRole, grants: Sequence[Grant], condition: Condition, snapshot: PolicySnapshot) -> bool:
    return _suffices(CompiledRole.compile(role.role, grants, snapshot.groups), condition, snapshot)


def _suffices(role: CompiledRole, condition: Condition, snapshot: PolicySnapshot) -> bool:
    name = role.role.name
    holder = Principal("", frozenset({name}))
    return decide(holder, (condition,), replace(snapshot, roles={name: role})).allowed


def _remedies(principal: Principal, condition: Condition, snapshot: PolicySnapshot) -> tuple[Remedy, ...]:
    """Return the roles that would do if they were bound, and the grants that would do if they were given."""
    bindable = (
        Remedy(name)
        for name, role in sorted(snapshot.roles.items())
        if name != ADMIN_ROLE and name not in principal.roles and _suffices(role, condition, snapshot)
    )
    key = _least_grant(condition)
    grantable = (Remedy(name, key) for name in sorted(principal.roles) if name in snapshot.roles)
    return (*islice(grantable, MOST_REMEDIES), *islice(bindable, MOST_REMEDIES))


def _least_grant(condition: Condition) -> GrantKey:
    """Return the smallest grant that makes a condition hold."""
    privilege = condition.privilege
    name = condition.names[0] if condition.names else ANY
    if privilege.object_type is ObjectType.USER:
        return GrantKey(ObjectType.USER, ANY, name, privilege.name)
    if privilege.level is Level.CLUSTER:
        return GrantKey(privilege.object_type, ANY, ANY, privilege.name)
    return GrantKey(privilege.object_type, condition.database, name, privilege.name)
