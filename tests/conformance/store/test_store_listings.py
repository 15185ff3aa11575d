"""Parts of lists of users and API keys: what is found, in which order, and how many there are."""

from dataclasses import replace
from typing import Any

import pytest
from tests.conformance.store.harness import Transact

from kiteward.authz.model import Role
from kiteward.store.base import Store
from kiteward.store.listings import KEY_COLUMNS, USER_COLUMNS, KeyListing, KeyState, Slice, UserListing, UserState
from kiteward.store.records import KeyRecord, LastUsed
from kiteward.store.transaction import Transaction

ALL = Slice(limit=100, counted=True)
NOW = 5_000.0


def key(key_id: str, owner: str = "ann", **more: object) -> KeyRecord:
    return replace(KeyRecord(key_id, owner, "digest", "", 0.0, owner), **more)  # type: ignore[arg-type]  # its fields


async def people(transaction: Transaction) -> None:
    for role in ("reader", "writer"):
        await transaction.roles.put(Role(role))
    for name, description in (("ann", "of Sales"), ("Bob", "100%_sure"), ("carl", ""), ("dora", "Ärzte")):
        await transaction.users.add(name, "hash", description=description)
    await transaction.roles.bind("ann", "reader")
    await transaction.roles.bind("ann", "writer")
    await transaction.roles.bind("carl", "reader")
    await transaction.users.enable("carl", False)
    await transaction.users.lock("Bob")
    await transaction.identities.add("dora", "https://idp.example", "sub")


async def names(store: Store, part: Slice = ALL, **where: object) -> tuple[list[str], int | None]:
    found = await store.list_users(UserListing(part, **where))  # type: ignore[arg-type]  # its fields
    return [user.name for user in found.users], found.total


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, ["Bob", "ann", "carl", "dora"]),
        ({"prefix": "c"}, ["carl"]),
        ({"contains": "AR"}, ["carl"]),
        ({"contains": "bO"}, ["Bob"]),
        ({"contains": "sALES"}, ["ann"]),
        ({"contains": "%"}, ["Bob"]),
        ({"contains": "_"}, ["Bob"]),
        ({"contains": "Ärz"}, ["dora"]),
        ({"contains": "ärz"}, []),
        ({"state": UserState.ENABLED}, ["ann", "dora"]),
        ({"state": UserState.DISABLED}, ["carl"]),
        ({"state": UserState.LOCKED}, ["Bob"]),
        ({"role": "reader"}, ["ann", "carl"]),
        ({"role": "reader", "state": UserState.ENABLED, "contains": "n"}, ["ann"]),
        ({"role": "ghost"}, []),
        ({"federated": True}, ["dora"]),
        ({"issuer": "https://idp.example"}, ["dora"]),
        ({"issuer": "https://other.example"}, []),
    ],
)
async def test_users_are_found_by_what_is_asked_and_counted(
    store: Store, change: Transact, where: dict[str, Any], expected: list[str]
) -> None:
    await change(people)
    assert await names(store, **where) == (expected, len(expected))


async def test_users_come_whole_once_each_and_sorted_by_every_column(store: Store, change: Transact) -> None:
    await change(people)
    await store.record_last_used(LastUsed(users={"ann": 30.0, "carl": 20.0}))
    found = (await store.list_users(UserListing(ALL))).users
    assert [user.roles for user in found] == [(), ("reader", "writer"), ("reader",), ()]
    expected = {
        "userName": ["Bob", "ann", "carl", "dora"],
        "description": ["carl", "Bob", "ann", "dora"],
        "createdAt": ["Bob", "ann", "carl", "dora"],
        "signedInAt": ["Bob", "dora", "carl", "ann"],
    }
    assert set(expected) == set(USER_COLUMNS)
    for sort, order in expected.items():
        if sort != "description":  # texts for people are sorted by the database's own rules
            assert (await names(store, replace(ALL, sort=sort)))[0] == order
            assert (await names(store, replace(ALL, sort=sort, descending=True)))[0] == order[::-1]


