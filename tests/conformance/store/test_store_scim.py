"""Users and groups of SCIM in every store, and the names of users that follow a rename."""

from tests.conformance.store.harness import Clock, Transact, adding, changed_since, existing

from kiteward.authz.model import Grant, GrantKey, Role
from kiteward.authz.privileges import ObjectType
from kiteward.store.base import Store
from kiteward.store.identity_records import GroupRole
from kiteward.store.records import Subject
from kiteward.store.renaming import referring_columns
from kiteward.store.scim_records import SCIM_ISSUER, ScimGroupRecord, ScimMember, ScimSelection, ScimUserRecord
from kiteward.store.transaction import Transaction


def record(scim_id: str, name: str, **fields: object) -> ScimUserRecord:
    return ScimUserRecord(scim_id, name, fields.pop("login", name), None, True, {}, **fields)  # type: ignore[arg-type]


async def prepared(change: Transact) -> None:
    """Two users, of whom one is in a group."""

    async def work(transaction: Transaction) -> None:
        for number, name in enumerate(("alice", "bob"), 1):
            await adding(name)(transaction)
            await transaction.scim.add_user(record(str(number), name))
        await transaction.scim.add_group(ScimGroupRecord("g", "Team A", "x"))
        await transaction.scim.add_members("g", {"1": "alice"})

    await change(work)


async def test_a_user_is_read_as_it_was_written(store: Store, change: Transact, clock: Clock) -> None:
    written = ScimUserRecord(
        "1", "alice", "Älice@Corp", "X", False, {"name": {"givenName": "Ä"}, "emails": [{"value": "a"}]}
    )

    async def work(transaction: Transaction) -> None:
        await adding("alice")(transaction)
        await transaction.users.enable("alice", False)
        await transaction.scim.add_user(written)

    await change(work)
    found = await store.scim.user("1")
    assert found is not None
    assert (found.login, found.external_id, found.active, found.attributes) == (
        written.login,
        "X",
        False,
        written.attributes,
    )
    assert (found.enabled, found.groups, found.created_at, found.changed_at) == (False, (), clock.now, clock.now)
    assert found == await store.scim.user_named("alice") == await store.scim.user_with_login("äLICE@cORP")
    assert await store.scim.user("2") is None
    assert (await existing(store, "alice")).scim_login == written.login
    clock.now += 5
    await change(lambda transaction: transaction.scim.put_user(record("1", "alice", login="a")))
    again = await store.scim.user("1")
    assert again is not None
    assert (again.login, again.created_at, again.changed_at) == ("a", clock.now - 5, clock.now)


async def test_selections_find_by_name_id_member_and_page(store: Store, change: Transact) -> None:
    await prepared(change)
    reads = store.scim

    async def users(**how: object) -> list[str]:
        return [each.scim_id for each in await reads.users(ScimSelection(**how))]  # type: ignore[arg-type]

    async def groups(**how: object) -> list[str]:
        return [each.group_id for each in await reads.groups(ScimSelection(**how))]  # type: ignore[arg-type]

    assert await users() == ["1", "2"]
    assert await users(key="BOB") == ["2"]
    assert await users(resource_id="1") == ["1"]
    assert await users(external_id="x") == []
    assert await users(after="1") == ["2"]
    assert await users(offset=1, limit=5) == ["2"]
    assert await users(limit=1) == ["1"]
    assert await groups(key="team a") == await groups(external_id="x") == await groups(member="1") == ["g"]
    assert await groups(member="2") == await groups(after="g") == []
    assert (await reads.user_count(), await reads.group_count()) == (2, 1)
    assert await reads.members(["g", "h"]) == {"g": [ScimMember("1", "alice")]}
    assert await reads.members([]) == {}


