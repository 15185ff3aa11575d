"""Row policies: which apply to whom, how they combine, and what they become with the values of a principal."""

from collections.abc import Mapping
from itertools import product

import pytest

from kiteward.authz.model import Grant, GrantKey, Policy, PrivilegeGroup, Role
from kiteward.authz.policy import PolicySnapshot
from kiteward.authz.privileges import ObjectType
from kiteward.authz.row_policies import (
    CHECK_ACTIONS,
    USING_ACTIONS,
    BoundRule,
    CompiledRowRules,
    PolicyType,
    ProtectedCollection,
    RowAction,
    RowPolicy,
)
from kiteward.domain.identity import Principal
from kiteward.filters import (
    And,
    Call,
    Comparison,
    Constant,
    Dialect,
    Expression,
    Field,
    ListOf,
    Literal,
    Membership,
    Or,
    parse,
)

EVERY_ACTION = frozenset(RowAction)
NOBODY = Principal("nobody")
NOTHING, EVERYTHING = Constant(False), Constant(True)


def policy(
    name: str,
    using: str = "owner == $current_principal",
    check: str = "owner == $current_principal",
    *,
    kind: PolicyType = PolicyType.PERMISSIVE,
    roles: tuple[str, ...] = (),
    actions: frozenset[RowAction] = EVERY_ACTION,
) -> RowPolicy:
    return RowPolicy(name, kind, actions=actions, roles=roles, using_expr=using, check_expr=check)


def restrictive(name: str, using: str, *, roles: tuple[str, ...] = ()) -> RowPolicy:
    return policy(name, using, using, kind=PolicyType.RESTRICTIVE, roles=roles)


def rules(*policies: RowPolicy, enabled: bool = True, force: bool = False) -> CompiledRowRules:
    stored = ProtectedCollection(database="default", collection="docs", enabled=enabled, force=force, policies=policies)
    return CompiledRowRules.compile(stored)


def equals(field: str, value: str | int | bool) -> Expression:
    return Comparison("==", Field(field), Literal(value))


def using(found: CompiledRowRules, who: Principal, action: RowAction = RowAction.QUERY) -> Expression:
    return found.using(who, action).expression


def bound(text: str, tags: Mapping[str, str] | None = None) -> Expression:
    return using(rules(policy("p", text)), Principal("alice", tags=tags or {}))


# Which policies apply


def test_without_any_policy_no_row_is_allowed() -> None:
    assert rules().using(NOBODY, RowAction.QUERY) == BoundRule(NOTHING, ())
    assert rules().check(NOBODY, RowAction.INSERT) == BoundRule(NOTHING, ())


def test_restrictive_policies_alone_allow_no_row() -> None:
    assert using(rules(restrictive("r", "true")), NOBODY) == NOTHING


def test_permissive_policies_add_up_and_every_restrictive_one_is_needed() -> None:
    found = rules(policy("a", "a == 1"), policy("b", "b == 2"), restrictive("c", "c == 3"), restrictive("d", "d == 4"))
    rule = found.using(NOBODY, RowAction.SEARCH)
    either = Or((equals("a", 1), equals("b", 2)))
    assert rule.expression == And((either, equals("c", 3), equals("d", 4)))
    assert rule.policies == ("a", "b", "c", "d")
    assert [(part.name, part.policy_type, part.expression) for part in rule.parts[1:3]] == [
        ("b", PolicyType.PERMISSIVE, equals("b", 2)),
        ("c", PolicyType.RESTRICTIVE, equals("c", 3)),
    ]


@pytest.mark.parametrize(("a", "b", "c"), list(product((True, False), repeat=3)))
def test_constants_combine_as_conditions_do(a: bool, b: bool, c: bool) -> None:
    found = rules(policy("a", str(a).lower()), policy("b", str(b).lower()), restrictive("c", str(c).lower()))
    assert using(found, NOBODY) == Constant((a or b) and c)


