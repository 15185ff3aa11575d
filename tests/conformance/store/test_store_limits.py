"""Limits of requests: what is stored with users, API keys and roles, and what counts as a change."""

import pytest
from tests.conformance.store.harness import Transact

from kiteward.authz.model import Role
from kiteward.domain.request_limits import RequestLimits
from kiteward.store.base import Store
from kiteward.store.records import Change, KeyRecord, Subject
from kiteward.store.transaction import Transaction

HOLDERS = ((Subject.USER, "alice"), (Subject.KEY, "k1"), (Subject.ROLE, "batch"))
LIMITS = RequestLimits(2.5, burst=7, concurrent=3)


@pytest.fixture(autouse=True)
async def holders(change: Transact) -> None:
    async def create(transaction: Transaction) -> None:
        await transaction.users.add("alice", "hash")
        await transaction.roles.put(Role("batch"))
        await transaction.keys.add(KeyRecord("k1", "alice", "digest", "", 0.0, "alice"))

    await change(create)


async def held(store: Store, subject: Subject) -> RequestLimits:
    if subject is Subject.USER:
        user = await store.user("alice")
        assert user is not None
        return user.limits
    if subject is Subject.ROLE:
        (role,) = (await store.policy()).roles
        return role.limits
    return (await store.lineage("k1"))[0].limits


@pytest.mark.parametrize(("subject", "name"), HOLDERS)
async def test_limits_are_read_with_their_holder_and_are_a_change_of_it(
    store: Store, change: Transact, subject: Subject, name: str
) -> None:
    assert await held(store, subject) == RequestLimits()
    assert await store.limited(subject) == []

    async def put(transaction: Transaction) -> None:
        await transaction.limits.put(subject, name, LIMITS)
        assert await transaction.limits.of(subject, name) == LIMITS
        assert await transaction.limits.of(subject, "none") is None

    assert (await change(put)).changes == (Change(subject, name),)
    assert await held(store, subject) == LIMITS
    assert await store.limited(subject) == [(name, LIMITS)]
    assert (await change(put)).changes == ()

    async def remove(transaction: Transaction) -> None:
        await transaction.limits.put(subject, name, RequestLimits())
        await transaction.limits.put(subject, "none", LIMITS)

    assert (await change(remove)).changes == (Change(subject, name),)
    assert await store.limited(subject) == []


async def test_the_policy_has_the_limits_of_roles_and_a_description_leaves_them(store: Store, change: Transact) -> None:
    async def put(transaction: Transaction) -> None:
        await transaction.limits.put(Subject.ROLE, "batch", LIMITS)
        await transaction.roles.put(Role("batch", "at night"))

    await change(put)
    assert Role("batch", "at night", LIMITS) in (await store.policy()).roles
