"""Hashes: what verifies, what is outdated, and that unknown users cost the same."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator

import argon2
import bcrypt
import pytest

from kiteward.authn.hashing import PRODUCTION, TESTING, HashingProfile, PasswordHasher
from kiteward.domain.identity import Secret

RIGHT, WRONG = Secret("Password-1"), Secret("Password-2")


@pytest.fixture
async def hasher() -> AsyncIterator[PasswordHasher]:
    made = PasswordHasher(TESTING)
    yield made
    made.close()


def bcrypt_hash(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()


def test_production_costs_at_least_what_the_standards_ask() -> None:
    assert PRODUCTION.memory_kib >= 19 * 1024
    assert PRODUCTION.passes >= 2


async def test_hash_is_argon2id_salted_and_without_the_password(hasher: PasswordHasher) -> None:
    first, second = await hasher.hash(RIGHT), await hasher.hash(RIGHT)
    assert first.startswith("$argon2id$")
    assert first != second
    assert RIGHT.reveal() not in first


async def test_only_the_right_password_verifies(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(RIGHT)
    assert await hasher.verify(stored, RIGHT)
    assert not await hasher.verify(stored, WRONG)
    assert not await hasher.verify(stored, Secret(""))


async def test_every_character_of_a_long_password_counts(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(Secret("a" * 255 + "b"))
    assert await hasher.verify(stored, Secret("a" * 255 + "b"))
    assert not await hasher.verify(stored, Secret("a" * 255 + "c"))


async def test_bcrypt_hashes_of_milvus_verify(hasher: PasswordHasher) -> None:
    stored = bcrypt_hash("Password-1")
    assert await hasher.verify(stored, RIGHT)
    assert not await hasher.verify(stored, WRONG)
    for prefix in ("$2a$", "$2b$", "$2y$"):
        assert await hasher.verify(prefix + stored[4:], RIGHT)


async def test_bcrypt_hash_of_a_long_password_is_a_matter_of_its_first_72_bytes(hasher: PasswordHasher) -> None:
    stored = bcrypt_hash("a" * 72)
    assert await hasher.verify(stored, Secret("a" * 80))


async def test_presented_text_that_no_hash_can_hold_is_only_wrong(hasher: PasswordHasher) -> None:
    for stored in (await hasher.hash(RIGHT), bcrypt_hash("Password-1")):
        assert not await hasher.verify(stored, Secret("null\0byte"))


async def test_unreadable_stored_hash_verifies_nothing(hasher: PasswordHasher) -> None:
    for stored in ("Password-1", "", "$argon2id$v=19$m=8,t=1,p=1$x$y", "$2b$short", "$2b$" + "?" * 56, "$1$md5$abc"):
        assert not await hasher.verify(stored, RIGHT), stored


class Work:
    """Takes note of which hashes are computed, and of their cost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        verify, checkpw = argon2.PasswordHasher.verify, bcrypt.checkpw

        def by_argon2(hasher: argon2.PasswordHasher, stored: str, password: bytes) -> bool:
            self.done.append(stored[: stored.index(",p=") + 4])
            return verify(hasher, stored, password)

        def by_bcrypt(password: bytes, stored: bytes) -> bool:
            self.done.append(f"bcrypt {stored[4:6].decode()}")
            return checkpw(password, stored)

        monkeypatch.setattr(argon2.PasswordHasher, "verify", by_argon2)
        monkeypatch.setattr(bcrypt, "checkpw", by_bcrypt)

    def taken(self) -> list[str]:
        """Return what was done since the last time, in no order."""
        done, self.done = sorted(self.done), []
        return done


OWN = f"$argon2id$v=19$m={TESTING.memory_kib},t=1,p=1"


