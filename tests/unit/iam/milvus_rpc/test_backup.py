"""BackupRBAC and RestoreRBAC over the gateway: contract 2.6, and the round trip for any policy."""

import asyncio
import itertools
import shutil
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, quick_directory
from tests.unit.iam.milvus_rpc.conftest import Refused

from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup, Role
from kiteward.authz.privileges import ALL, BUILT_IN_GROUPS, LEGACY_GROUPS, PRIVILEGES, ObjectType
from kiteward.domain.errors import AccessDenied, PasswordRejected
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.iam.milvus_rpc.user_states import BackedUpPassword
from kiteward.iam.settings import Limits
from kiteward.store.transaction import Transaction

RESTORE = "RestoreRBAC"
HASH = bcrypt.hashpw(b"Password-1", bcrypt.gensalt(4)).decode()


async def backed_up(harness: GatewayHarness) -> Any:
    return (await harness.succeed("BackupRBAC")).RBAC_meta


def grant(
    role: str, privilege: str, kind: str = "Collection", name: str = "docs", db: str = "default"
) -> dict[str, Any]:
    return {
        "role": {"name": role},
        "object": {"name": kind},
        "object_name": name,
        "db_name": db,
        "grantor": {"privilege": {"name": privilege}},
    }


async def test_backup_holds_users_with_hashes_roles_grants_and_groups(harness: GatewayHarness) -> None:
    await harness.succeed("AlterRole", role_name="reader", description="reads")
    meta = await backed_up(harness)
    stored = {user.name: user.password_hash for user in await harness.store.users()}
    assert [(user.user, user.password, [role.name for role in user.roles]) for user in meta.users] == [
        ("alice", stored["alice"], ["reader"]),
        ("bob", stored["bob"], []),
    ]
    assert [(role.name, role.description) for role in meta.roles] == [("idle", ""), ("reader", "reads")]
    assert [(each.role.name, each.grantor.privilege.name, each.grantor.user.name) for each in meta.grants] == [
        ("reader", "Query", "root"),
        ("reader", "mine", "root"),
    ]
    groups = {group.group_name: [member.name for member in group.privileges] for group in meta.privilege_groups}
    assert groups == {"mine": ["Query", "Search"], "spare": []}


async def test_backup_leaves_out_root_and_built_in_roles_with_their_grants(harness: GatewayHarness) -> None:
    await harness.grant("public", "Query", "default", "docs")
    await harness.grant("admin", "Query", "default", "docs")
    meta = await backed_up(harness)
    assert "root" not in {user.user for user in meta.users}
    assert not {"admin", "public"} & {role.name for role in meta.roles}
    assert {each.role.name for each in meta.grants} == {"reader"}


async def test_restored_users_log_in_and_may_what_they_might(
    harness: GatewayHarness, bootstrapped_store: Path, tmp_path: Path
) -> None:
    meta = await backed_up(harness)
    other = Path(shutil.copy(bootstrapped_store, tmp_path / "other.db"))
    async with opened(other) as restored:
        await restored.succeed(RESTORE, RBAC_meta=meta)
        await restored.succeed("Query", by="alice", collection_name="docs")


async def test_bcrypt_hash_of_a_milvus_backup_lets_its_user_in(harness: GatewayHarness) -> None:
    await harness.succeed(
        RESTORE, RBAC_meta={"users": [{"user": "carol", "password": HASH, "roles": [{"name": "reader"}]}]}
    )
    await harness.succeed("Query", by="carol", collection_name="docs")
    assert (await harness.status("GetVersion", by=PasswordCredential("carol", Secret("Password-1")))).code == 0


@pytest.mark.parametrize(("enabled", "locked", "one_time"), list(itertools.product([True, False], repeat=3)))
async def test_what_prevents_a_user_from_signing_in_is_restored_with_it(
    harness: GatewayHarness, bootstrapped_store: Path, tmp_path: Path, enabled: bool, locked: bool, one_time: bool
) -> None:
    async with harness.policy_cache.change() as transaction:
        await transaction.users.set_password("alice", HASH, one_time=one_time)
        await transaction.users.enable("alice", enabled)
        if locked:
            await transaction.users.lock("alice")
    meta = await backed_up(harness)
    async with opened(Path(shutil.copy(bootstrapped_store, tmp_path / "other.db"))) as restored:
        await restored.succeed(RESTORE, RBAC_meta=meta)
        alice = await restored.store.user("alice")
        assert alice is not None
        assert (alice.enabled, alice.locked_at is not None, alice.one_time) == (enabled, locked, one_time)
        assert await backed_up(restored) == meta
        if not enabled or locked:
            with pytest.raises(PasswordRejected):
                await restored.call("GetVersion", by="alice")
        elif one_time:
            with pytest.raises(AccessDenied, match="one-time password"):
                await restored.call("Query", by="alice", collection_name="docs")


