"""Explanations agree with decisions: compared over many random policies, principals and questions."""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from kiteward.authz.compiled_role import CompiledRole
from kiteward.authz.explanation import (
    allowing_grants_of,
    condition_of,
    explain,
    explain_with_remedies,
    held_privileges,
    named_as_given,
    rows_of,
)
from kiteward.authz.model import ADMIN_ROLE, PUBLIC_ROLE, Grant, GrantKey, Policy, PrivilegeGroup, Role
from kiteward.authz.policy import Condition, PolicySnapshot, decide
from kiteward.authz.privileges import ALL, BUILT_IN_GROUPS, LEGACY_GROUPS, PRIVILEGES, Level, ObjectType
from kiteward.domain.identity import Principal
from kiteward.domain.naming import ANY

CASES: Final = int(os.environ.get("TESTS_EXPLAIN_CASES", "25000"))
"""Questions in the short form, which compares of each what a longer one does."""
_POLICIES: Final = max(1, CASES // 250)
_ROLES: Final = ("reader", "writer", "keeper", ADMIN_ROLE, PUBLIC_ROLE)
_DATABASES: Final = ("default", "other", ANY)
_OBJECTS: Final = ("docs", "papers", ANY, "alice", "bob")
_GROUPS: Final = {"g_search": ("Search", "Query"), "g_users": ("SelectUser", "UpdateUser"), "g_none": ()}
_PRIVILEGES: Final = (*PRIVILEGES, *BUILT_IN_GROUPS, *LEGACY_GROUPS, *_GROUPS, ALL, ANY)
_WIDE: Final = (*BUILT_IN_GROUPS, *LEGACY_GROUPS, ALL, ANY)


def _policy(chance: random.Random) -> Policy:
    grants = tuple(
        Grant(
            chance.choice(_ROLES[:3] if chance.random() < 0.9 else _ROLES),
            GrantKey(
                chance.choice(tuple(ObjectType)),
                chance.choice(_DATABASES),
                chance.choice(_OBJECTS),
                chance.choice(_PRIVILEGES if chance.random() < 0.5 else _WIDE),
            ),
            "root",
        )
        for _ in range(chance.randrange(16))
    )
    groups = tuple(PrivilegeGroup(name, members) for name, members in _GROUPS.items())
    return Policy(1, tuple(map(Role, _ROLES)), tuple(dict.fromkeys(grants)), groups)


def _principal(chance: random.Random) -> Principal:
    roles = frozenset(chance.sample((*_ROLES[:3], "gone"), chance.randrange(4)))
    if chance.random() < 0.03:
        roles |= {ADMIN_ROLE}
    return Principal(chance.choice(("alice", "bob", "carol")), roles, unrestricted=chance.random() < 0.02)


def _condition(chance: random.Random) -> Condition:
    privilege = PRIVILEGES[chance.choice(tuple(PRIVILEGES))]
    visible = privilege.level is Level.COLLECTION and chance.random() < 0.3
    return condition_of(
        privilege, chance.choice(("", "other", "third")), chance.choice(("", *_OBJECTS)), visibility_is_enough=visible
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_explanations_agree_with_decisions() -> None:
    seed = os.environ.get("TESTS_EXPLAIN_SEED", str(random.randrange(2**32)))
    print(f"TESTS_EXPLAIN_SEED={seed}")
    chance = random.Random(seed)
    allowed = by_grant = remedied = 0
    for _ in range(_POLICIES):
        policy = _policy(chance)
        snapshot = PolicySnapshot.compile(policy)
        for _ in range(CASES // _POLICIES):
            principal, condition = _principal(chance), _condition(chance)
            verdict = decide(principal, (condition,), snapshot)
            found = explain(principal, condition, snapshot)
            assert (found.decision.allowed, found.decision.reason) == (verdict.allowed, verdict.reason)
            allowed += verdict.allowed
            if verdict.allowed:
                assert found.remedies == ()
                by_grant += bool(found.ways)
                _check_ways(principal, condition, policy, found.ways)
            elif chance.random() < 0.05:
                assert found.remedies == ()
                remedies = explain_with_remedies(principal, condition, snapshot).remedies
                remedied += len(remedies)
                _check_remedies(principal, condition, policy, remedies)
    # Were any of these rare, the comparison would say little.
    assert min(allowed, by_grant, CASES - allowed) > CASES // 25
    assert remedied > 0


def _check_ways(principal: Principal, condition: Condition, policy: Policy, ways: tuple[Grant, ...]) -> None:
    """Without those grants, and only then, it is allowed by a rule or not at all."""
    without = replace(policy, grants=tuple(grant for grant in policy.grants if grant not in ways))
    left = decide(principal, (condition,), PolicySnapshot.compile(without)).allowed
    assert left is not bool(ways)


def _check_remedies(principal: Principal, condition: Condition, policy: Policy, remedies: tuple[object, ...]) -> None:
    for remedy in remedies:
        grant, role = remedy.grant, remedy.role  # type: ignore[attr-defined]  # remedies, of the explanation
        if grant is None:
            snapshot, helped = PolicySnapshot.compile(policy), replace(principal, roles=principal.roles | {role})
        else:
            more = (*policy.grants, Grant(role, grant, "root"))
            snapshot, helped = PolicySnapshot.compile(replace(policy, grants=more)), principal
        assert decide(helped, (condition,), snapshot).allowed, remedy


def test_what_is_held_on_a_collection_is_what_decisions_allow_there() -> None:
    chance = random.Random(7)
    for _ in range(200):
        snapshot, principal = PolicySnapshot.compile(_policy(chance)), _principal(chance)
        held = set(held_privileges(principal, "default", "docs", snapshot))
        for privilege in PRIVILEGES.values():
            if privilege.level is not Level.CLUSTER:
                condition = Condition(privilege, "default", ("docs",))
                assert (privilege.name in held) is decide(principal, (condition,), snapshot).allowed


def _snapshot(*keys: GrantKey, **others: list[GrantKey]) -> PolicySnapshot:
    held = {"reader": list(keys), PUBLIC_ROLE: [], **others}
    grants = tuple(Grant(role, key, "root") for role, granted in held.items() for key in granted)
    return PolicySnapshot.compile(Policy(1, tuple(map(Role, held)), grants, (PrivilegeGroup("team", ("Search",)),)))


SEARCH = GrantKey(ObjectType.COLLECTION, "default", "docs", "Search")
ALICE = Principal("alice", frozenset({"reader"}))


def test_every_grant_that_allows_it_is_a_way_groups_and_public_among_them() -> None:
    by_group = GrantKey(ObjectType.GLOBAL, "default", ANY, "team")
    other = GrantKey(ObjectType.COLLECTION, "default", "papers", "Search")
    snapshot = _snapshot(SEARCH, other, public=[by_group])
    found = explain(ALICE, condition_of(PRIVILEGES["Search"], "", "docs"), snapshot)
    assert {(grant.role, grant.key) for grant in found.ways} == {("reader", SEARCH), ("public", by_group)}


@pytest.mark.parametrize(
    "principal", [Principal("root", unrestricted=True), Principal("boss", frozenset({ADMIN_ROLE}))]
)
def test_what_a_rule_allows_has_no_ways(principal: Principal) -> None:
    found = explain(principal, condition_of(PRIVILEGES["Search"], "", "docs"), _snapshot(public=[SEARCH]))
    assert found.decision.allowed
    assert found.ways == ()


def test_reading_about_oneself_has_no_ways() -> None:
    everybody = GrantKey(ObjectType.USER, ANY, ANY, "SelectUser")
    found = explain(ALICE, condition_of(PRIVILEGES["SelectUser"], "", "alice"), _snapshot(everybody))
    assert found.decision.allowed
    assert found.ways == ()


def test_refusal_names_roles_that_would_do_and_the_least_grant() -> None:
    condition = condition_of(PRIVILEGES["Search"], "", "docs")
    found = explain_with_remedies(ALICE, condition, _snapshot(writer=[SEARCH]))
    assert not found.decision.allowed
    assert [(remedy.role, remedy.grant) for remedy in found.remedies] == [("reader", SEARCH), ("writer", None)]


def test_rows_are_what_the_grants_are_about() -> None:
    snapshot = _snapshot(SEARCH, GrantKey(ObjectType.COLLECTION, "other", ANY, "Query"))
    assert rows_of(snapshot.held_by(ALICE)) == [("default", "docs"), ("other", ANY)]
    assert allowing_grants_of([], condition_of(PRIVILEGES["Search"], "", "docs"), snapshot) == ()


def test_refusal_of_what_is_behind_an_alias_reads_as_that_of_a_name_that_stands_for_nothing() -> None:
    behind, nothing = (condition_of(PRIVILEGES["Search"], "", name) for name in ("papers", "current"))
    snapshot = _snapshot(SEARCH)
    told = named_as_given(explain(ALICE, behind, snapshot), ALICE, behind, "current")
    assert told == explain(ALICE, nothing, snapshot)


def test_explanation_of_oneself_looks_at_no_role_of_others() -> None:
    class OnlyOwn(dict[str, CompiledRole]):
        """Roles that may be looked up by name and not be listed."""

        def __iter__(self) -> Iterator[str]:
            raise AssertionError("all roles are looked at")

        items = values = keys = __iter__  # type: ignore[assignment]  # every way to list them

    snapshot = _snapshot(SEARCH, writer=[SEARCH])
    own = replace(snapshot, roles=OnlyOwn(snapshot.roles))
    for name in ("docs", "papers"):
        condition = condition_of(PRIVILEGES["Search"], "", name)
        assert explain(ALICE, condition, own) == explain(ALICE, condition, snapshot)
