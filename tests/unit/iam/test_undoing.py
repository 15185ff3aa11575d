"""What a change has changed, and what an undo requires of the store: before it, and after it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kiteward.authz.model import Grant, GrantKey, Role
from kiteward.authz.privileges import ObjectType
from kiteward.authz.row_policies import PolicyType, RowAction, RowPolicy
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import RequestRefused
from kiteward.iam.undoing import (
    Change,
    Difference,
    Kind,
    Noting,
    Scope,
    Undoing,
    grant_of,
    group_role_of,
    group_role_thing,
    held,
)
from kiteward.store.identity_records import GroupRole
from kiteward.store.sql import SqlStore
from kiteward.store.transaction import Transaction

SEARCH = GrantKey(ObjectType.COLLECTION, "default", "docs", "Search")
INSERT = GrantKey(ObjectType.COLLECTION, "default", "docs", "Insert")
GRANTS = Scope(Kind.GRANTS, "reader")
POLICY = RowPolicy("own", PolicyType.PERMISSIVE, frozenset({RowAction.QUERY}), using_expr="level == 1")

Work = Callable[[Transaction], Awaitable[object]]


@pytest.fixture
async def store(empty_path: Path) -> AsyncIterator[SqlStore]:
    opened = await SqlStore.open(empty_path)
    async with opened.transaction() as transaction:
        await transaction.roles.put(Role("reader"))
        await transaction.users.add("ann", "hash")
        await transaction.grants.add([Grant("reader", SEARCH, "root")])
        await transaction.commit()
    yield opened
    await opened.close()


async def noted(store: SqlStore, scope: Scope, work: Work) -> Change | None:
    noting = Noting(scope)
    async with store.transaction() as transaction:
        await noting.begin(transaction)
        await work(transaction)
        await noting.end(transaction)
        await transaction.commit()
    return noting.change


async def undone(store: SqlStore, change: Change, work: Work) -> None:
    undoing = Undoing(change, "the id of a request")
    assert undoing.recorded == {"undoes": "the id of a request"}
    async with store.transaction() as transaction:
        await undoing.begin(transaction)
        await work(transaction)
        await undoing.end(transaction)
        await transaction.commit()


async def add(transaction: Transaction) -> None:
    await transaction.grants.add([Grant("reader", key, "root") for key in (SEARCH, INSERT)])


async def remove(transaction: Transaction) -> None:
    await transaction.grants.remove("reader", [INSERT])


async def test_what_was_there_already_is_not_what_a_change_has_changed(store: SqlStore) -> None:
    change = await noted(store, GRANTS, add)
    assert change is not None
    assert [(grant_of(each.thing), each.before, each.after) for each in change.differences] == [(INSERT, None, True)]
    assert await noted(store, GRANTS, add) is None


async def test_an_undo_that_does_too_much_or_too_little_is_refused(store: SqlStore) -> None:
    change = await noted(store, GRANTS, add)
    assert change is not None

    async def too_much(transaction: Transaction) -> None:
        await transaction.grants.remove("reader", [INSERT, SEARCH])

    async def too_little(_: Transaction) -> None:
        pass

    for work in (too_much, too_little):
        with pytest.raises(RequestRefused) as refused:
            await undone(store, change, work)
        assert refused.value.code is ErrorCode.UNDO_INEXACT
        assert len((await store.policy()).grants) == 2
    await undone(store, change, remove)
    assert [each.key for each in (await store.policy()).grants] == [SEARCH]


async def test_an_undo_is_refused_before_it_begins_where_something_else_is_held(store: SqlStore) -> None:
    change = await noted(store, GRANTS, add)
    assert change is not None
    assert await noted(store, GRANTS, remove) is not None
    with pytest.raises(RequestRefused) as refused:
        await undone(store, change, add)
    assert refused.value.code is ErrorCode.UNDO_CHANGED_SINCE


@pytest.mark.parametrize("kind", Kind)
async def test_of_what_there_is_not_nothing_is_held_and_nothing_is_undone(store: SqlStore, kind: Kind) -> None:
    named = group_role_thing(GroupRole("nobody", "nobody", False, "nobody")) if kind is Kind.GROUP_ROLES else "nobody"
    scope = Scope(kind, "nobody", (named,), "default")
    async with store.transaction() as transaction:
        found = await held(transaction, scope)
    assert not found.owners
    assert not any(value for value in found.values.values() if value != [None, None, None])
    change = Change(scope, {"nobody": 0.0}, (Difference("", None, None),))
    with pytest.raises(RequestRefused):
        await undone(store, change, remove)


async def test_a_policy_of_the_same_name_that_was_created_again_is_another_one(store: SqlStore) -> None:
    scope, policy = Scope(Kind.ROW_POLICIES, "docs", database="default"), POLICY

    async def put(transaction: Transaction) -> None:
        await transaction.row_policies.put("default", "docs", policy)

    async def removed(transaction: Transaction) -> None:
        await transaction.row_policies.remove("default", "docs", policy.name)

    change = await noted(store, scope, put)
    assert change is not None
    assert change.held_after(change.differences[0].after) == ["own"]
    assert change.others != ""
    await noted(store, scope, removed)
    assert await noted(store, scope, put) is not None
    with pytest.raises(RequestRefused) as refused:
        await undone(store, change, removed)
    assert refused.value.code is ErrorCode.UNDO_OTHERS_CHANGED


async def test_a_role_of_a_group_is_read_as_it_was_written(store: SqlStore) -> None:
    mapping = GroupRole("https://idp.example", 'a "b"\n*', True, "reader")
    scope = Scope(Kind.GROUP_ROLES, among=(group_role_thing(mapping),))
    change = await noted(store, scope, lambda transaction: transaction.identities.grant_role(mapping))
    assert change is not None
    assert [group_role_of(thing) for thing in change.held_after()] == [mapping]
    await undone(store, change, lambda transaction: transaction.identities.revoke_role(mapping))
    assert await store.group_roles(None) == []
    with pytest.raises(RequestRefused):
        await undone(store, change, lambda transaction: transaction.identities.revoke_role(mapping))


async def test_whoever_was_created_again_is_somebody_else(store: SqlStore) -> None:
    scope = Scope(Kind.USER_TAGS, "ann")
    change = await noted(store, scope, lambda transaction: transaction.user_tags.put("ann", {"team": "red"}))
    assert change is not None

    async def again(transaction: Transaction) -> None:
        await transaction.users.remove("ann")
        await transaction.users.add("ann", "hash")
        await transaction.user_tags.put("ann", {"team": "red"})

    assert await noted(store, scope, again) is None
    with pytest.raises(RequestRefused) as refused:
        await undone(store, change, lambda transaction: transaction.user_tags.remove("ann", ["team"]))
    assert refused.value.code is ErrorCode.UNDO_CHANGED_SINCE
