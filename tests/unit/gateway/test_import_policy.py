"""What an import brings, and what stays behind: nobody is given more here than at the source."""

from typing import Any, cast

import bcrypt
import pytest
from tests.support.gateway import GatewayHarness

from kiteward.bootstrap.local_gateway import local_client
from kiteward.gateway.import_policy import Source, _new, run_import
from kiteward.milvus import messages


def meta(
    *, users: dict[str, list[str]] | None = None, roles: dict[str, list[str]] | None = None, **groups: list[str]
) -> messages.RBACMeta:
    """Return a policy: users with their roles, roles with privileges on everything, groups with their members."""
    return messages.RBACMeta(
        users=[
            messages.UserInfo(user=name, roles=[messages.RoleEntity(name=role) for role in held])
            for name, held in (users or {}).items()
        ],
        roles=[messages.RoleEntity(name=name) for name in roles or {}],
        grants=[
            messages.GrantEntity(
                role=messages.RoleEntity(name=role),
                object=messages.ObjectEntity(name="Global"),
                object_name="*",
                db_name="*",
                grantor=messages.GrantorEntity(privilege=messages.PrivilegeEntity(name=privilege)),
            )
            for role, privileges in (roles or {}).items()
            for privilege in privileges
        ],
        privilege_groups=[
            messages.PrivilegeGroupInfo(
                group_name=name, privileges=[messages.PrivilegeEntity(name=member) for member in members]
            )
            for name, members in groups.items()
        ],
    )


def brought(found: Any, here: Any) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """Return users with roles, grants, and what stays behind."""
    new, left = _new(found, here)
    users = {user.user: [role.name for role in user.roles] for user in new.users}
    grants = [f"{grant.role.name}:{grant.grantor.privilege.name}" for grant in new.grants]
    return users, grants, left


def test_everything_new_is_brought() -> None:
    found = meta(users={"alice": ["reader", "admin"]}, roles={"reader": ["Query", "mine"]}, mine=["Search"])
    assert brought(found, meta()) == ({"alice": ["reader", "admin"]}, ["reader:Query", "reader:mine"], [])


@pytest.mark.parametrize(
    ("privileges_here", "bound"),
    [([], True), (["Query"], True), (["Query", "Search"], True), (["Query", "Insert"], False), (["Insert"], False)],
)
def test_a_role_of_the_same_name_is_bound_only_if_it_allows_no_more_here(
    privileges_here: list[str], bound: bool
) -> None:
    found = meta(users={"alice": ["reader"]}, roles={"reader": ["Query", "Search"]})
    users, grants, left = brought(found, meta(roles={"reader": privileges_here}))
    assert (users, grants) == ({"alice": ["reader"] if bound else []}, [])
    assert ("role reader of user alice: no such role here, or one that allows more" in left) is not bound


@pytest.mark.parametrize(("members_here", "granted"), [(["Query"], True), (["Query", "Insert"], False)])
def test_a_group_of_the_same_name_is_granted_only_if_it_allows_no_more_here(
    members_here: list[str], granted: bool
) -> None:
    found = meta(roles={"reader": ["mine"]}, mine=["Query", "Search"])
    _, grants, _ = brought(found, meta(mine=members_here))
    assert grants == (["reader:mine"] if granted else [])


def test_a_role_that_holds_a_wider_group_here_is_not_bound() -> None:
    found = meta(users={"alice": ["reader"]}, roles={"reader": ["mine"]}, mine=["Query"])
    users, _, _ = brought(found, meta(roles={"reader": ["mine"]}, mine=["Query", "Insert"]))
    assert users == {"alice": []}


def test_a_group_that_holds_a_wider_group_here_stays_behind_with_its_grants() -> None:
    found = meta(roles={"reader": ["outer"]}, outer=["mine"], mine=["Query"])
    new, left = _new(found, meta(mine=["Query", "Insert"]))
    assert ([group.group_name for group in new.privilege_groups], list(new.grants)) == ([], [])
    assert "privilege group outer: contains a group that allows more here" in left


def test_a_role_that_the_source_does_not_list_is_not_bound() -> None:
    users, _, left = brought(meta(users={"alice": ["ghost"]}), meta(roles={"ghost": ["Insert"]}))
    assert users == {"alice": []}
    assert len(left) == 1


class Backup:
    """A source that answers with a backup."""

    def __init__(self, found: Any) -> None:
        self._found = found

    async def policy(self) -> tuple[Any, bool]:
        return self._found, True


HASH = bcrypt.hashpw(b"Password-1", bcrypt.gensalt(4)).decode()


@pytest.mark.parametrize(
    ("password", "made", "enabled", "one_time"),
    [
        (HASH, False, True, False),
        (f"{{disabled,one-time}}{HASH}", False, False, True),
        ("{disabled}of another kind", True, False, True),
        ("of another kind", True, True, True),
    ],
    ids=["a hash", "disabled, with a one-time password", "disabled, with an unreadable hash", "an unreadable hash"],
)
async def test_what_prevents_a_user_from_signing_in_at_the_source_does_so_here(
    harness: GatewayHarness, password: str, made: bool, enabled: bool, one_time: bool
) -> None:
    found = meta(users={"alice": []})
    found.users[0].password = password
    moved = await run_import(
        cast("Source", Backup(found)), local_client(harness.gateway), harness.hasher, dry_run=False
    )
    assert ("alice" in moved.passwords) is made
    alice = await harness.store.user("alice")
    assert alice is not None
    assert (alice.enabled, alice.one_time) == (enabled, one_time)
    if made:
        assert await harness.hasher.verify(alice.password_hash, moved.passwords["alice"])
