"""Drafts: what was changed in a copy is written as if it had been changed in the store."""

from dataclasses import replace

import pytest
from tests.conformance.store.harness import Transact, Work, adding, existing

from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup, Role
from kiteward.authz.privileges import ObjectType
from kiteward.authz.row_policies import PolicyType, RowAction, RowPolicy
from kiteward.domain.request_limits import RequestLimits
from kiteward.store.base import Store
from kiteward.store.drafted import Drafted
from kiteward.store.identity_records import GroupRole
from kiteward.store.records import Change, KeyRecord, LastUsed, SessionRecord, Subject
from kiteward.store.transaction import Transaction

QUERY = Grant("reader", GrantKey(ObjectType.COLLECTION, "default", "docs", "Query"), "root")
LOAD = Grant("keeper", GrantKey(ObjectType.COLLECTION, "default", "docs", "Load"), "root")
OWN = RowPolicy("own", PolicyType.PERMISSIVE, frozenset({RowAction.QUERY}), ("reader",), "a == 1", "", "ü")
KEY = KeyRecord("k1", "bob", "digest of k1", "a program", 0.0, "bob", None, None)
SESSION = SessionRecord("s1", "carol", "v1", "v1", "10.0.0.1", "a browser", 1.0, 1.0)


async def before(transaction: Transaction) -> None:
    for name in ("alice", "bob", "carol"):
        await transaction.users.add(name, f"hash of {name}")
    for role in ("reader", "spare"):
        await transaction.roles.put(Role(role, "as it was"))
    await transaction.roles.bind("bob", "spare")
    await transaction.grants.add([QUERY])
    await transaction.groups.put(PrivilegeGroup("mine", ("Insert",)))
    await transaction.keys.add(KEY)


async def after(transaction: Transaction) -> None:
    await transaction.users.add("dora", "hash of dora", description="new")
    await transaction.users.describe("alice", "described")
    await transaction.user_tags.put("alice", {"team": "red"})
    await transaction.limits.put(Subject.USER, "alice", RequestLimits(2.0, 5, None))
    await transaction.users.enable("carol", False)
    await transaction.users.remove("bob")
    await transaction.roles.remove("spare")
    await transaction.roles.put(Role("keeper", "new"))
    await transaction.roles.put(Role("reader", "as it is"))
    await transaction.roles.bind("dora", "keeper")
    await transaction.grants.remove("reader", [QUERY.key])
    await transaction.grants.add([LOAD])
    await transaction.groups.put(PrivilegeGroup("mine", ("Insert", "Query")))
    await transaction.row_policies.put("default", "docs", OWN)
    await transaction.identities.grant_role(GroupRole("scim", "staff", False, "keeper"))


async def drafted(store: Store, work: Work) -> Drafted:
    async with store.draft() as draft:
        await work(draft.transaction)
        return await draft.result()


async def carried_out(store: Store, draft: Drafted) -> bool:
    async with store.transaction() as transaction:
        done = await transaction.carry_out(draft)
        await transaction.commit()
        return done


async def test_a_draft_leaves_the_same_as_the_changes_themselves(store: Store, change: Transact) -> None:
    await change(before)
    async with store.transaction() as transaction:
        await after(transaction)
        expected = set(transaction.changes)  # and it is rolled back
    draft = await drafted(store, after)
    assert (await store.policy()).revision == 1
    assert set(draft.changes) == expected
    assert await carried_out(store, draft)
    policy = await store.policy()
    assert policy.revision == 2
    assert {role.name: role.description for role in policy.roles}.items() >= {
        "keeper": "new",
        "reader": "as it is",
    }.items()
    assert (policy.grants, policy.groups) == ((LOAD,), (PrivilegeGroup("mine", ("Insert", "Query")),))
    assert [replace(each, created_at=0.0) for each in policy.protected[0].policies] == [replace(OWN, created_at=0.0)]
    assert await store.user("bob") is None
    assert await store.keys() == []
    alice, carol, dora = [await existing(store, name) for name in ("alice", "carol", "dora")]
    assert (alice.description, alice.tags, alice.limits) == ("described", {"team": "red"}, RequestLimits(2.0, 5, None))
    assert (carol.enabled, dora.roles) == (False, ("keeper",))
    assert await store.group_roles(None) == [GroupRole("scim", "staff", False, "keeper")]
    assert await store.changes_since(1) is not None


