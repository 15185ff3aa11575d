"""Credentials besides a current password: keys and previous passwords, while they are accepted and afterwards."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import pytest

from kiteward.audit.writer import NullAuditSink
from kiteward.authn import api_keys
from kiteward.authn.authenticator import ANONYMOUS, WRONG_KEY, Authenticator
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authn.password_verifier import WRONG_PASSWORD
from kiteward.authn.throttle import FAILURES_TO_LOCK, FREE_FAILURES, Throttle
from kiteward.authz.model import Role
from kiteward.domain.errors import CredentialMissing, KeyRejected, PasswordRejected, StoreUnavailable
from kiteward.domain.identity import KeyCredential, LocalCredential, PasswordCredential, Principal, Secret
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.store.records import KeyRecord, LastUsed
from kiteward.store.sql import SqlStore

FROM = "10.1.2.3:4000"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Entrance:
    """An authenticator on a real store."""

    store: SqlStore
    hasher: PasswordHasher
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.authenticator = Authenticator(
            self.store, self.hasher, clock=self.clock, throttle=Throttle(self.clock), local=False
        )
        self.policy_cache = PolicyCache(self.store, self.authenticator, Recorder(NullAuditSink()))

    async def user(self, name: str, *roles: str, password: str = "Password-1") -> None:
        hashed = await self.hasher.hash(Secret(password))
        async with self.policy_cache.change() as transaction:
            await transaction.users.add(name, hashed)
            for role in roles:
                await transaction.roles.put(Role(role))
                await transaction.roles.bind(name, role)

    async def key(self, owner: str, **parts: object) -> tuple[str, Secret]:
        minted = api_keys.mint()
        record = KeyRecord(minted.key_id, owner, minted.digest, "", 0.0, owner, **parts)  # type: ignore[arg-type]  # fields of the record
        async with self.policy_cache.change() as transaction:
            await transaction.keys.add(record)
        return minted.key_id, minted.key

    async def by_key(self, key: Secret, address: str = FROM) -> Principal:
        return await self.authenticator.authenticate(KeyCredential(key), address=address)

    async def by_password(self, password: str, user: str = "alice", address: str = FROM) -> Principal:
        return await self.authenticator.authenticate(PasswordCredential(user, Secret(password)), address=address)


@pytest.fixture
async def entrance(empty_path: Path) -> AsyncIterator[Entrance]:
    store, hasher = await SqlStore.open(empty_path), PasswordHasher(TESTING)
    made = Entrance(store, hasher)
    await made.policy_cache.load()
    yield made
    await made.authenticator.close()
    await store.close()
    hasher.close()


async def test_a_key_makes_the_principal_of_its_owner(entrance: Entrance) -> None:
    await entrance.user("alice", "reader")
    key_id, key = await entrance.key("alice")
    principal = await entrance.by_key(key)
    assert principal == Principal("alice", frozenset({"reader"}))
    assert principal.credential == f"key:{key_id}"
    assert principal.key is not None
    assert principal.key.key_id == key_id


async def test_no_password_hash_runs_for_a_key(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    await entrance.user("alice")
    _, key = await entrance.key("alice")
    monkeypatch.setattr(entrance.hasher, "find", None)
    assert (await entrance.by_key(key)).user_name == "alice"


@pytest.mark.parametrize(
    ("held", "given", "left"),
    [
        (("reader", "writer"), ("reader",), {"reader"}),
        (("reader",), ("reader", "writer"), {"reader"}),
        (("reader",), (), set()),
        (("reader",), None, {"reader"}),
        (("admin",), ("reader",), {"reader"}),
        (("admin",), None, {"admin"}),
    ],
)
async def test_a_key_never_exceeds_its_owner(
    entrance: Entrance, held: tuple[str, ...], given: tuple[str, ...] | None, left: set[str]
) -> None:
    await entrance.user("bob", "reader", "writer", "admin")
    await entrance.user("alice", *held)
    _, key = await entrance.key("alice", roles=given)
    principal = await entrance.by_key(key)
    assert principal.roles == left
    assert not principal.unrestricted


async def test_a_restricted_key_of_root_is_restricted(entrance: Entrance) -> None:
    await entrance.user("root", "reader")
    _, narrowed = await entrance.key("root", roles=("reader",))
    _, whole = await entrance.key("root")
    assert not (await entrance.by_key(narrowed)).unrestricted
    assert (await entrance.by_key(whole)).unrestricted


async def test_a_key_shrinks_with_its_owner_at_once(entrance: Entrance) -> None:
    await entrance.user("alice", "reader", "writer")
    _, key = await entrance.key("alice", roles=("writer",))
    assert (await entrance.by_key(key)).roles == {"writer"}
    async with entrance.policy_cache.change() as transaction:
        await transaction.roles.unbind("alice", "writer")
    assert (await entrance.by_key(key)).roles == frozenset()


async def refused(entrance: Entrance, key: Secret, address: str = FROM) -> None:
    with pytest.raises(KeyRejected, match=WRONG_KEY):
        await entrance.by_key(key, address)


async def test_a_key_ends_with_its_time(entrance: Entrance) -> None:
    await entrance.user("alice")
    _, key = await entrance.key("alice", expires_at=1010.0)
    await entrance.by_key(key)
    entrance.clock.now = 1010.0
    await refused(entrance, key)


@pytest.mark.parametrize(
    ("address", "opens"),
    [
        ("10.1.2.3:4000", True),
        ("[2001:db8::1]:4000", True),
        ("11.1.2.3:4000", False),
        ("[2001:db9::1]:4000", False),
        ("[fe80::1%eth0]:4000", False),
        ("", False),
        ("somewhere", False),
    ],
)
async def test_a_key_is_accepted_from_its_networks_only(entrance: Entrance, address: str, opens: bool) -> None:
    await entrance.user("alice")
    _, key = await entrance.key("alice", networks=("10.0.0.0/8", "2001:db8::/32"))
    if opens:
        await entrance.by_key(key, address)
    else:
        await refused(entrance, key, address)


async def test_disabling_revoking_and_deleting_hold_on_the_next_call(entrance: Entrance) -> None:
    await entrance.user("alice")
    for end in ("disable", "remove", "disable the owner", "lock the owner", "delete the owner"):
        key_id, key = await entrance.key("alice")
        await entrance.by_key(key)
        async with entrance.policy_cache.change() as transaction:
            match end:
                case "disable":
                    await transaction.keys.enable(key_id, False)
                case "remove":
                    await transaction.keys.remove(key_id)
                case "disable the owner":
                    await transaction.users.enable("alice", False)
                case "lock the owner":
                    await transaction.users.enable("alice", True)
                    await transaction.users.lock("alice")
                case _:
                    await transaction.users.remove("alice")
        await refused(entrance, key)
        if end == "disable the owner":
            async with entrance.policy_cache.change() as transaction:
                await transaction.users.enable("alice", True)
        if end == "lock the owner":
            async with entrance.policy_cache.change() as transaction:
                await transaction.users.unlock("alice")


async def test_both_keys_are_accepted_during_a_rotation_and_then_the_new_one_alone(entrance: Entrance) -> None:
    await entrance.user("alice")
    key_id, old = await entrance.key("alice")
    new = api_keys.mint(key_id)
    async with entrance.policy_cache.change() as transaction:
        await transaction.keys.rotate(key_id, new.digest, former_until=1060.0)
    await entrance.by_key(old)
    await entrance.by_key(new.key)
    entrance.clock.now = 1060.0
    await refused(entrance, old)
    await entrance.by_key(new.key)


async def test_an_unknown_key_with_a_right_checksum_is_refused(entrance: Entrance) -> None:
    await refused(entrance, api_keys.mint().key)


async def test_a_key_of_another_secret_is_refused(entrance: Entrance) -> None:
    await entrance.user("alice")
    key_id, _ = await entrance.key("alice")
    await refused(entrance, api_keys.mint(key_id).key)


async def wrong(entrance: Entrance, password: str, user: str = "alice", address: str = FROM) -> None:
    with pytest.raises(PasswordRejected, match=WRONG_PASSWORD):
        await entrance.by_password(password, user, address)


async def test_a_previous_password_is_accepted_until_its_time_is_up_even_when_cached(entrance: Entrance) -> None:
    await entrance.user("alice")
    await entrance.by_password("Password-1")
    hashed = await entrance.hasher.hash(Secret("Password-2"))
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.set_password("alice", hashed, former_until=1060.0)
    assert (await entrance.by_password("Password-1")).user_name == "alice"
    assert (await entrance.by_password("Password-2")).user_name == "alice"
    entrance.clock.now = 1060.0
    await wrong(entrance, "Password-1")
    assert (await entrance.by_password("Password-2")).user_name == "alice"


async def test_a_previous_password_that_was_never_cached_is_accepted_too_and_is_cut_off_early(
    entrance: Entrance,
) -> None:
    await entrance.user("alice")
    hashed = await entrance.hasher.hash(Secret("Password-2"))
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.set_password("alice", hashed, former_until=1060.0)
    await entrance.by_password("Password-1")
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.end_previous_secret("alice")
    await wrong(entrance, "Password-1")


@pytest.mark.parametrize("closed", ["disabled", "locked"])
async def test_a_user_who_may_not_sign_in_is_refused_also_where_cached(entrance: Entrance, closed: str) -> None:
    await entrance.user("alice")
    await entrance.by_password("Password-1")
    async with entrance.policy_cache.change() as transaction:
        if closed == "disabled":
            await transaction.users.enable("alice", False)
        else:
            await transaction.users.lock("alice")
    await wrong(entrance, "Password-1")
    await wrong(entrance, "Password-1")
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.enable("alice", True)
        await transaction.users.unlock("alice")
    await entrance.by_password("Password-1")


async def test_throttled_attempts_run_no_hash_and_answer_like_wrong_ones(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    await entrance.user("alice")
    for number in range(FREE_FAILURES):
        await wrong(entrance, f"guess-{number}")
    find = entrance.hasher.find
    monkeypatch.setattr(entrance.hasher, "find", None)
    await wrong(entrance, "one more")
    await wrong(entrance, "Password-1")
    monkeypatch.setattr(entrance.hasher, "find", find)
    assert entrance.authenticator.counts["password", "throttled"] == 2
    assert (await entrance.by_password("Password-1", address="10.9.9.9:1")).user_name == "alice"
    entrance.clock.now += 1.0
    await entrance.by_password("Password-1")


async def test_guessing_signs_no_user_out(entrance: Entrance) -> None:
    await entrance.user("alice")
    await entrance.by_password("Password-1")
    for number in range(FREE_FAILURES + 3):
        await wrong(entrance, f"guess-{number}", address="10.1.2.3:4001")
    await entrance.by_password("Password-1")


async def test_a_hundred_wrong_passwords_in_a_row_lock_the_user_until_somebody_unlocks_it(entrance: Entrance) -> None:
    await entrance.user("alice")
    for number in range(FAILURES_TO_LOCK):
        await wrong(entrance, f"guess-{number}", address=f"10.0.{number}.1:1")
    await entrance.authenticator.close()
    user = await entrance.store.user("alice")
    assert user is not None
    assert user.locked_at is not None
    await wrong(entrance, "Password-1", address="10.9.9.9:1")
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.unlock("alice")
    await entrance.by_password("Password-1")


async def test_a_hash_from_milvus_is_replaced_when_its_password_is_proved(entrance: Entrance) -> None:
    brought = bcrypt.hashpw(b"Password-1", bcrypt.gensalt(4)).decode()
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.add("alice", brought)
    await entrance.by_password("Password-1")
    await entrance.authenticator.close()
    user = await entrance.store.user("alice")
    assert user is not None
    assert user.password_hash.startswith("$argon2id$")
    await entrance.by_password("Password-1")
    assert entrance.authenticator.counts["password", "remembered"] == 1


async def test_root_is_warned_at_each_sign_in_with_the_default_password(
    entrance: Entrance, caplog: pytest.LogCaptureFixture
) -> None:
    await entrance.user("root", password="Milvus")
    await entrance.by_password("Milvus", "root")
    assert "default password" in caplog.text


async def test_uses_are_handed_over_once(entrance: Entrance) -> None:
    await entrance.user("alice")
    key_id, key = await entrance.key("alice")
    await entrance.by_key(key)
    assert entrance.authenticator.take_last_used() == LastUsed({"alice": 1000.0}, {key_id: 1000.0})
    assert entrance.authenticator.take_last_used() == LastUsed()


async def test_uses_that_could_not_be_stored_are_handed_over_again_unless_there_are_later_ones(
    entrance: Entrance,
) -> None:
    await entrance.user("alice")
    await entrance.user("bob")
    await entrance.by_password("Password-1", "alice")
    await entrance.by_password("Password-1", "bob")
    taken = entrance.authenticator.take_last_used()
    entrance.clock.now = 1001.0
    await entrance.by_password("Password-1", "bob")
    entrance.authenticator.return_last_used(taken)
    assert entrance.authenticator.take_last_used() == LastUsed({"alice": 1000.0, "bob": 1001.0})


async def test_the_operator_is_accepted_by_an_authenticator_made_for_it_alone(entrance: Entrance) -> None:
    with pytest.raises(KeyRejected):
        await entrance.authenticator.authenticate(LocalCredential())
    local = Authenticator(entrance.store, entrance.hasher, local=True)
    principal = await local.authenticate(LocalCredential())
    assert (principal.user_name, principal.unrestricted, principal.credential) == ("root", True, "local")


async def test_anybody_is_accepted_only_where_that_was_asked_for(entrance: Entrance) -> None:
    with pytest.raises(CredentialMissing):
        await entrance.authenticator.authenticate(CredentialMissing("missing"))
    open_one = Authenticator(entrance.store, entrance.hasher, open_to_anybody=True)
    assert await open_one.authenticate(CredentialMissing("missing")) is ANONYMOUS
    assert await open_one.authenticate(PasswordCredential("alice", Secret("x"))) is ANONYMOUS


@pytest.mark.parametrize("closed", ["disabled", "locked"])
@pytest.mark.parametrize("right", ["Password-1", "Password-0"])
async def test_the_right_password_of_a_user_who_may_not_sign_in_ends_no_wait(
    entrance: Entrance, closed: str, right: str
) -> None:
    """Nor does a previous one: else the end of the waits would reveal what is accepted once the user is enabled."""
    await entrance.user("alice", password="Password-0")
    hashed = await entrance.hasher.hash(Secret("Password-1"))
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.set_password("alice", hashed, former_until=2000.0)
        if closed == "disabled":
            await transaction.users.enable("alice", False)
        else:
            await transaction.users.lock("alice")
    for number in range(FREE_FAILURES):
        await wrong(entrance, f"guess-{number}")
    entrance.clock.now += 1.0
    await wrong(entrance, right)
    await wrong(entrance, "one more")
    assert entrance.authenticator.counts["password", "throttled"] == 1


async def test_a_disabled_user_whose_clients_go_on_calling_is_not_locked_by_them(entrance: Entrance) -> None:
    await entrance.user("alice")
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.enable("alice", False)
    for number in range(FAILURES_TO_LOCK + 1):
        await wrong(entrance, "Password-1", address=f"10.0.{number}.1:1")
    await entrance.authenticator.close()
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.enable("alice", True)
    await entrance.by_password("Password-1")


async def test_what_another_process_changed_while_there_was_no_snapshot_is_followed(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy that is loaded then names no users, so that what was known of them may be old."""
    await entrance.user("alice")
    _, key = await entrance.key("alice")
    await entrance.by_password("Password-1")
    await entrance.by_key(key)

    async def broken(_: int) -> None:
        raise StoreUnavailable("the store cannot be read")

    with monkeypatch.context() as broken_store:
        broken_store.setattr(entrance.store, "changes_since", broken)
        with pytest.raises(StoreUnavailable):
            async with entrance.policy_cache.change() as transaction:
                await transaction.roles.put(Role("reader"))
    other = await SqlStore.open(entrance.store.place)
    async with other.transaction() as transaction:
        await transaction.users.enable("alice", False)
        await transaction.commit()
    await other.close()
    await entrance.policy_cache.load()
    await wrong(entrance, "Password-1")
    await refused(entrance, key)


