"""Guessing is limited over all servers that share a store: spreading gains nothing, and success costs no write."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from kiteward.audit.writer import NullAuditSink
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authn.password_verifier import THROTTLED
from kiteward.authn.shared_throttle import RULES
from kiteward.authn.throttle import FAILURES_TO_LOCK, FREE_FAILURES
from kiteward.domain.errors import PasswordRejected, StoreUnavailable
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.store.base import Attempts
from kiteward.store.records import AttemptsHeld
from kiteward.store.sign_in_failures import AttemptRules
from kiteward.store.sql import SqlStore

HOME, ELSEWHERE = "10.0.0.1:4000", "10.9.9.9:4000"
RIGHT = "Password-1"


@dataclass
class Counted:
    """The attempts of a store, which can be away; every call is counted.

    Attributes:
        calls: what was called.
        away: the calls that fail.
        go_on: attempts begin and end only while it is set.
    """

    attempts: Attempts
    calls: list[str] = field(default_factory=list)
    away: frozenset[str] = frozenset()
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    async def begin(self, user: str, source: str, rules: AttemptRules) -> AttemptsHeld:
        await self._called("begin")
        return await self.attempts.begin(user, source, rules)

    async def end(self, user: str, source: str, rules: AttemptRules, *, right: bool | None) -> int:
        await self._called("end")
        return await self.attempts.end(user, source, rules, right=right)

    async def expire(self, rules: AttemptRules) -> None:
        await self.attempts.expire(rules)

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        await self.go_on.wait()
        if name in self.away:
            raise StoreUnavailable("away")


class Server:
    """One of the servers on a store."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.hasher = PasswordHasher(TESTING)
        self.counted = Counted(store.attempts)
        self.authenticator = Authenticator(store, self.hasher, attempts=self.counted)
        self.policy_cache = PolicyCache(store, self.authenticator, Recorder(NullAuditSink()))

    async def come_in(self, password: str = RIGHT, user: str = "alice", address: str = HOME) -> str:
        """Sign in and return an empty text, or why that was refused."""
        try:
            await self.authenticator.authenticate(PasswordCredential(user, Secret(password)), address=address)
        except PasswordRejected as error:
            return error.reason
        return ""

    async def guess(self, times: int, address: str = HOME) -> list[str]:
        return [await self.come_in(f"guess-{number}", address=address) for number in range(times)]


@pytest.fixture
async def servers(empty_path: Path) -> AsyncIterator[list[Server]]:
    store = await SqlStore.open(empty_path)
    made = [Server(store) for _ in range(3)]
    async with made[0].policy_cache.change() as transaction:
        await transaction.users.add("alice", await made[0].hasher.hash(Secret(RIGHT)))
    yield made
    for server in made:
        await server.authenticator.close()
        server.hasher.close()
    await store.close()


async def test_failures_at_all_servers_count_together(servers: list[Server]) -> None:
    for number in range(FREE_FAILURES):
        assert await servers[number % 3].come_in(f"guess-{number}") == "wrong password"
    assert [await server.come_in() for server in servers] == 3 * [THROTTLED]
    assert [await server.come_in(address=ELSEWHERE) for server in servers] == 3 * [""]


async def test_simultaneous_guesses_at_all_servers_are_verified_as_often_as_at_one(servers: list[Server]) -> None:
    guesses = [servers[number % 3].come_in(f"guess-{number}") for number in range(9)]
    answers = await asyncio.gather(*guesses, *(server.come_in() for server in servers))
    # A right password may be among the first ones; none is after them.
    assert answers.count("wrong password") <= FREE_FAILURES
    assert await servers[0].come_in() == await servers[1].come_in() == THROTTLED


async def test_right_password_presented_everywhere_at_once_is_accepted_everywhere(servers: list[Server]) -> None:
    many = [Server(servers[0].store) for _ in range(2 * FREE_FAILURES)]
    assert await asyncio.gather(*(server.come_in() for server in many)) == len(many) * [""]
    for server in many:
        await server.authenticator.close()
        server.hasher.close()


