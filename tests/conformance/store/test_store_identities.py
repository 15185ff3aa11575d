"""Federated users, cut-offs and roles of groups: what is bound stays so, and what ends tokens is announced."""

import functools
from dataclasses import replace

import pytest
from tests.conformance.store.harness import Clock, OpenStore, Transact

from kiteward.authz.model import Role
from kiteward.domain.errors import StoreUnavailable
from kiteward.store.base import Store
from kiteward.store.identity_records import ClaimedRights, GroupRole, IdentityRecord
from kiteward.store.records import NO_PASSWORD, Change, LastUsed, Subject
from kiteward.store.transaction import Transaction

IDP = "https://idp.example"
RIGHTS = ClaimedRights(("a", "b"), ("r",), {"tenant": "1"})


async def federated(transaction: Transaction) -> None:
    for name, subject in (("idp_alice", "sub-1"), ("idp_bob", None)):
        await transaction.users.add(name, NO_PASSWORD)
        await transaction.identities.add(name, IDP, subject)
    await transaction.users.add("local", "hash")


async def identity(store: Store, name: str) -> IdentityRecord:
    record = await store.user(name)
    assert record is not None
    assert record.identity is not None
    return record.identity


async def test_a_federated_user_is_found_by_issuer_and_subject_at_every_server(
    open_store: OpenStore, change: Transact
) -> None:
    await change(federated)
    other = await open_store()
    found = await other.federated_user(IDP, "sub-1")
    assert found is not None
    assert found == await other.user("idp_alice")
    held = await identity(other, "idp_alice")
    assert (held.issuer, held.subject, held.not_before, held.rights) == (IDP, "sub-1", 0.0, ClaimedRights())
    for issuer, subject in ((IDP, "sub-2"), ("https://idp.example/", "sub-1"), (IDP, "\0"), ("\ud800", "sub-1")):
        assert await other.federated_user(issuer, subject) is None
    assert (await other.user("local")).identity is None  # type: ignore[union-attr]  # it is there


async def test_a_subject_signs_in_one_user_only(store: Store, change: Transact) -> None:
    await change(federated)

    async def again(transaction: Transaction) -> None:
        await transaction.users.add("second", NO_PASSWORD)
        await transaction.identities.add("second", IDP, "sub-1")

    with pytest.raises(StoreUnavailable):
        await change(again)
    assert await store.user("second") is None


async def test_an_invited_user_is_settled_once_and_released_with_its_rights(store: Store, change: Transact) -> None:
    await change(federated)
    settled = await change(lambda t: t.identities.settle("idp_bob", "sub-2"))
    assert settled.changes == (Change(Subject.USER, "idp_bob"),)
    assert (await change(lambda t: t.identities.settle("idp_bob", "sub-3"))).changes == ()
    await store.record_last_used(LastUsed(rights={"idp_bob": RIGHTS, "local": RIGHTS}))
    assert (await identity(store, "idp_bob")).rights == RIGHTS
    released = await change(lambda t: t.identities.release("idp_bob"))
    assert released.changes == (Change(Subject.USER, "idp_bob"),)
    held = await identity(store, "idp_bob")
    assert (held.subject, held.rights) == (None, ClaimedRights())
    await store.record_last_used(LastUsed(rights={"idp_bob": RIGHTS}))
    assert (await identity(store, "idp_bob")).rights == ClaimedRights()


async def test_the_later_cut_off_of_user_and_issuer_counts(store: Store, change: Transact) -> None:
    await change(federated)
    of_user = await change(lambda t: t.identities.cut_off(IDP, "idp_alice", 200.0))
    of_all = await change(lambda t: t.identities.cut_off(IDP, "", 100.0))
    assert of_user.changes == (Change(Subject.USER, "idp_alice"),)
    assert of_all.changes == (Change(Subject.ISSUER, IDP),)
    assert (await identity(store, "idp_alice")).not_before == 200.0
    assert (await identity(store, "idp_bob")).not_before == 100.0
    assert (await change(lambda t: t.identities.cut_off(IDP, "", 100.0))).changes == ()
    assert (await change(lambda t: t.identities.cut_off(IDP, "idp_alice", 150.0))).changes == ()
    assert (await identity(store, "idp_alice")).not_before == 200.0
    await change(lambda t: t.identities.cut_off(IDP, "", 300.0))
    await change(lambda t: t.identities.cut_off("https://other.example", "", 900.0))
    assert (await identity(store, "idp_alice")).not_before == 300.0
    assert await store.issuer_cut_offs() == {IDP: 300.0, "https://other.example": 900.0}


