"""Second factors: each proof counts once, at whatever server; wrong ones wait and lock, apart from passwords."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pyotp
import pytest
from sqlalchemy import select
from tests.support.gateway import quick_directory
from tests.support.passkey_device import PasskeyDevice

from kiteward.authn.second_factor import recovery_codes, totp
from kiteward.authn.second_factor.factors import SecondFactors
from kiteward.authn.second_factor.rules import PasskeyRefused, PasskeyRules, RequiredOf, SecondFactorRules
from kiteward.authn.second_factor.sealing import FactorKey
from kiteward.authn.shared_throttle import OwnLimits, SharedLimits
from kiteward.authn.sign_in import SignIn
from kiteward.authn.throttle import FAILURES_TO_LOCK, FREE_FAILURES, Throttle
from kiteward.domain.errors import FactorRejected, OperationRefused, SessionEnded
from kiteward.domain.identity import Principal, Secret
from kiteward.domain.second_factors import FactorKind, FactorProof
from kiteward.store import factor_tables
from kiteward.store.factor_records import FactorRecord
from kiteward.store.sql import SqlStore

RULES = SecondFactorRules(passkeys=PasskeyRules("kiteward.example", ("https://kiteward.example",)))
KEY = FactorKey(Secret("a key for tests, of 32 characters"))
ADDRESS = "10.0.0.1:5"
SIGN_IN = SignIn("alice", "c", "c", ADDRESS, "a browser")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_010.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    async with AsyncExitStack() as stack:
        opened = await SqlStore.open(stack.enter_context(quick_directory()) / "store.db")
        stack.push_async_callback(opened.close)
        async with opened.transaction() as transaction:
            for name in ("alice", "bob"):
                await transaction.users.add(name, "hash")
            await transaction.commit()
        yield opened


def server(store: SqlStore, clock: Clock, throttle: Throttle | None = None) -> SecondFactors:
    """Return the second factors of one more server on the store."""
    return SecondFactors(store, RULES, key=KEY, limits=OwnLimits(throttle or Throttle()), clock=clock)


async def with_app(store: SqlStore, factors: SecondFactors, user: str = "alice") -> pyotp.TOTP:
    """Give a user an authenticator app that was confirmed long ago, and recovery codes `aaaa` and `bbbb`."""
    app = await factors.started_app(user)
    async with store.transaction() as transaction:
        assert await transaction.factors.confirm(app.factor_id, user, label="", step=1, now=1.0)
        digests = [recovery_codes.digest_of(user, code) for code in ("aaaa", "bbbb")]
        await transaction.factors.replace_codes(user, digests)
        await transaction.commit()
    return pyotp.TOTP(app.secret.reveal())


async def with_passkey(store: SqlStore, factors: SecondFactors, device: PasskeyDevice, user: str = "alice") -> None:
    made = await factors.made_passkey(
        user, Secret(device.make(await factors.passkey_options(user, "s", new=True))), holder="s"
    )
    record = FactorRecord(
        f"key of {user}",
        user,
        FactorKind.PASSKEY,
        "",
        1.0,
        confirmed_at=1.0,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
    )
    async with store.transaction() as transaction:
        await transaction.factors.add(record)
        await transaction.commit()


async def present(factors: SecondFactors, code: str = "", *, passkey: str = "", user: str = "alice") -> FactorKind:
    proof = FactorProof(Secret(code), Secret(passkey))
    return await factors.verify(user, proof, holder="s", address=ADDRESS)


async def test_a_code_is_accepted_once_by_all_servers_and_none_before_it(store: SqlStore, clock: Clock) -> None:
    one, other = server(store, clock), server(store, clock)
    app = await with_app(store, one)
    before, code = app.at(int(clock.now) - 30), app.at(int(clock.now))
    assert await present(one, f" {code[:3]} {code[3:]} ") is FactorKind.TOTP
    for factors in (one, other):
        for again in (code, before):
            with pytest.raises(FactorRejected) as refused:
                await present(factors, again)
            assert "used before" in refused.value.reason
    assert await present(other, app.at(int(clock.now) + 30)) is FactorKind.TOTP


async def test_of_equal_codes_at_two_servers_at_once_one_is_accepted(store: SqlStore, clock: Clock) -> None:
    one, other = server(store, clock), server(store, clock)
    code = (await with_app(store, one)).at(int(clock.now))
    results = await asyncio.gather(present(one, code), present(other, code), return_exceptions=True)
    assert sorted(type(each).__name__ for each in results) == ["FactorKind", "FactorRejected"]


async def test_codes_of_another_time_user_or_form_are_refused(store: SqlStore, clock: Clock) -> None:
    factors = server(store, clock, Throttle(lambda: 0.0, alone=True))
    app, others = await with_app(store, factors), await with_app(store, factors, "bob")
    now = int(clock.now)
    for code in (app.at(now - 60), app.at(now + 60), others.at(now), "cccc"):
        with pytest.raises(FactorRejected):
            await present(factors, code)
    assert not totp.is_code("١٢٣٤٥٦")
    assert not totp.is_code("1234567")


async def test_a_recovery_code_is_accepted_once_however_it_is_written(store: SqlStore, clock: Clock) -> None:
    one, other = server(store, clock), server(store, clock)
    await with_app(store, one)
    assert await present(one, " AA-AA ") is FactorKind.RECOVERY_CODE
    with pytest.raises(FactorRejected):
        await present(other, "aaaa")
    with pytest.raises(FactorRejected):
        await present(other, "bbbb", user="bob")
    assert await store.recovery_codes("alice") == 1
    assert await present(other, "bbbb") is FactorKind.RECOVERY_CODE


async def test_an_app_counts_only_when_it_is_confirmed_and_is_shown_again_until_then(
    store: SqlStore, clock: Clock
) -> None:
    factors = server(store, clock)
    app = await factors.started_app("alice")
    assert await factors.started_app("alice") == app
    code = pyotp.TOTP(app.secret.reveal()).at(int(clock.now))
    with pytest.raises(FactorRejected):
        await present(factors, code)
    assert factors.step_of(app, Secret(code)) == int(clock.now) // 30
    assert factors.step_of(app, Secret("00000")) is None
    clock.now += 900.0
    assert await factors.unconfirmed_app("alice") is None
    assert (await factors.started_app("alice")).factor_id != app.factor_id
    assert len(await store.factors("alice")) == 1


async def test_store_holds_secrets_sealed_and_another_key_opens_none(store: SqlStore, clock: Clock) -> None:
    factors = server(store, clock)
    app = await with_app(store, factors)
    (rows,) = await store._reader.rows(select(factor_tables.second_factors))
    assert app.secret not in repr(rows)
    elsewhere = SecondFactors(store, RULES, key=FactorKey(Secret("another key, of other characters")), clock=clock)
    with pytest.raises(FactorRejected):
        await present(elsewhere, app.at(int(clock.now)))
    assert await present(factors, app.at(int(clock.now))) is FactorKind.TOTP


def test_what_is_sealed_for_one_opens_for_no_other_and_unchanged_alone() -> None:
    sealed = KEY.seal(Secret("secret"), about="a alice")
    assert KEY.open(sealed, about="a alice") == Secret("secret")
    assert KEY.open(sealed, about="a bob") is None
    assert KEY.open(("A" if sealed[0] != "A" else "B") + sealed[1:], about="a alice") is None
    assert KEY.seal(Secret("secret"), about="a alice") != sealed


async def test_without_a_key_or_a_host_name_nothing_of_that_kind_begins(store: SqlStore) -> None:
    bare = SecondFactors(store)
    assert not bare.apps
    with pytest.raises(OperationRefused, match="factorKeyFile"):
        await bare.started_app("alice")
    with pytest.raises(OperationRefused, match="rpId"):
        await bare.passkey_options("alice", "s", new=True)


async def test_a_passkey_answers_each_challenge_once_and_for_its_own_holder(store: SqlStore, clock: Clock) -> None:
    one, other, device = server(store, clock), server(store, clock), PasskeyDevice()
    await with_passkey(store, one, device)
    answer = device.use(await one.passkey_options("alice", "s", new=False))
    assert await present(other, passkey=answer) is FactorKind.PASSKEY
    with pytest.raises(FactorRejected) as refused:
        await present(one, passkey=answer)
    assert "was used" in refused.value.reason
    foreign = device.use(await one.passkey_options("alice", "another session", new=False))
    with pytest.raises(FactorRejected):
        await present(one, passkey=foreign)
    late = device.use(await one.passkey_options("alice", "s", new=False))
    clock.now += 300.0
    with pytest.raises(FactorRejected):
        await present(one, passkey=late)


async def test_a_passkey_is_of_its_user_alone(store: SqlStore, clock: Clock) -> None:
    factors, device = server(store, clock), PasskeyDevice()
    await with_passkey(store, factors, device)
    answer = device.use(await factors.passkey_options("bob", "s", new=False))
    with pytest.raises(FactorRejected) as refused:
        await present(factors, passkey=answer, user="bob")
    assert "no passkey of the user" in refused.value.reason


async def test_few_challenges_wait_for_one_holder(store: SqlStore, clock: Clock) -> None:
    factors, device = server(store, clock), PasskeyDevice()
    first = await factors.passkey_options("alice", "s", new=True)
    for _ in range(8):
        clock.now += 1.0
        await factors.passkey_options("alice", "s", new=True)
    with pytest.raises(PasskeyRefused, match="challenge"):
        await factors.made_passkey("alice", Secret(device.make(first)), holder="s")


async def test_wrong_codes_wait_like_wrong_passwords_and_a_right_one_ends_that(store: SqlStore, clock: Clock) -> None:
    seconds = Clock()
    factors = server(store, clock, Throttle(seconds))
    app = await with_app(store, factors)
    for _ in range(FREE_FAILURES):
        with pytest.raises(FactorRejected):
            await present(factors, "cccc")
    with pytest.raises(FactorRejected) as refused:
        await present(factors, app.at(int(clock.now)))
    assert "throttled" in refused.value.reason
    seconds.now += 1.0
    assert await present(factors, app.at(int(clock.now))) is FactorKind.TOTP
    with pytest.raises(FactorRejected) as refused:
        await present(factors, "cccc")
    assert "throttled" not in refused.value.reason


async def test_wrong_codes_at_all_servers_wait_together(store: SqlStore, clock: Clock) -> None:
    servers = [
        SecondFactors(store, RULES, key=KEY, limits=SharedLimits(Throttle(alone=False), store.attempts), clock=clock)
        for _ in range(2)
    ]
    app = await with_app(store, servers[0])
    for number in range(FREE_FAILURES):
        with pytest.raises(FactorRejected):
            await present(servers[number % 2], "cccc")
    for factors in servers:
        with pytest.raises(FactorRejected) as refused:
            await present(factors, app.at(int(clock.now)))
        assert "throttled" in refused.value.reason


async def test_a_hundred_wrong_codes_in_a_row_lock_the_user(store: SqlStore, clock: Clock) -> None:
    seconds, locked = Clock(), []

    async def lock(user: str) -> None:
        locked.append(user)

    factors = server(store, clock, Throttle(seconds))
    factors.on_lockout(lock)
    await with_app(store, factors)
    for _ in range(FAILURES_TO_LOCK):
        seconds.now += 900.0
        with pytest.raises(FactorRejected):
            await present(factors, "cccc")
    assert locked == ["alice"]


async def test_unlocking_ends_the_wait_after_wrong_codes(store: SqlStore, clock: Clock) -> None:
    factors = server(store, clock, Throttle(lambda: 0.0))
    app = await with_app(store, factors)
    for _ in range(FREE_FAILURES):
        with pytest.raises(FactorRejected):
            await present(factors, "cccc")
    factors.clear_failures(["alice"])
    assert await present(factors, app.at(int(clock.now))) is FactorKind.TOTP


async def test_a_ticket_is_valid_for_five_minutes_and_ends_with_the_second_factor(
    store: SqlStore, clock: Clock
) -> None:
    one, other = server(store, clock), server(store, clock)
    app = await with_app(store, one)
    token = await one.begin(SIGN_IN)
    assert (await other.ticket(token)).sign_in.user_name == "alice"
    with pytest.raises(FactorRejected):
        await one.finish(token, FactorProof(Secret("cccc")), address=ADDRESS)
    proof = FactorProof(Secret(app.at(int(clock.now))))
    done = await other.finish(token, proof, address="10.0.0.2:1")
    assert (done.user_name, done.verified_id, done.factor, done.address) == ("alice", "c", "totp", "10.0.0.2:1")
    with pytest.raises(SessionEnded):
        await one.ticket(token)
    late = await one.begin(SIGN_IN)
    clock.now += 300.0
    with pytest.raises(SessionEnded):
        await one.ticket(late)
    (rows,) = await store._reader.rows(select(factor_tables.sign_in_tickets))
    assert late.reveal() not in repr(rows)


async def test_a_ticket_that_is_used_twice_at_once_begins_one_session(store: SqlStore, clock: Clock) -> None:
    factors = server(store, clock)
    await with_app(store, factors)
    token = await factors.begin(SIGN_IN)
    results = await asyncio.gather(
        *(factors.finish(token, FactorProof(Secret(code)), address=ADDRESS) for code in ("aaaa", "bbbb")),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in results) == ["SessionEnded", "SignIn"]


async def test_few_sign_ins_of_one_user_wait(store: SqlStore, clock: Clock) -> None:
    factors, tokens = server(store, clock), []
    for _ in range(9):
        clock.now += 1.0
        tokens.append(await factors.begin(SIGN_IN))
    with pytest.raises(SessionEnded):
        await factors.ticket(tokens[0])
    for token in tokens[1:]:
        await factors.ticket(token)


def test_recovery_codes_are_long_and_all_different() -> None:
    codes = recovery_codes.new_codes()
    assert len(set(codes)) == len(codes) == 10
    assert {len(code.replace("-", "")) for code in codes} == {16}
    assert recovery_codes.digest_of("alice", codes[0]) != recovery_codes.digest_of("bob", codes[0])


def test_who_must_have_one() -> None:
    root, boss = Principal("root", unrestricted=True), Principal("boss", frozenset({"admin"}))
    alice = Principal("alice", frozenset({"reader"}))
    required = {
        each: [user.user_name for user in (root, boss, alice) if SecondFactorRules(each).requires(user)]
        for each in RequiredOf
    }
    assert required == {
        RequiredOf.NOBODY: [],
        RequiredOf.ADMINISTRATORS: ["root", "boss"],
        RequiredOf.EVERYONE: ["root", "boss", "alice"],
    }
