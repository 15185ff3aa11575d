"""Who calls: one hash for each credential, and nobody gets in on a state that no longer holds."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import Any, cast

import pytest

from kiteward.authn.authenticator import WRONG_KEY, Authenticator
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authn.password_verifier import WRONG_PASSWORD
from kiteward.domain.errors import (
    CredentialMalformed,
    CredentialMissing,
    KeyRejected,
    PasswordRejected,
    StoreUnavailable,
)
from kiteward.domain.identity import KeyCredential, PasswordCredential, Principal, Secret
from kiteward.store.base import Store
from kiteward.store.records import HashSchemes, UserRecord


class CountingHasher(PasswordHasher):
    """Counts verifications, and holds them while the test wants."""

    def __init__(self) -> None:
        super().__init__(TESTING)
        self.verifications: list[bool] = []
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def find(
        self, stored: Sequence[str], password: Secret, *, kinds: Iterable[str] = (), rounds: int = 1
    ) -> int | None:
        """Verify, slowly if configured so."""
        self.verifications.append(bool(stored))
        self.begun.set()
        result = await super().find(stored, password, kinds=kinds, rounds=rounds)
        await self.go_on.wait()
        return result

    def hold(self) -> None:
        """Make verifications wait from now on."""
        self.begun.clear()
        self.go_on.clear()


class Users:
    """The part of a store that an authenticator reads."""

    def __init__(self, *records: UserRecord) -> None:
        self.records = {record.name: record for record in records}
        self.reads: list[str] = []
        self.read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.broken = False

    async def user(self, name: str) -> UserRecord | None:
        """Return a user as it was when the reading began."""
        if self.broken:
            raise StoreUnavailable("the store cannot be read")
        self.reads.append(name)
        record = self.records.get(name)
        self.read.set()
        await self.go_on.wait()
        return record

    async def hash_schemes(self, _: Collection[str] | None) -> HashSchemes:
        """Return none: every hash here is of our own kind."""
        return HashSchemes(frozenset(), None)

    def hold(self) -> None:
        """Make reads wait from now on, after they have read."""
        self.read.clear()
        self.go_on.clear()


@pytest.fixture
async def hasher() -> AsyncIterator[CountingHasher]:
    made = CountingHasher()
    yield made
    made.close()


@pytest.fixture
async def users(hasher: CountingHasher) -> Users:
    alice = UserRecord("alice", await hasher.hash(Secret("Password-1")), "credential-1", "", 0, 0, ("reader",))
    root = UserRecord("root", await hasher.hash(Secret("Milvus")), "credential-0", "", 0, 0, ())
    return Users(alice, root)


@pytest.fixture
def authenticator(users: Users, hasher: CountingHasher) -> Authenticator:
    return Authenticator(cast("Store", users), hasher)


def credential(user: str = "alice", password: str = "Password-1") -> PasswordCredential:
    return PasswordCredential(user, Secret(password))


async def change_password(users: Users, hasher: CountingHasher, password: str = "Password-2") -> None:
    """Change alice's password in the store, without telling the authenticator."""
    changed = replace(users.records["alice"], password_hash=await hasher.hash(Secret(password)), credential_id="new")
    users.records["alice"] = changed


# Who gets in


async def test_right_password_makes_the_principal_with_its_roles(authenticator: Authenticator) -> None:
    assert await authenticator.authenticate(credential()) == Principal("alice", frozenset({"reader"}))


