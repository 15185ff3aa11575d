"""Decisions, rule by rule; `tests/access` and the model test cover their breadth."""

import pytest

from kiteward.authz.model import ADMIN_ROLE, PUBLIC_ROLE, Grant, GrantKey, Policy, PrivilegeGroup, Role
from kiteward.authz.policy import Condition, PolicySnapshot, decide, listed_collections, listed_databases
from kiteward.authz.privileges import BY_NAME_ONLY, PRIVILEGES, Level, ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied
from kiteward.domain.identity import Principal

ALICE = Principal("alice", frozenset({"reader"}))


def key(privilege: str, name: str = "docs", database: str = "default", kind: str = "Collection") -> GrantKey:
    return GrantKey(ObjectType(kind), database, name, privilege)


def snapshot(
    *keys: GrantKey, others: dict[str, list[GrantKey]] | None = None, groups: dict[str, list[str]] | None = None
) -> PolicySnapshot:
    held = {"reader": list(keys), PUBLIC_ROLE: [], ADMIN_ROLE: [], **(others or {})}
    return PolicySnapshot.compile(
        Policy(
            1,
            tuple(Role(name) for name in held),
            tuple(Grant(role, each, "root") for role, granted in held.items() for each in granted),
            tuple(PrivilegeGroup(name, tuple(members)) for name, members in (groups or {}).items()),
        )
    )


def needs(privilege: str, *names: str, database: str = "default", visible: bool = False) -> tuple[Condition, ...]:
    return (Condition(PRIVILEGES[privilege], database, names, visible),)


def test_without_a_grant_everything_is_denied_with_reason_and_message() -> None:
    decision = decide(ALICE, needs("Query", "docs"), snapshot())
    assert not decision.allowed
    assert decision.reason == "no role of `alice` holds Query on `default.docs`"
    with pytest.raises(AccessDenied, match="PrivilegeQuery: permission deny to alice in the `default` database"):
        decision.require_allowed()


@pytest.mark.parametrize(
    ("privilege", "expected"),
    [
        ("Query", ErrorDetail(ErrorCode.PRIVILEGE_MISSING, {"privilege": "Query", "database": "default"})),
        ("CreateOwnership", ErrorDetail(ErrorCode.PRIVILEGE_MISSING_EVERYWHERE, {"privilege": "CreateOwnership"})),
    ],
)
def test_a_refusal_says_where_the_privilege_is_needed(privilege: str, expected: ErrorDetail) -> None:
    with pytest.raises(AccessDenied) as refused:
        decide(ALICE, needs(privilege, "docs"), snapshot()).require_allowed()
    assert list(refused.value.details) == [expected]


def test_no_condition_lets_any_principal_pass() -> None:
    assert decide(ALICE, (), snapshot()).allowed


def test_root_and_holders_of_admin_may_do_everything() -> None:
    for principal in (Principal("root", unrestricted=True), Principal("bob", frozenset({ADMIN_ROLE}))):
        assert decide(principal, needs("DropCollection", "docs"), snapshot()).allowed


def test_root_without_its_bypass_needs_roles() -> None:
    assert not decide(Principal("root"), needs("Query", "docs"), snapshot()).allowed


def test_a_role_that_no_longer_exists_gives_nothing() -> None:
    assert not decide(Principal("alice", frozenset({"gone"})), needs("Query", "docs"), snapshot(key("Query"))).allowed


def test_what_public_holds_reaches_every_principal() -> None:
    policy = snapshot(others={PUBLIC_ROLE: [key("Query")]})
    assert decide(Principal("nobody"), needs("Query", "docs"), policy).allowed


def test_roles_add_up_over_the_names_of_one_request() -> None:
    policy = snapshot(key("Flush", "a"), others={"writer": [key("Flush", "b")]})
    both = Principal("alice", frozenset({"reader", "writer"}))
    assert decide(both, needs("Flush", "a", "b"), policy).allowed
    assert not decide(ALICE, needs("Flush", "a", "b"), policy).allowed


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        (key("Query"), True),
        (key("Query", "*"), True),
        (key("Query", database="*"), True),
        (key("Query", "*", "*"), True),
        (key("Query", "other"), False),
        (key("Query", database="other"), False),
        (key("Search"), False),
        (key("*"), True),
        (key("*", "*", kind="Global"), False),
        (key("All", "*", kind="Global"), True),
        (key("All", "*", "*", kind="Global"), False),
        (key("ReadOnly"), True),
        (key("ReadOnly", database="*"), False),
        (key("CollectionReadOnly", kind="Global"), True),
        (key("mine", kind="Global"), True),
    ],
)
def test_which_grants_allow_a_query(granted: GrantKey, *, allowed: bool) -> None:
    policy = snapshot(granted, groups={"mine": ["Query"]})
    assert decide(ALICE, needs("Query", "docs"), policy).allowed is allowed


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        (key("CreateOwnership", "*", kind="Global"), True),
        (key("CreateOwnership", "*", "*", kind="Global"), True),
        (key("CreateOwnership", "*", "other", kind="Global"), False),
        (key("CreateOwnership", "docs", kind="Global"), False),
        (key("ClusterAdmin", "*", "*", kind="Global"), True),
        (key("All", "*", kind="Global"), False),
        (key("All", "*", "*", kind="Global"), True),
        (key("All", "docs", "*", kind="Global"), False),
        (key("Admin", "*", kind="Global"), False),
        (key("Admin", "*", "*", kind="Global"), True),
        (key("*", "*", kind="Global"), False),
        (key("*", "*", "*", kind="Global"), True),
    ],
)
def test_which_grants_allow_to_create_users(granted: GrantKey, *, allowed: bool) -> None:
    assert decide(ALICE, needs("CreateOwnership"), snapshot(granted)).allowed is allowed