async def test_groups_give_roles_by_name_and_by_pattern(store: Store, change: Transact) -> None:
    await prepared(change)

    async def work(transaction: Transaction) -> None:
        for role in ("a", "b", "c", "d"):
            await transaction.roles.put(Role(role))
        for issuer, name, is_pattern, role in (
            (SCIM_ISSUER, "Team A", False, "b"),
            (SCIM_ISSUER, "Team *", True, "a"),
            (SCIM_ISSUER, "*", True, "a"),
            (SCIM_ISSUER, "team*", True, "c"),
            (SCIM_ISSUER, "Team_A", True, "c"),
            (SCIM_ISSUER, "Team?A", True, "c"),
            (SCIM_ISSUER, "Team [A]", True, "c"),
            (SCIM_ISSUER, "%", True, "c"),
            (SCIM_ISSUER, "Team *", False, "c"),
            ("https://idp.example", "Team A", False, "d"),
        ):
            await transaction.identities.grant_role(GroupRole(issuer, name, is_pattern, role))

    await change(work)
    assert (await existing(store, "alice")).group_roles == ("a", "b")
    assert (await existing(store, "bob")).group_roles == ()
    assert {each.name: each.group_roles for each in await store.users()} == {"alice": ("a", "b"), "bob": ()}


async def test_whatever_changes_the_roles_of_a_member_is_announced(store: Store, change: Transact) -> None:
    await prepared(change)
    for work, names in (
        (lambda transaction: transaction.scim.add_members("g", {"2": "bob"}), ["bob"]),
        (lambda transaction: transaction.scim.put_group(ScimGroupRecord("g", "Team B", None)), ["alice", "bob"]),
        (lambda transaction: transaction.scim.remove_members("g", {"2": "bob"}), ["bob"]),
        (lambda transaction: transaction.scim.remove_group("g"), ["alice"]),
    ):
        before = await store.revision()
        await change(work)
        assert (await changed_since(store, before)).names(Subject.USER) == names


async def test_what_scim_knows_goes_with_the_user(store: Store, change: Transact) -> None:
    await prepared(change)
    await change(lambda transaction: transaction.users.remove("alice"))
    assert await store.scim.user("1") is None
    assert await store.scim.members(["g"]) == {}

    async def release(transaction: Transaction) -> None:
        found = await transaction.scim.user("2")
        assert found is not None
        await transaction.scim.release_user(found)

    await change(release)
    assert (await existing(store, "bob")).scim_login is None


async def test_everything_follows_a_renamed_user(store: Store, change: Transact) -> None:
    await prepared(change)

    async def work(transaction: Transaction) -> None:
        await transaction.roles.put(Role("keepers"))
        await transaction.roles.bind("alice", "keepers")
        await transaction.user_tags.put("alice", {"team": "blue"})
        await transaction.identities.add("alice", "https://idp.example", "subject")
        await transaction.identities.cut_off("https://idp.example", "alice", 7.0)
        for name in ("alice", "carol"):
            key = GrantKey(ObjectType.USER, "default", name, "UpdateUser")
            await transaction.grants.add([Grant("keepers", key, "root")])

    await change(work)
    before, revision = await existing(store, "alice"), await store.revision()
    await change(lambda transaction: transaction.renaming.rename("alice", "carol"))
    assert await store.user("alice") is None
    after = await existing(store, "carol")
    assert (after.roles, after.tags, after.scim_login, after.password_hash, after.created_at) == (
        ("keepers",),
        {"team": "blue"},
        "alice",
        before.password_hash,
        before.created_at,
    )
    assert after.identity is not None
    assert (after.identity.subject, after.identity.not_before) == ("subject", 7.0)
    assert [each.key.object_name for each in (await store.policy()).grants] == ["carol"]
    found = await changed_since(store, revision)
    assert set(found.names(Subject.USER)) == {"alice", "carol"}
    assert found.names(Subject.ROLE) == ["keepers"]
    assert (await store.scim.members(["g"]))["g"] == [ScimMember("1", "carol")]


def test_a_rename_knows_every_table_that_refers_to_users() -> None:
    assert {column.table.name for column in referring_columns()} >= {
        "role_bindings",
        "api_keys",
        "user_tags",
        "sessions",
        "federated_identities",
        "scim_users",
    }