async def test_a_restore_leaves_a_user_that_is_there_as_it_is(harness: GatewayHarness, refused: Refused) -> None:
    meta = await backed_up(harness)
    async with harness.policy_cache.change() as transaction:
        await transaction.users.enable("alice", False)
    only = {"users": [user for user in meta.users if user.user == "alice"]}
    await refused(RESTORE, 1100, 41, "user [alice] already exists", RBAC_meta=only)


def test_a_backed_up_password_shows_no_hash() -> None:
    assert HASH not in repr(BackedUpPassword(HASH, enabled=False))


@pytest.mark.parametrize("fields", [{}, {"RBAC_meta": {}}])
async def test_nothing_to_restore_succeeds(harness: GatewayHarness, fields: dict[str, Any]) -> None:
    before = await harness.state()
    await harness.succeed(RESTORE, **fields)
    assert await harness.state() == before


FRESH: dict[str, Any] = {
    "roles": [{"name": "fresh"}],
    "privilege_groups": [{"group_name": "fresh_group", "privileges": [{"name": "Query"}]}],
    "grants": [grant("fresh", "fresh_group", "Global")],
    "users": [{"user": "fresh", "password": HASH, "roles": [{"name": "fresh"}]}],
}


async def test_everything_in_a_backup_is_restored(harness: GatewayHarness) -> None:
    await harness.succeed(RESTORE, RBAC_meta=FRESH)
    assert await harness.grants("fresh") == [("Global", "default", "docs", "fresh_group")]
    await harness.succeed("Query", by="fresh", collection_name="docs")
    (listed,) = (await harness.succeed("SelectGrant", entity={"role": {"name": "fresh"}})).entities
    assert listed.grantor.user.name == "root"


@pytest.mark.parametrize(
    ("part", "wrong", "code", "legacy", "text"),
    [
        ("roles", {"name": "reader"}, 1100, 41, "role [reader] already exists: invalid parameter"),
        ("roles", {"name": "admin"}, 1100, 41, "role [admin] already exists"),
        ("roles", {"name": "fresh"}, 1100, 41, "role [fresh] already exists"),
        ("roles", {"name": "ro-le"}, 1100, 5, "role name can only contain"),
        ("roles", {"name": "long", "description": "x" * 1025}, 1100, 5, "role description"),
        ("privilege_groups", {"group_name": "mine"}, 1100, 41, "privilege group [mine] already exists"),
        ("privilege_groups", {"group_name": "Insert"}, 1100, 41, "privilege group [Insert] already exists"),
        ("privilege_groups", {"group_name": "ClusterAdmin"}, 1100, 41, "privilege group [ClusterAdmin] already exists"),
        ("privilege_groups", {"group_name": "ReadOnly"}, 1100, 41, "privilege group [ReadOnly] already exists"),
        ("privilege_groups", {"group_name": "All"}, 1100, 41, "privilege group [All] already exists"),
        ("privilege_groups", {"group_name": "x-y"}, 1100, 5, "can only contain numbers, letters and underscores"),
        ("privilege_groups", {"group_name": ""}, 1402, 1, "should not be empty"),
        (
            "privilege_groups",
            {"group_name": "odd", "privileges": [{"name": "Bogus"}]},
            1100,
            41,
            "privilege [Bogus] does not exist: invalid parameter",
        ),
        ("grants", grant("fresh", "Bogus"), 1100, 41, "privilege [Bogus] does not exist: invalid parameter"),
        ("grants", grant("missing", "Query"), 1100, 41, "role [missing] does not exist: invalid parameter"),
        ("grants", grant("fresh", "Query", kind="Bogus"), 1100, 41, "not found the object type[name: Bogus]"),
        ("grants", grant("fresh", "Query", name=""), 1100, 5, "object name should be not empty"),
        ("grants", grant("fresh", "Query", db="a-b"), 802, 1, "invalid database name[database=a-b]"),
        ("users", {"user": "alice", "password": HASH}, 1100, 41, "user [alice] already exists: invalid parameter"),
        ("users", {"user": "root", "password": HASH}, 1100, 41, "user [root] already exists"),
        ("users", {"user": " root ", "password": HASH}, 1100, 5, "the first character must be a letter"),
        ("users", {"user": "carol", "password": "Password-1"}, 1100, 5, "neither Argon2id nor bcrypt"),
        ("users", {"user": "carol"}, 1100, 5, "neither Argon2id nor bcrypt"),
        ("users", {"user": "carol", "password": "{disabled}x"}, 1100, 5, "neither Argon2id nor bcrypt"),
        ("users", {"user": "carol", "password": f"{{frozen}}{HASH}"}, 1100, 5, "an unknown state"),
        ("users", {"user": "carol", "password": f"{{}}{HASH}"}, 1100, 5, "an unknown state"),
        (
            "users",
            {"user": "carol", "password": HASH, "roles": [{"name": "missing"}]},
            1100,
            41,
            "role [missing] does not exist: invalid parameter",
        ),
    ],
)
async def test_one_wrong_entry_restores_nothing(
    refused: Refused, part: str, wrong: dict[str, Any], code: int, legacy: int, text: str
) -> None:
    await refused(RESTORE, code, legacy, text, RBAC_meta={**FRESH, part: [*FRESH[part], wrong]})