@pytest.mark.parametrize("database", ["default", "*"])
def test_a_privilege_on_a_user_reaches_that_user_alone(database: str) -> None:
    policy = snapshot(key("UpdateUser", "bob", database, kind="User"))
    assert decide(ALICE, needs("UpdateUser", "bob"), policy).allowed
    assert not decide(ALICE, needs("UpdateUser", "carol"), policy).allowed
    assert decide(ALICE, needs("UpdateUser", "alice"), policy).allowed


@pytest.mark.parametrize("privilege", ["CollectionAdmin", "DropCollection", "ReadWrite", "mine"])
def test_a_grant_on_a_named_collection_reaches_no_other(privilege: str) -> None:
    policy = snapshot(key(privilege, kind="Global"), groups={"mine": ["CreateAlias", "DescribeCollection"]})
    for needed in ("DescribeCollection", "CreateAlias", "DropCollection"):
        assert not decide(ALICE, needs(needed, "other", visible=True), policy).allowed
    assert decide(ALICE, needs("DescribeCollection", "docs", visible=True), policy).allowed


def test_only_a_holder_of_a_role_is_exempt_for_it() -> None:
    own = (Condition(PRIVILEGES["SelectOwnership"], own_role="reader"),)
    assert decide(ALICE, own, snapshot()).allowed
    assert not decide(Principal("bob"), own, snapshot()).allowed


def test_lists_show_what_the_principal_may_do_something_with() -> None:
    policy = snapshot(key("Search"), key("CreateCollection", "*", "sales", kind="Global"))
    assert listed_collections(ALICE, "default", ["docs", "other"], policy) == [True, False]
    assert listed_collections(ALICE, "sales", ["docs"], policy) == [False]
    assert listed_databases(ALICE, ["default", "sales", "hr"], policy) == [True, True, False]


def test_lists_ignore_what_public_holds_on_every_database() -> None:
    seeds = [key("DescribeCollection", "*", "*", kind="Global"), key("IndexDetail", "*", "*")]
    policy = snapshot(others={PUBLIC_ROLE: seeds})
    assert listed_collections(ALICE, "default", ["docs"], policy) == [False]
    assert listed_databases(ALICE, ["default"], policy) == [False]
    assert decide(ALICE, needs("DescribeCollection", "docs", visible=True), policy).allowed


def test_a_changed_group_changes_every_role_that_holds_it() -> None:
    policy = snapshot(key("mine", kind="Global"), groups={"mine": ["Query"]})
    changed = policy.with_groups({"mine": PrivilegeGroup("mine", ("Search",))})
    assert not decide(ALICE, needs("Query", "docs"), changed).allowed
    assert decide(ALICE, needs("Search", "docs"), changed).allowed
    assert decide(ALICE, needs("Query", "docs"), policy).allowed
    gone = changed.with_groups({"mine": None})
    assert not decide(ALICE, needs("Search", "docs"), gone).allowed


def test_a_changed_role_is_as_given_and_a_dropped_one_gives_nothing() -> None:
    policy = snapshot(key("Query"))
    changed = policy.with_roles({"reader": (Role("reader"), [Grant("reader", key("Search"), "root")])}, revision=2)
    assert changed.revision == 2
    assert not decide(ALICE, needs("Query", "docs"), changed).allowed
    assert decide(ALICE, needs("Search", "docs"), changed).allowed
    assert not decide(ALICE, needs("Search", "docs"), changed.with_roles({"reader": None}, revision=3)).allowed


@pytest.mark.parametrize("privilege", ["SkipRLS", "CallProvider"])
def test_privilege_that_is_granted_by_name_alone_makes_collections_visible_like_others(privilege: str) -> None:
    policy = snapshot(key(privilege, "*", kind="Global"))
    assert decide(ALICE, needs("DescribeCollection", "docs", visible=True), policy).allowed
    assert listed_collections(ALICE, "default", ["docs"], policy) == [True]


def test_star_on_a_named_collection_is_every_privilege_of_that_level_there_and_nothing_else() -> None:
    policy = snapshot(key("*", kind="Global"))
    for privilege in PRIVILEGES.values():
        if privilege.object_type is ObjectType.USER:
            continue
        held = decide(ALICE, needs(privilege.name, "docs"), policy).allowed
        by_name_only = bool(privilege.bit & BY_NAME_ONLY)
        assert held is (privilege.level is Level.COLLECTION and not by_name_only), privilege.name
        assert not decide(ALICE, needs(privilege.name, "other"), policy).allowed
        assert not decide(ALICE, needs(privilege.name, "docs", database="sales"), policy).allowed