@pytest.mark.parametrize("action", RowAction)
def test_a_policy_is_about_its_actions_only(action: RowAction) -> None:
    found = rules(policy("p", "a == 1", "b == 2", actions=frozenset({action})))
    for each in RowAction:
        expected = equals("a", 1) if each is action and each in USING_ACTIONS else NOTHING
        assert found.using(NOBODY, each).expression == expected
        expected = equals("b", 2) if each is action and each in CHECK_ACTIONS else NOTHING
        assert found.check(NOBODY, each).expression == expected


def test_every_action_uses_an_expression() -> None:
    assert USING_ACTIONS | CHECK_ACTIONS == EVERY_ACTION


def test_a_policy_for_roles_applies_to_their_holders_and_one_for_public_to_everybody() -> None:
    found = rules(policy("p", "a == 1", roles=("reader", "writer")), policy("q", "b == 2", roles=("public", "reader")))
    for roles, expected in (
        (frozenset(), ("q",)),
        (frozenset({"other"}), ("q",)),
        (frozenset({"reader"}), ("p", "q")),
        (frozenset({"reader", "writer"}), ("p", "q")),
    ):
        assert found.using(Principal("alice", frozenset(roles)), RowAction.QUERY).policies == expected


def test_a_key_that_leaves_out_roles_loses_their_permissive_policies_and_keeps_the_restrictive_ones() -> None:
    found = rules(
        policy("all", "a == 1"),
        policy("more", "b == 2", roles=("boss",)),
        restrictive("less", "c == 3", roles=("guest",)),
    )
    whole = Principal("alice", frozenset({"boss", "guest"}))
    narrowed = Principal("alice", withheld_roles=frozenset({"boss", "guest"}))
    assert found.using(whole, RowAction.QUERY).policies == ("all", "less", "more")
    assert found.using(narrowed, RowAction.QUERY).policies == ("all", "less")


def test_what_cannot_be_parsed_allows_nothing_and_is_told() -> None:
    found = rules(policy("good", "a == 1"), policy("bad", "a == ("))
    assert using(found, NOBODY) == equals("a", 1)
    assert set(found.faults) == {"bad"}
    assert using(rules(policy("good", "a == 1"), restrictive("bad", "a ~ 1")), NOBODY) == NOTHING
    assert using(rules(policy("empty", "")), NOBODY) == NOTHING


def test_read_fields_are_those_of_every_expression() -> None:
    found = rules(policy("p", "a == 1 or b in [2]", "c == 3"), restrictive("r", "array_contains(d, 'x')"))
    assert found.read_fields == {"a", "b", "c", "d"}


# Values in place of variables


def test_principal_and_tags_become_literals_whatever_they_contain() -> None:
    hostile = "x' or true or 'y"
    found = using(rules(policy("p", "a == $current_principal_tags['k']")), Principal("alice", tags={"k": hostile}))
    assert found == equals("a", hostile)
    assert bound("owner == $current_principal") == equals("owner", "alice")


def test_a_missing_tag_makes_its_comparison_false_and_nothing_else() -> None:
    assert bound("a == $current_principal_tags['none']") == NOTHING
    assert bound("a == $current_principal_tags['none'] or b == 1") == equals("b", 1)
    assert bound("a == $current_principal_tags['none'] and b == 1") == NOTHING
    assert bound("array_contains(a, $current_principal_tags['none'])") == NOTHING


def test_a_missing_tag_is_left_out_of_lists_and_matches_nothing_where_all_elements_count() -> None:
    none = "$current_principal_tags['none']"
    assert bound(f"a in [{none}, 'x']") == Membership(Field("a"), ListOf((Literal("x"),)))
    assert bound(f"a in [{none}]") == NOTHING
    assert bound(f"array_contains_any(a, [{none}, 'x'])") == Call(
        "array_contains_any", (Field("a"), ListOf((Literal("x"),)))
    )
    assert bound(f"array_contains_any(a, [{none}])") == NOTHING
    assert bound(f"array_contains_all(a, [{none}, 'x'])") == NOTHING


