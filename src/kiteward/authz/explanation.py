"""Explains decisions: which grants allow something, and what would allow what is refused.

Every result comes from `decide`: a grant is an allowing grant when `decide` allows a role that holds this grant alone.
The cost of an explanation grows with the grants of the principal. Only remedies evaluate every role.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from kiteward.authz.compiled_role import CompiledRole
from kiteward.authz.model import ADMIN_ROLE, Grant, GrantKey
from kiteward.authz.policy import Condition, Decision, PolicySnapshot, decide, denied
from kiteward.authz.privileges import LEGACY_GROUPS, PRIVILEGES, Level, ObjectType, Privilege
from kiteward.authz.refusals import on_object
from kiteward.domain.identity import Principal
from kiteward.domain.naming import ANY, DEFAULT_DATABASE

MOST_REMEDIES: Final = 20
"""Most remedies that are returned."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change that would allow what is refused.

    Attributes:
        role: the role to bind to the principal, or with `grant` the role to give the grant to.
        grant: the grant to give, or None where binding the role is enough.
    """

    role: str
    grant: GrantKey | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its allowing grants and remedies.

    Attributes:
        decision: the result of `decide`.
        ways: every grant that alone allows it; empty when a rule allows it or it is refused.
        remedies: changes that would allow it; empty when it is allowed, or remedies were not requested.
    """

    decision: Decision
    ways: tuple[Grant, ...] = ()
    remedies: tuple[Remedy, ...] = ()


def condition_of(privilege: Privilege, database: str, name: str, *, visibility_is_enough: bool = False) -> Condition:
    """Return the condition that requires a privilege on one object.

    Args:
        privilege: the privilege.
        database: the database, empty for `default`.
        name: a collection, or a user for privileges on users; empty or `*` for all.
        visibility_is_enough: as in `Condition`.
    """
    if privilege.object_type is ObjectType.USER:
        return Condition(privilege, names=(name or ANY,))
    if privilege.level is Level.CLUSTER:
        return Condition(privilege)
    return Condition(privilege, database or DEFAULT_DATABASE, (name or ANY,), visibility_is_enough)


def explain(principal: Principal, condition: Condition, snapshot: PolicySnapshot) -> Explanation:
    """Explain whether a principal may do something, and which of its own grants allow it.

    Args:
        principal: who would call.
        condition: what is required, on one object.
        snapshot: the policy in force.
    """
    decision = decide(principal, (condition,), snapshot)
    decision = on_object(decision, principal, condition, "".join(condition.names[:1]))
    unneeded = principal.unrestricted or ADMIN_ROLE in principal.roles
    if unneeded or not decision.allowed or _by_rule(principal, condition, snapshot):
        return Explanation(decision)
    return Explanation(decision, allowing_grants_of(snapshot.held_by(principal), condition, snapshot))


def explain_with_remedies(principal: Principal, condition: Condition, snapshot: PolicySnapshot) -> Explanation:
    """Explain as `explain` does, with the roles and grants that would allow what is refused.

    It is for administrators: it evaluates every role of the policy, and names those that are remedies.
    """
    found = explain(principal, condition, snapshot)
    if found.decision.allowed:
        return found
    return replace(found, remedies=_remedies(principal, condition, snapshot))


def named_as_given(found: Explanation, principal: Principal, condition: Condition, name: str) -> Explanation:
    """Return an explanation whose reason names an object as the caller did, not the collection that an alias names."""
    if found.decision.allowed or (condition.not_oneself and principal.user_name in condition.names):
        return found
    return replace(found, decision=on_object(denied(principal, condition, name), principal, condition, name))


def allowing_grants_of(
    roles: Iterable[CompiledRole], condition: Condition, snapshot: PolicySnapshot
) -> tuple[Grant, ...]:
    """Return the grants of these roles that each allow something alone."""
    return tuple(
        grant
        for role in roles
        for grant in role.grants
        if _concerns(grant.key, condition) and _allows(role, (grant,), condition, snapshot)
    )


def held_privileges(principal: Principal, database: str, name: str, snapshot: PolicySnapshot) -> tuple[str, ...]:
    """Return the privileges of a principal on a collection, or on all for `*`, without cluster-level privileges."""
    return tuple(
        privilege.name
        for privilege in PRIVILEGES.values()
        if privilege.level is not Level.CLUSTER
        and decide(principal, (condition_of(privilege, database, name),), snapshot).allowed
    )


def rows_of(roles: Iterable[CompiledRole]) -> Sequence[tuple[str, str]]:
    """Return the (database, collection) pairs that the grants of these roles name, `*` included."""
    return sorted({row for role in roles for row in role.rows})


def _by_rule(principal: Principal, condition: Condition, snapshot: PolicySnapshot) -> bool:
    """Return whether it is allowed without any grant, for example reading about oneself."""
    bare = {role.role.name: CompiledRole(role.role) for role in snapshot.held_by(principal)}
    return decide(principal, (condition,), replace(snapshot, roles=bare)).allowed


def _concerns(key: GrantKey, condition: Condition) -> bool:
    """Return whether a grant may affect a condition. Whether it allows anything is for `decide`."""
    if condition.privilege.object_type is ObjectType.USER or condition.privilege.level is Level.CLUSTER:
        return True
    # A legacy group on a collection also applies to its database.
    named = key.object_name in (ANY, *condition.names) or key.privilege in LEGACY_GROUPS
    return named and key.db_name in (ANY, condition.database)


def _allows(role: CompiledRole, grants: Sequence[Grant], condition: Condition, snapshot: PolicySnapshot) -> bool:
    return _suffices(CompiledRole.compile(role.role, grants, snapshot.groups), condition, snapshot)


def _suffices(role: CompiledRole, condition: Condition, snapshot: PolicySnapshot) -> bool:
    name = role.role.name
    holder = Principal("", frozenset({name}))
    return decide(holder, (condition,), replace(snapshot, roles={name: role})).allowed


def _remedies(principal: Principal, condition: Condition, snapshot: PolicySnapshot) -> tuple[Remedy, ...]:
    """Return the roles that would allow it if bound, and the grants that would allow it if given."""
    bindable = (
        Remedy(name)
        for name, role in sorted(snapshot.roles.items())
        if name != ADMIN_ROLE and name not in principal.roles and _suffices(role, condition, snapshot)
    )
    key = _least_grant(condition)
    grantable = (Remedy(name, key) for name in sorted(principal.roles) if name in snapshot.roles)
    return (*islice(grantable, MOST_REMEDIES), *islice(bindable, MOST_REMEDIES))


def _least_grant(condition: Condition) -> GrantKey:
    """Return the smallest grant that satisfies a condition."""
    privilege = condition.privilege
    name = condition.names[0] if condition.names else ANY
    if privilege.object_type is ObjectType.USER:
        return GrantKey(ObjectType.USER, ANY, name, privilege.name)
    if privilege.level is Level.CLUSTER:
        return GrantKey(privilege.object_type, ANY, ANY, privilege.name)
    return GrantKey(privilege.object_type, condition.database, name, privilege.name)
