"""Grants that allow nothing where they are; what the others allow is tested with decisions."""

import pytest

from kiteward.authz.granted_masks import allows_nothing, granted_masks
from kiteward.authz.model import Grant, GrantKey
from kiteward.authz.privileges import ALL, PRIVILEGES, Level, ObjectType


def key(privilege: str, database: str = "default", name: str = "*") -> GrantKey:
    kind = PRIVILEGES[privilege].object_type if privilege in PRIVILEGES else ObjectType.GLOBAL
    return GrantKey(kind, database, name, privilege)


@pytest.mark.parametrize(
    "idle",
    [
        key("BackupRBAC", name="docs"),
        key("RestoreRBAC", "*", "docs"),
        key("BackupRBAC", "other"),
        key("ExchangeToken", name="docs"),
        key(ALL, "*", "docs"),
        key("ReadOnly", "*", "docs"),
    ],
)
def test_what_applies_to_the_whole_instance_allows_nothing_on_less(idle: GrantKey) -> None:
    assert allows_nothing(idle)


@pytest.mark.parametrize(
    "useful",
    [
        key("BackupRBAC"),
        key("BackupRBAC", "*"),
        key("Search", name="docs"),
        key("CreateCollection", name="docs"),
        key("UpdateUser", name="alice"),
        key(ALL, name="docs"),
        key("ReadOnly", "*"),
        # What a custom group holds may change.
        key("some_group", "*"),
        key("*", "*"),
    ],
)
def test_other_grants_allow_something(useful: GrantKey) -> None:
    assert not allows_nothing(useful)


@pytest.mark.parametrize("name", [name for name, each in PRIVILEGES.items() if each.level is Level.CLUSTER])
def test_it_is_said_of_every_privilege_of_the_cluster_that_a_collection_is_granted(name: str) -> None:
    on_one = GrantKey(ObjectType.GLOBAL, "default", "docs", name)
    masks = granted_masks(Grant("reader", on_one, "root"), {})
    assert allows_nothing(on_one) is not bool(masks.cluster or masks.users or any(mask for _, mask in masks.rows))
    assert allows_nothing(on_one)