async def test_a_part_is_cut_by_offset_limit_and_name_and_the_whole_is_counted_only_if_wanted(
    store: Store, change: Transact
) -> None:
    await change(people)
    assert await names(store, Slice(limit=2, offset=1, counted=True)) == (["ann", "carl"], 4)
    assert await names(store, Slice(limit=2, after="ann")) == (["carl", "dora"], None)
    assert await names(store, Slice(limit=2, offset=9, counted=True)) == ([], 4)


async def people_with_keys(transaction: Transaction) -> None:
    await people(transaction)
    for each in (
        key("k1", roles=("reader", "writer"), expires_at=NOW + 10, description="Nightly"),
        key("k2", expires_at=NOW),
        key("k3", enabled=False),
        key("k4", "carl"),
        key("k5", "dora", made_by_key="k4"),
        key("k6", "dora", made_by_key="k3"),
        key("k7", "Bob", expires_at=NOW + 5),
        key("k8", "dora"),
    ):
        await transaction.keys.add(each)


async def ids(store: Store, part: Slice = ALL, **where: object) -> list[str]:
    found = await store.list_keys(KeyListing(part, NOW, **where))  # type: ignore[arg-type]  # its fields
    assert found.total in (None, len(found.keys))
    return [record.key_id for record, _ in found.keys]


async def test_the_state_of_a_key_counts_its_owner_and_what_it_descends_from(store: Store, change: Transact) -> None:
    await change(people_with_keys)
    found = (await store.list_keys(KeyListing(ALL, NOW))).keys
    expected = {
        "k1": KeyState.ENABLED,
        "k2": KeyState.EXPIRED,
        "k3": KeyState.DISABLED,
        "k4": KeyState.BLOCKED,
        "k5": KeyState.BLOCKED,
        "k6": KeyState.BLOCKED,
        "k7": KeyState.BLOCKED,
        "k8": KeyState.ENABLED,
    }
    assert {record.key_id: state for record, state in found} == expected
    assert found[0][0].roles == ("reader", "writer")
    for state in KeyState:
        assert await ids(store, state=state) == [each for each, its in expected.items() if its is state]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"owner": "ann"}, ["k1", "k2", "k3"]),
        ({"contains": "NIGHT"}, ["k1"]),
        ({"contains": "Dor"}, ["k5", "k6", "k8"]),
        ({"contains": "K4"}, ["k4"]),
        ({"root": "k4"}, ["k4", "k5"]),
        ({"root": "k4", "state": KeyState.BLOCKED}, ["k4", "k5"]),
        ({"expires_before": NOW + 20}, ["k1", "k7"]),
        ({"expires_before": NOW + 7}, ["k7"]),
    ],
)
async def test_keys_are_found_by_what_is_asked(
    store: Store, change: Transact, where: dict[str, Any], expected: list[str]
) -> None:
    await change(people_with_keys)
    assert await ids(store, **where) == expected


async def test_keys_are_sorted_by_every_column(store: Store, change: Transact) -> None:
    await change(people_with_keys)
    await store.record_last_used(LastUsed(keys={"k8": 9.0}))
    every = {"k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8"}
    for sort in KEY_COLUMNS:
        assert set(await ids(store, replace(ALL, sort=sort))) == every
    assert (await ids(store, replace(ALL, sort="expiresAt")))[:3] == ["k2", "k7", "k1"]
    assert (await ids(store, replace(ALL, sort="usedAt", descending=True)))[0] == "k8"
    assert (await ids(store, replace(ALL, sort="userName")))[:4] == ["k7", "k1", "k2", "k3"]


async def test_members_of_roles_are_counted(store: Store, change: Transact) -> None:
    await change(people)
    assert await store.member_counts() == {"reader": 2, "writer": 1}


async def test_what_no_database_can_hold_is_found_nowhere(store: Store, change: Transact) -> None:
    await change(people_with_keys)
    for text in ("\0", "\ud800"):
        assert await names(store, contains=text) == ([], 0)
        assert await names(store, role=text) == ([], 0)
        assert await ids(store, contains=text) == []
        assert await ids(store, key_id=text) == []
    assert await ids(store, key_id="k5") == ["k5"]