async def test_what_another_process_changes_is_followed(entrance: Entrance) -> None:
    await entrance.user("alice", "reader")
    await entrance.by_password("Password-1")
    other = await SqlStore.open(entrance.store.place)
    async with other.transaction() as transaction:
        await transaction.users.enable("alice", False)
        await transaction.roles.put(Role("new"))
        await transaction.commit()
    await other.close()
    await entrance.policy_cache.follow_others()
    await wrong(entrance, "Password-1")
    assert "new" in entrance.policy_cache.current().roles


async def test_a_change_of_our_own_does_not_hide_one_that_another_process_made_before(entrance: Entrance) -> None:
    await entrance.user("alice")
    await entrance.by_password("Password-1")
    other = await SqlStore.open(entrance.store.place)
    async with other.transaction() as transaction:
        await transaction.users.enable("alice", False)
        await transaction.commit()
    await other.close()
    await entrance.user("bob")
    await wrong(entrance, "Password-1")
    assert entrance.policy_cache.current().revision == await entrance.store.revision()


async def test_wrong_passwords_that_come_in_the_writers_place_do_not_wait_for_it(entrance: Entrance) -> None:
    """The hundredth locks; whoever proves itself again inside a change must not wait for its own turn."""
    await entrance.user("alice")
    for number in range(FAILURES_TO_LOCK - 1):
        await wrong(entrance, f"guess-{number}", address=f"10.0.{number}.1:1")
    async with asyncio.timeout(30), entrance.policy_cache.change():
        await wrong(entrance, "the last", address="10.9.9.9:1")