def test_conditions_about_the_principal_alone_are_decided_here() -> None:
    level = "$current_principal_tags['level']"
    assert bound(f"{level} == 'high'", {"level": "high"}) == EVERYTHING
    assert bound(f"{level} == 'high'", {"level": "low"}) == NOTHING
    assert bound(f"{level} in ['high', 'low'] and a == 1", {"level": "low"}) == equals("a", 1)
    assert bound("$current_principal == 'bob' or a == 1") == equals("a", 1)


def test_a_constant_is_never_inside_another_expression() -> None:
    found = bound("(a == 1 and (true or b == 2)) or (false and c == 3)")
    assert found == equals("a", 1)


def test_what_the_dialect_of_policies_has_is_bound_without_loss() -> None:
    for text in (
        "a == 1",
        "a in ['x', 'y']",
        "a == true",
        "array_contains(a, 5)",
        "array_contains_all(a, ['x'])",
        "(a == 1 or b == 2) and c == 3",
    ):
        assert bound(text) == parse(text, Dialect.POLICY)


# Who bypasses


def snapshot(*grants: GrantKey, groups: tuple[PrivilegeGroup, ...] = ()) -> PolicySnapshot:
    stored = ProtectedCollection(
        database="default", collection="docs", enabled=True, force=False, policies=(policy("p"),)
    )
    held = tuple(Grant("reader", key, "root") for key in grants)
    return PolicySnapshot.compile(Policy(1, (Role("admin"), Role("reader")), held, groups, (stored,)))


def key(privilege: str, name: str = "docs", database: str = "default") -> GrantKey:
    return GrantKey(ObjectType.GLOBAL, database, name, privilege)


READER = Principal("alice", frozenset({"reader"}))
ADMINISTRATORS = (Principal("root", unrestricted=True), Principal("boss", frozenset({"admin"})))


@pytest.mark.parametrize("who", ADMINISTRATORS)
def test_administrators_bypass_unless_forced(who: Principal) -> None:
    assert rules(policy("p")).bypassed_by(who, snapshot())
    assert not rules(policy("p"), force=True).bypassed_by(who, snapshot())


@pytest.mark.parametrize(
    "grant", [key("SkipRLS"), key("SkipRLS", "*"), key("SkipRLS", "*", "*"), key("mine"), key("mine", "*")]
)
def test_holders_of_skip_rls_bypass_by_name_or_in_a_custom_group_unless_forced(grant: GrantKey) -> None:
    held = snapshot(grant, groups=(PrivilegeGroup("mine", ("SkipRLS",)),))
    assert rules(policy("p")).bypassed_by(READER, held)
    assert not rules(policy("p"), force=True).bypassed_by(READER, held)
    assert not rules(policy("p")).bypassed_by(NOBODY, held)


@pytest.mark.parametrize(
    "grant",
    [
        key("All"),
        key("All", "*"),
        key("*"),
        key("*", "*", "*"),
        key("CollectionAdmin"),
        key("ManageRLS"),
        key("SkipRLS", "other"),
        key("SkipRLS", "docs", "sales"),
        GrantKey(ObjectType.COLLECTION, "default", "docs", "*"),
    ],
)
def test_no_other_grant_bypasses(grant: GrantKey) -> None:
    assert not rules(policy("p")).bypassed_by(READER, snapshot(grant))


# The snapshot


def test_only_enforced_policies_protect() -> None:
    loaded = snapshot()
    assert loaded.protected("default", "docs") is loaded.row_rules["default", "docs"]
    assert loaded.protected("default", "other") is None
    off = ProtectedCollection(database="default", collection="docs", enabled=False, force=False)
    changed = loaded.with_collections({("default", "docs"): off})
    assert changed.protected("default", "docs") is None
    assert ("default", "docs") in changed.row_rules
    assert loaded.protected("default", "docs") is not None


def test_a_collection_without_policies_any_more_has_no_rules() -> None:
    assert not snapshot().with_collections({("default", "docs"): None}).row_rules