async def test_cached_password_is_guessed_once_at_a_server_that_does_not_know_of_a_wait(servers: list[Server]) -> None:
    one, two, _ = servers
    assert await two.come_in(address=ELSEWHERE) == ""
    await one.guess(FREE_FAILURES)
    assert await two.come_in("guess") == THROTTLED
    assert await two.come_in() == THROTTLED
    assert await two.come_in(address=ELSEWHERE) == ""


async def test_many_guesses_at_once_are_not_compared_with_what_is_cached(servers: list[Server]) -> None:
    one, two, _ = servers
    assert await two.come_in(address=ELSEWHERE) == ""
    await one.guess(FREE_FAILURES)
    two.counted.go_on.clear()
    guess = asyncio.create_task(two.come_in("guess"))
    while "begin" not in two.counted.calls[2:]:
        await asyncio.sleep(0)
    right = asyncio.create_task(two.come_in())
    await asyncio.sleep(0)
    two.counted.go_on.set()
    assert (await guess, await right) == (THROTTLED, THROTTLED)


async def test_password_that_is_cached_costs_no_call_of_the_store(servers: list[Server]) -> None:
    one, _, _ = servers
    for _ in range(5):
        assert await one.come_in() == ""
    assert one.counted.calls == ["begin", "end"]


async def test_refused_attempt_costs_no_further_call_while_the_wait_lasts(servers: list[Server]) -> None:
    one, two, _ = servers
    long = replace(RULES, waits=(900.0,))
    for _ in range(FREE_FAILURES):
        await one.store.attempts.begin("alice", "10.0.0.1", long)
        await one.store.attempts.end("alice", "10.0.0.1", long, right=False)
    assert await two.guess(5) == 5 * [THROTTLED]
    assert two.counted.calls == ["begin"]


async def test_many_failures_in_a_row_at_any_servers_lock_the_user(servers: list[Server]) -> None:
    for number in range(FAILURES_TO_LOCK):
        source = f"10.{number // 100}.{number % 100}.1:80"
        assert await servers[number % 3].come_in("guess", address=source) == "wrong password"
    for server in servers:
        await server.authenticator.close()
    user = await servers[0].store.user("alice")
    assert user is not None
    assert user.locked_at is not None


async def test_right_password_at_one_server_ends_what_the_others_have_counted(servers: list[Server]) -> None:
    one, two, three = servers
    await one.guess(2)
    await two.guess(2)
    assert await three.come_in() == ""
    assert await one.guess(FREE_FAILURES - 1) == (FREE_FAILURES - 1) * ["wrong password"]
    assert await two.come_in() == ""


@pytest.mark.parametrize("away", ["begin", "end"])
@pytest.mark.parametrize("password", [RIGHT, "wrong"])
async def test_while_nothing_can_be_counted_nobody_gets_to_know_whether_a_password_is_right(
    away: str, password: str, servers: list[Server]
) -> None:
    one, *_ = servers
    one.counted.away = frozenset({away})
    with pytest.raises(StoreUnavailable):
        await one.authenticator.authenticate(PasswordCredential("alice", Secret(password)), address=HOME)
    one.counted.away = frozenset()
    assert await one.come_in("other") == "wrong password"


async def test_change_that_forgives_ends_waits_at_every_server_that_applies_it(servers: list[Server]) -> None:
    for server in servers:
        await server.policy_cache.load()
    await servers[0].guess(FREE_FAILURES)
    assert [await server.come_in() for server in servers] == 3 * [THROTTLED]
    hashed = await servers[0].hasher.hash(Secret("Password-2"))
    async with servers[1].policy_cache.change() as transaction:
        await transaction.users.set_password("alice", hashed)
    for server in servers:
        await server.policy_cache.follow_others()
    assert [await server.come_in("Password-2") for server in servers] == 3 * [""]