async def test_unknown_user_is_never_right_and_costs_one_hash(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    assert await hasher.find([], RIGHT) is None
    assert work.taken() == [OWN]


async def test_a_wrong_password_costs_the_same_whatever_is_stored(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    stronger = PasswordHasher(HashingProfile(memory_kib=16, passes=2, lanes=1))
    stored = [await hasher.hash(RIGHT), await stronger.hash(RIGHT), bcrypt_hash("Password-1"), bcrypt_hash("x", 5)]
    work = Work(monkeypatch)
    for users in ([], *([each] for each in stored), ["unreadable"], ["$2b$short"]):
        assert await hasher.find(users, WRONG, kinds=stored) is None
        assert work.taken() == ["$argon2id$v=19$m=16,t=2,p=1", OWN, "bcrypt 04", "bcrypt 05"], users
    stronger.close()


async def test_a_wrong_password_costs_the_same_with_and_without_a_previous_one(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, brought = await hasher.hash(RIGHT), bcrypt_hash("Password-1")
    work = Work(monkeypatch)
    for users in ([], [own], [brought], [own, brought], [brought, own]):
        assert await hasher.find(users, WRONG, kinds=[brought], rounds=2) is None
        assert work.taken() == [OWN, OWN, "bcrypt 04", "bcrypt 04"]


async def test_the_right_password_costs_one_hash_where_it_is_of_our_own_kind(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, brought = await hasher.hash(RIGHT), bcrypt_hash("Password-1")
    work = Work(monkeypatch)
    assert await hasher.find([own], RIGHT, kinds=[brought], rounds=2) == 0
    assert work.taken() == [OWN]
    assert await hasher.find([brought, own], RIGHT, kinds=[brought], rounds=2) == 0


async def test_a_previous_password_is_found_in_its_place(hasher: PasswordHasher) -> None:
    stored = [await hasher.hash(WRONG), await hasher.hash(RIGHT)]
    assert await hasher.find(stored, RIGHT, rounds=2) == 1


async def test_the_beginning_of_a_hash_tells_its_kind(hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch)
    await hasher.find([], RIGHT, kinds=["$2a$04", "$2y$05", "$argon2id$v=19$m=16,t=1,p=1$", f"{OWN}$", "", "nothing"])
    assert work.taken() == ["$argon2id$v=19$m=16,t=1,p=1", OWN, "bcrypt 04", "bcrypt 05"]


async def test_presented_text_that_no_encoding_holds_is_only_wrong(hasher: PasswordHasher) -> None:
    for stored in (await hasher.hash(RIGHT), bcrypt_hash("Password-1")):
        assert not await hasher.verify(stored, Secret("\udcff"))


async def test_hash_is_outdated_when_the_cost_or_algorithm_is_another(hasher: PasswordHasher) -> None:
    stronger = PasswordHasher(HashingProfile(memory_kib=16, passes=1, lanes=1))
    stored = await hasher.hash(RIGHT)
    assert not hasher.is_outdated(stored)
    assert stronger.is_outdated(stored)
    assert hasher.is_outdated(bcrypt_hash("Password-1"))
    stronger.close()


async def test_only_formats_that_can_be_verified_are_recognised(hasher: PasswordHasher) -> None:
    assert hasher.recognises(await hasher.hash(RIGHT))
    assert hasher.recognises(bcrypt_hash("Password-1"))
    other_variant = argon2.PasswordHasher(1, 8, 1, type=argon2.Type.I).hash("Password-1")
    expensive = ("$2b$13$" + "a" * 53, argon2.PasswordHasher(1, 64 * 1024 + 8, 1).hash("Password-1"))
    garbage = "$2b$" + "?" * 56
    for text in ("", "Password-1", "$2b$short", "$1$md5$abc", other_variant, *expensive, garbage):
        assert not hasher.recognises(text), text


def _with_cost(stored: str, cost: str) -> str:
    return re.sub(r"m=\d+,t=\d+,p=\d+", cost, stored)


async def test_only_what_could_be_verified_is_recognised(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(RIGHT)
    around = (f"{stored} ", f"{stored}\n", f" {stored}", f"{stored},x", stored.rpartition("$")[0] + "$")
    costs = ("m=0,t=0,p=0", "m=8,t=0,p=1", "m=8,t=1,p=0", "m=7,t=1,p=1", "m=8,t=1,p=2")
    for text in (*around, stored.replace("v=19", "v=16"), *(_with_cost(stored, cost) for cost in costs)):
        assert not hasher.recognises(text), text


async def test_a_stored_hash_of_a_cost_that_no_hash_has_is_only_wrong(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else wrong passwords, of whomever, would fail instead of being counted, and the right one would tell itself."""
    impossible = _with_cost(await hasher.hash(RIGHT), "m=0,t=0,p=0")
    work = Work(monkeypatch)
    assert await hasher.find([impossible], RIGHT, kinds=[impossible]) is None
    assert await hasher.find([], WRONG, kinds=[impossible]) is None
    assert work.taken() == [OWN, OWN]


async def test_hashes_run_in_a_bounded_pool_and_leave_the_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = PasswordHasher(HashingProfile(memory_kib=8, passes=1, lanes=1, workers=2))
    running, most, lock, full = 0, 0, threading.Lock(), threading.Event()

    def verify(*_: object) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 2:
                full.set()
        full.wait(5)
        with lock:
            running -= 1
        assert threading.current_thread().name.startswith("kiteward-hashing")
        return True

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    await asyncio.gather(*(hasher.verify("unreadable", RIGHT) for _ in range(8)))
    assert most == 2
    hasher.close()


async def test_what_unknown_users_are_compared_with_is_made_before_the_first_of_them(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    compute = argon2.PasswordHasher.hash

    def counted(given: argon2.PasswordHasher, password: str) -> str:
        made.append(password)
        return compute(given, password)

    monkeypatch.setattr(argon2.PasswordHasher, "hash", counted)
    await hasher.prepare()
    assert len(made) == 1
    assert await hasher.find([], RIGHT) is None
    assert len(made) == 1