async def test_only_root_is_unrestricted_and_only_where_it_bypasses(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    assert (await authenticator.authenticate(credential("root", "Milvus"))).unrestricted
    assert not (await authenticator.authenticate(credential())).unrestricted
    bound = Authenticator(cast("Store", users), hasher, root_bypass=False)
    assert not (await bound.authenticate(credential("root", "Milvus"))).unrestricted


async def test_unknown_user_and_wrong_password_are_one_fact_and_one_hash_each(
    authenticator: Authenticator, hasher: CountingHasher
) -> None:
    with pytest.raises(PasswordRejected) as unknown:
        await authenticator.authenticate(credential("nobody"))
    with pytest.raises(PasswordRejected) as wrong:
        await authenticator.authenticate(credential("alice", "Password-9"))
    assert str(unknown.value) == str(wrong.value) == WRONG_PASSWORD
    assert type(unknown.value) is type(wrong.value)
    assert hasher.verifications == [False, True]


@pytest.mark.parametrize(("user", "password"), [("", "Password-1"), ("alice", ""), ("", ""), ("Alice", "Password-1")])
async def test_empty_and_differently_spelt_names_are_refused(
    authenticator: Authenticator, user: str, password: str
) -> None:
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(credential(user, password))


async def test_key_is_refused_without_a_hash(authenticator: Authenticator, hasher: CountingHasher) -> None:
    with pytest.raises(KeyRejected, match=WRONG_KEY):
        await authenticator.authenticate(KeyCredential(Secret("a-key")))
    assert hasher.verifications == []


@pytest.mark.parametrize("error", [CredentialMissing("nothing"), CredentialMalformed("unreadable")])
async def test_what_the_transport_could_not_read_is_raised_as_it_is(
    authenticator: Authenticator, error: CredentialMissing | CredentialMalformed
) -> None:
    with pytest.raises(type(error)) as raised:
        await authenticator.authenticate(error)
    assert raised.value is error


async def test_failed_password_is_not_remembered_as_right(authenticator: Authenticator) -> None:
    for _ in range(3):
        with pytest.raises(PasswordRejected):
            await authenticator.authenticate(credential("alice", "Password-9"))


async def test_store_that_cannot_be_read_authenticates_nobody(authenticator: Authenticator, users: Users) -> None:
    await authenticator.authenticate(credential())
    authenticator.forget(["alice"])
    users.broken = True
    for presented in (credential(), credential("alice", "Password-9"), credential("nobody")):
        with pytest.raises(StoreUnavailable):
            await authenticator.authenticate(presented)


# What is remembered


async def test_second_request_runs_no_hash_and_reads_no_store(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    await authenticator.authenticate(credential())
    users.reads.clear()
    for _ in range(10):
        await authenticator.authenticate(credential())
    assert len(hasher.verifications) == 1
    assert users.reads == []


async def test_equal_credentials_presented_at_once_run_one_hash(
    authenticator: Authenticator, hasher: CountingHasher
) -> None:
    hasher.hold()
    calls = [asyncio.create_task(authenticator.authenticate(credential())) for _ in range(20)]
    await hasher.begun.wait()
    await asyncio.sleep(0)
    hasher.go_on.set()
    assert {principal.user_name for principal in await asyncio.gather(*calls)} == {"alice"}
    assert len(hasher.verifications) == 1


async def test_equal_wrong_credentials_presented_at_once_are_all_refused(
    authenticator: Authenticator, hasher: CountingHasher
) -> None:
    hasher.hold()
    calls = [asyncio.create_task(authenticator.authenticate(credential(password="Password-9"))) for _ in range(5)]
    await hasher.begun.wait()
    hasher.go_on.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [PasswordRejected] * 5
    assert len(hasher.verifications) == 1


async def test_caller_that_leaves_does_not_take_the_others_verification_along(
    authenticator: Authenticator, hasher: CountingHasher
) -> None:
    hasher.hold()
    first = asyncio.create_task(authenticator.authenticate(credential()))
    await hasher.begun.wait()
    second = asyncio.create_task(authenticator.authenticate(credential()))
    await asyncio.sleep(0)
    first.cancel()
    hasher.go_on.set()
    assert (await second).user_name == "alice"
    assert len(hasher.verifications) == 1


async def test_no_more_credentials_are_remembered_than_the_capacity(users: Users, hasher: CountingHasher) -> None:
    hashed = await hasher.hash(Secret("Password-1"))
    for number in range(6):
        users.records[f"user{number}"] = UserRecord(f"user{number}", hashed, f"c{number}", "", 0, 0, ())
    small = Authenticator(cast("Store", users), hasher, capacity=3)
    for number in range(6):
        await small.authenticate(credential(f"user{number}"))
    assert len(small._passwords._verified) == 3
    hasher.verifications.clear()
    for number in (3, 4, 5):
        await small.authenticate(credential(f"user{number}"))
    assert hasher.verifications == []
    await small.authenticate(credential("user0"))
    assert len(hasher.verifications) == 1
    assert len(small._passwords._verified) == 3


async def test_credentials_that_only_together_look_alike_are_told_apart(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    users.records["al"] = UserRecord("al", await hasher.hash(Secret("other")), "c", "", 0, 0, ())
    await authenticator.authenticate(credential("alice", "Password-1"))
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(credential("al", "icePassword-1"))


# Revocation


async def test_old_password_is_refused_as_soon_as_the_user_is_forgotten(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    await authenticator.authenticate(credential())
    await change_password(users, hasher)
    authenticator.forget(["alice"])
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(credential())
    assert (await authenticator.authenticate(credential(password="Password-2"))).user_name == "alice"


async def test_deleted_user_is_refused_as_soon_as_it_is_forgotten(authenticator: Authenticator, users: Users) -> None:
    await authenticator.authenticate(credential())
    del users.records["alice"]
    authenticator.forget(["alice"])
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(credential())


async def test_user_created_again_with_another_password_is_not_the_old_one(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    await authenticator.authenticate(credential())
    del users.records["alice"]
    authenticator.forget(["alice"])
    hashed = await hasher.hash(Secret("Password-3"))
    users.records["alice"] = UserRecord("alice", hashed, "credential-9", "", 0, 0, ())
    authenticator.forget(["alice"])
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(credential())


async def test_changed_roles_are_seen_as_soon_as_the_user_is_forgotten_and_cost_no_hash(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    await authenticator.authenticate(credential())
    users.records["alice"] = replace(users.records["alice"], roles=("writer",))
    authenticator.forget(["alice"])
    assert (await authenticator.authenticate(credential())).roles == {"writer"}
    assert len(hasher.verifications) == 1


async def test_password_changed_while_the_old_one_is_being_verified_refuses_the_old_one(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    hasher.hold()
    calls = [asyncio.create_task(authenticator.authenticate(credential())) for _ in range(3)]
    await hasher.begun.wait()
    await change_password(users, hasher)
    authenticator.forget(["alice"])
    hasher.go_on.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [PasswordRejected] * 3
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(credential())


async def test_user_deleted_while_its_password_is_being_verified_is_refused(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    hasher.hold()
    call = asyncio.create_task(authenticator.authenticate(credential()))
    await hasher.begun.wait()
    del users.records["alice"]
    authenticator.forget(["alice"])
    hasher.go_on.set()
    with pytest.raises(PasswordRejected):
        await call
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(credential())


async def test_user_changed_while_it_is_read_is_read_again(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    """The reading that forget() overtook must not put back what was forgotten."""
    await authenticator.authenticate(credential())
    authenticator.forget(["alice"])
    users.hold()
    call = asyncio.create_task(authenticator.authenticate(credential()))
    await users.read.wait()
    await change_password(users, hasher)
    authenticator.forget(["alice"])
    users.go_on.set()
    with pytest.raises(PasswordRejected):
        await call
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(credential())


async def test_forgetting_one_user_costs_the_others_nothing(
    authenticator: Authenticator, users: Users, hasher: CountingHasher
) -> None:
    await authenticator.authenticate(credential())
    await authenticator.authenticate(credential("root", "Milvus"))
    hasher.verifications.clear()
    users.reads.clear()
    authenticator.forget(["root"])
    await authenticator.authenticate(credential())
    assert (hasher.verifications, users.reads) == ([], [])


# What is kept


def reachable_texts(*roots: object) -> set[str]:
    """Return every text that objects hold, however deep; modules, classes and functions are not followed."""
    seen: dict[int, object] = {}
    waiting: list[object] = list(roots)
    while waiting:
        here = waiting.pop()
        if id(here) in seen or isinstance(here, ModuleType | type | FunctionType):
            continue
        seen[id(here)] = here
        waiting.extend(gc.get_referents(here))
    texts = [held for held in seen.values() if isinstance(held, str | bytes)]
    return {text if isinstance(text, str) else text.decode("latin-1") for text in texts}


async def test_no_password_is_kept_in_clear(authenticator: Authenticator, users: Users) -> None:
    password = "".join(["Pass", "word-1"])
    await authenticator.authenticate(PasswordCredential("alice", Secret(password)))
    with pytest.raises(PasswordRejected):
        await authenticator.authenticate(PasswordCredential("alice", Secret(password + "9")))
    own: dict[str, Any] = {
        name: value for name, value in vars(authenticator).items() if name not in ("_store", "_hasher")
    }
    texts = reachable_texts(*own.values())
    assert "alice" in texts, "the walk reaches what is remembered"
    assert not [text for text in texts if password in text]


async def test_remembered_digests_differ_between_processes(users: Users, hasher: CountingHasher) -> None:
    first, second = (Authenticator(cast("Store", users), hasher) for _ in range(2))
    await first.authenticate(credential())
    await second.authenticate(credential())
    assert set(first._passwords._verified).isdisjoint(second._passwords._verified)


async def test_no_password_is_logged(
    authenticator: Authenticator, caplog: pytest.LogCaptureFixture, hasher: CountingHasher
) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes: Sequence[object] = await asyncio.gather(
        authenticator.authenticate(credential()),
        authenticator.authenticate(credential(password="Password-9")),
        return_exceptions=True,
    )
    assert "Password-" not in caplog.text
    assert "Password-" not in repr(outcomes)