async def test_refusal_shows_no_hash(harness: GatewayHarness) -> None:
    status = await harness.status(RESTORE, RBAC_meta={"users": [{"user": "carol", "password": "plain-Password-1"}]})
    assert "Password-1" not in str(status)


async def test_restore_is_checked_against_the_limits(harness: GatewayHarness, refused: Refused) -> None:
    harness.configure(limits=Limits(users=3, roles=100))
    await refused(RESTORE, 9, 41, "quota exceeded", RBAC_meta=FRESH)
    harness.configure(limits=Limits(users=100, roles=4))
    await refused(RESTORE, 9, 41, "the number of roles has reached the limit", RBAC_meta=FRESH)


# The round trip

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}\Z", fullmatch=True)
SINGLE = st.sampled_from(sorted(PRIVILEGES))


@st.composite
def policies(draw: st.DrawFn) -> tuple[list[Role], list[PrivilegeGroup], list[Grant], dict[str, set[str]]]:
    """Roles, groups, grants and users with their roles, as they may be stored."""
    names = st.sets(NAMES.filter(lambda name: name not in ("admin", "public", "root")), max_size=4)
    roles = [Role(name, draw(st.text(st.characters(codec="utf-8"), max_size=5))) for name in sorted(draw(names))]
    group_names = sorted(f"g_{name}" for name in draw(names))
    members = st.sets(SINGLE | st.sampled_from([*BUILT_IN_GROUPS, *group_names]), max_size=4)
    groups = [PrivilegeGroup(name, tuple(sorted(draw(members)))) for name in group_names]
    keys = st.builds(
        GrantKey,
        st.sampled_from(ObjectType),
        st.sampled_from(["*", "default", "other"]),
        st.just("*") | NAMES,
        SINGLE | st.sampled_from([*BUILT_IN_GROUPS, *LEGACY_GROUPS, *group_names, ALL, "*"]),
    )
    grants = [Grant(role.name, key, draw(NAMES)) for role in roles for key in sorted(draw(st.sets(keys, max_size=5)))]
    held = st.sets(st.sampled_from(["admin", "public", *(role.name for role in roles)]), max_size=3)
    users = {name: draw(held) for name in draw(names)}
    return roles, groups, grants, users


async def put(transaction: Transaction, policy: Any) -> None:
    roles, groups, grants, users = policy
    for role in roles:
        await transaction.roles.put(role)
    for group in groups:
        await transaction.groups.put(group)
    await transaction.grants.add(grants)
    for user, held in users.items():
        await transaction.users.add(user, HASH)
        for role in sorted(held):
            await transaction.roles.bind(user, role)


@pytest.mark.slow
@settings(max_examples=settings().max_examples // 10)
@given(policy=policies())
def test_any_policy_comes_back_exactly_as_it_was(bootstrapped_store: Path, policy: Any) -> None:
    async def round_trip(directory: Path) -> None:
        first, second = (Path(shutil.copy(bootstrapped_store, directory / name)) for name in ("first.db", "second.db"))
        async with opened(first, FakeEngine()) as here, opened(second, FakeEngine()) as there:
            async with here.policy_cache.change() as transaction:
                await put(transaction, policy)
            meta = await backed_up(here)
            assert len(meta.grants) == len(policy[2])
            await there.succeed(RESTORE, RBAC_meta=meta)
            assert await backed_up(there) == meta
            before, after = await here.store.policy(), await there.store.policy()
            assert (after.roles, after.grants, after.groups) == (before.roles, before.grants, before.groups)
            assert await there.store.bindings(None) == await here.store.bindings(None)

    with quick_directory() as directory:
        asyncio.run(round_trip(directory))