async def test_a_draft_reads_what_there_is_and_what_it_has_changed(store: Store, change: Transact) -> None:
    await change(before)
    async with store.draft() as draft:
        assert draft.policy == await store.policy()
        assert draft.users == await store.users()
        await draft.transaction.users.remove("bob")
        assert await draft.transaction.users.get("bob") is None
        assert (await existing(store, "bob")).roles == ("spare",)


@pytest.mark.parametrize(
    "other",
    [
        adding("mallory"),
        lambda t: t.users.enable("alice", False),
        lambda t: t.roles.put(Role("other", "")),
        lambda t: t.groups.put(PrivilegeGroup("other", ())),
        lambda t: t.row_policies.put("default", "docs", replace(OWN, roles=())),
    ],
)
async def test_a_draft_is_not_written_if_the_policy_has_changed_since(
    store: Store, change: Transact, other: Work
) -> None:
    await change(before)
    draft = await drafted(store, lambda t: t.users.describe("alice", "described"))
    await change(other)
    revision = await store.revision()
    assert not await carried_out(store, draft)
    assert (await store.revision(), (await existing(store, "alice")).description) == (revision, "")


async def test_only_a_draft_that_may_end_keys_depends_on_them(store: Store, change: Transact) -> None:
    await change(before)
    harmless = await drafted(store, lambda t: t.users.describe("alice", "described"))
    ending = [
        await drafted(store, lambda t: t.users.remove("bob")),
        await drafted(store, lambda t: t.users.enable("bob", False)),
        await drafted(store, lambda t: t.roles.remove("spare")),
    ]
    await change(lambda t: t.keys.add(replace(KEY, key_id="k2", digest="digest of k2")))
    assert [await carried_out(store, each) for each in (*ending, harmless)] == [False, False, False, True]


async def test_what_is_not_copied_goes_with_its_user(store: Store, change: Transact) -> None:
    await change(before)
    await change(lambda t: t.sessions.add("digest of s1", SESSION))
    assert await carried_out(store, await drafted(store, lambda t: t.users.enable("carol", False)))
    assert await store.session_count() == 0


async def test_columns_that_a_draft_has_not_changed_are_left_alone(store: Store, change: Transact) -> None:
    await change(before)
    draft = await drafted(store, lambda t: t.users.describe("alice", "described"))
    await store.record_last_used(LastUsed(users={"alice": 77.0}))
    assert await carried_out(store, draft)
    alice = await existing(store, "alice")
    assert (alice.description, alice.signed_in_at) == ("described", 77.0)


async def test_a_draft_of_many_is_written_whole(store: Store) -> None:
    async def many(transaction: Transaction) -> None:
        for number in range(2500):
            await transaction.roles.put(Role(f"role{number}", ""))

    draft = await drafted(store, many)
    assert await carried_out(store, draft)
    assert len((await store.policy()).roles) == 2500
    assert Change(Subject.ROLE, "role2499") in draft.changes


async def test_a_draft_refuses_what_it_could_not_repeat(store: Store) -> None:
    async def begin(transaction: Transaction) -> None:
        await transaction.sessions.add("digest of s1", SESSION)

    with pytest.raises(TypeError, match="a draft cannot repeat this"):
        await drafted(store, begin)


async def test_a_draft_makes_no_user_of_a_name_that_it_has_removed(store: Store, change: Transact) -> None:
    """What is not copied, such as second factors, would be the new user's."""
    await change(before)

    async def again(transaction: Transaction) -> None:
        await transaction.users.remove("bob")
        await transaction.users.add("bob", "another hash")

    with pytest.raises(TypeError, match="a draft cannot repeat this"):
        await drafted(store, again)