async def test_an_identity_goes_with_the_user_and_its_tokens_do_not_come_back(
    store: Store, change: Transact, clock: Clock
) -> None:
    await change(federated)
    await change(lambda t: t.users.remove("idp_alice"))
    await change(lambda t: t.users.remove("local"))
    assert await store.federated_user(IDP, "sub-1") is None
    assert await store.tokens_not_before(IDP, "idp_alice") == clock()
    assert await store.tokens_not_before(IDP, "local") == 0.0
    await change(federated_alice_again)
    assert (await identity(store, "idp_alice")).not_before == clock()


async def test_a_cut_off_that_is_later_stays_when_the_user_is_released(store: Store, change: Transact) -> None:
    await change(federated)
    await change(lambda t: t.identities.cut_off(IDP, "idp_alice", 9e9))
    await change(lambda t: t.identities.release("idp_alice"))
    assert (await identity(store, "idp_alice")).not_before == 9e9


async def test_a_renamed_user_is_cut_off_by_the_later_of_both_names(store: Store, change: Transact) -> None:
    await change(federated)

    async def cut_off(transaction: Transaction) -> None:
        for name, moment in (("idp_alice", 200.0), ("idp_carol", 300.0), ("idp_bob", 500.0), ("idp_dave", 400.0)):
            await transaction.identities.cut_off(IDP, name, moment)

    await change(cut_off)
    await change(lambda t: t.renaming.rename("idp_alice", "idp_carol"))
    await change(lambda t: t.renaming.rename("idp_bob", "idp_dave"))
    assert (await identity(store, "idp_carol")).not_before == 300.0
    assert (await identity(store, "idp_dave")).not_before == 500.0
    assert await store.tokens_not_before(IDP, "idp_alice") == 200.0


async def federated_alice_again(transaction: Transaction) -> None:
    await transaction.users.add("idp_alice", NO_PASSWORD)
    await transaction.identities.add("idp_alice", IDP, "sub-1")


async def granted(mapping: GroupRole, transaction: Transaction) -> None:
    await transaction.identities.grant_role(mapping)


async def test_roles_of_groups_are_granted_revoked_and_go_with_the_role(store: Store, change: Transact) -> None:
    mapping = GroupRole(IDP, "searchers", False, "reader")

    async def roles(transaction: Transaction) -> None:
        for name in ("reader", "writer"):
            await transaction.roles.put(Role(name))

    await change(roles)
    for each in (mapping, replace(mapping, is_pattern=True), replace(mapping, issuer="scim", role="writer")):
        grant = functools.partial(granted, each)
        assert (await change(grant)).changes == (Change(Subject.ISSUER, each.issuer),)
        assert (await change(grant)).changes == ()
    assert await store.group_roles(IDP) == [mapping, replace(mapping, is_pattern=True)]
    assert len(await store.group_roles(None)) == 3
    asked = (
        mapping,
        replace(mapping, is_pattern=True),
        replace(mapping, group="Searchers"),
        replace(mapping, role="x"),
    )

    async def given(transaction: Transaction) -> None:
        assert [await transaction.identities.gives_role(each) for each in asked] == [True, True, False, False]

    await change(given)
    assert (await change(lambda t: t.identities.revoke_role(mapping))).changes == (Change(Subject.ISSUER, IDP),)
    assert (await change(lambda t: t.identities.revoke_role(mapping))).changes == ()
    removed = await change(lambda t: t.roles.remove("reader"))
    assert removed.changes == (Change(Subject.ISSUER, IDP), Change(Subject.ROLE, "reader"))
    assert [each.role for each in await store.group_roles(None)] == ["writer"]


async def test_the_credential_of_a_user_is_renewed(store: Store, change: Transact) -> None:
    await change(federated)
    before = await store.user("idp_alice")
    assert (await change(lambda t: t.users.renew_credential("idp_alice"))).changes == (
        Change(Subject.USER, "idp_alice"),
    )
    after = await store.user("idp_alice")
    assert before is not None
    assert after is not None
    assert after.credential_id != before.credential_id
    assert after.password_hash == NO_PASSWORD
