"""Hashes: what verifies, what is outdated, and that unknown users cost the same."""

import asyncio
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


def bcrypt_hash(password: str) -> str:
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()


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


async def test_unknown_user_is_never_right_and_costs_one_hash(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []

    def verify(_: object, stored: str, __: str) -> bool:
        judged.append(stored)
        return True

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    assert not await hasher.verify(None, RIGHT)
    assert len(judged) == 1
    assert argon2.extract_parameters(judged[0]).memory_cost == TESTING.memory_kib


async def test_hash_is_outdated_when_the_cost_or_algorithm_is_another(hasher: PasswordHasher) -> None:
    stronger = PasswordHasher(HashingProfile(memory_kib=16, passes=1, lanes=1))
    stored = await hasher.hash(RIGHT)
    assert not hasher.is_outdated(stored)
    assert stronger.is_outdated(stored)
    assert hasher.is_outdated(bcrypt_hash("Password-1"))
    stronger.close()


async def test_only_formats_that_can_be_judged_are_recognised(hasher: PasswordHasher) -> None:
    assert hasher.recognises(await hasher.hash(RIGHT))
    assert hasher.recognises(bcrypt_hash("Password-1"))
    other_variant = argon2.PasswordHasher(1, 8, 1, type=argon2.Type.I).hash("Password-1")
    expensive, garbage = "$2b$31$" + "a" * 53, "$2b$" + "?" * 56
    for text in ("", "Password-1", "$2b$short", "$1$md5$abc", other_variant, expensive, garbage):
        assert not hasher.recognises(text), text


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
    await asyncio.gather(*(hasher.verify("$argon2id$", RIGHT) for _ in range(8)))
    assert most == 2
    hasher.close()
