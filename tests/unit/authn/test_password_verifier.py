"""One place verifies passwords: guessing reveals nothing, costs the same for everybody, and delays nobody else."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import pytest
from tests.support.gateway import SteppingClock

from kiteward.audit.writer import NullAuditSink
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.fair_queue import MOST_WAITING
from kiteward.authn.hashing import TESTING, HashingProfile, PasswordHasher
from kiteward.authn.password_verifier import LONGEST, OVERLOADED, THROTTLED
from kiteward.authn.throttle import FREE_FAILURES, FREE_REFUSALS, SOURCE_BURST, Throttle
from kiteward.authz.model import Role
from kiteward.domain.errors import PasswordRejected
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.store.sql import SqlStore

SOURCE = Path(__file__).parents[3] / "src" / "kiteward"
HOME, NEIGHBOUR, ELSEWHERE = "10.0.0.1:4000", "10.0.0.1:4001", "10.9.9.9:4000"


class ObservedHasher(PasswordHasher):
    """Holds verifications while the test wants, and takes note of what each was asked for."""

    def __init__(self) -> None:
        super().__init__(TESTING)
        self.asked: list[tuple[int, frozenset[str], int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def find(
        self, stored: Sequence[str], password: Secret, *, kinds: Iterable[str] = (), rounds: int = 1
    ) -> int | None:
        """Find, once `go_on` is set."""
        self.asked.append((len(stored), frozenset(kinds), rounds))
        await self.go_on.wait()
        return await super().find(stored, password, kinds=kinds, rounds=rounds)


@dataclass
class Entrance:
    """An authenticator on a real store, with a clock that does not advance."""

    store: SqlStore
    hasher: ObservedHasher = field(default_factory=ObservedHasher)
    clock: SteppingClock = field(default_factory=lambda: SteppingClock(0.0))

    def __post_init__(self) -> None:
        self.authenticator = Authenticator(self.store, self.hasher, throttle=Throttle(self.clock), clock=self.clock)
        self.policy_cache = PolicyCache(self.store, self.authenticator, Recorder(NullAuditSink()))

    async def user(self, name: str, stored: str = "") -> None:
        hashed = stored or await self.hasher.hash(Secret("Password-1"))
        async with self.policy_cache.change() as transaction:
            await transaction.users.add(name, hashed)

    async def come_in(self, password: str = "Password-1", user: str = "alice", address: str = HOME) -> str:
        """Sign in and return an empty text, or why that was refused."""
        try:
            await self.authenticator.authenticate(PasswordCredential(user, Secret(password)), address=address)
        except PasswordRejected as error:
            return error.reason
        return ""

    async def guess(self, times: int, user: str = "alice", address: str = NEIGHBOUR) -> None:
        for number in range(times):
            assert await self.come_in(f"guess-{number}", user, address)


@pytest.fixture
async def entrance(empty_path: Path) -> AsyncIterator[Entrance]:
    made = Entrance(await SqlStore.open(empty_path))
    await made.policy_cache.load()
    await made.user("alice")
    yield made
    await made.authenticator.close()
    await made.store.close()
    made.hasher.close()


def test_passwords_are_verified_nowhere_else() -> None:
    """But where root's stored password is compared with the default one and nobody presents any."""
    asks = re.compile(r"hasher\.(find|verify)\(")
    places = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if asks.search(path.read_text())}
    assert places == {"authn/password_verifier.py", "bootstrap/start_checks.py", "iam/first_steps.py"}


# Waits apply to cached passwords too

MANY = FREE_FAILURES + FREE_REFUSALS
"""Guesses after which they do."""


async def test_while_a_wait_lasts_a_right_guess_is_answered_like_a_wrong_one_though_its_user_is_in(
    entrance: Entrance,
) -> None:
    """Else the wait would delay everybody but who guesses right, as often as requests can be sent."""
    assert await entrance.come_in() == ""
    await entrance.guess(MANY)
    assert await entrance.come_in("guess", address=NEIGHBOUR) == await entrance.come_in(address=NEIGHBOUR) != ""
    entrance.clock.now += 1.0
    assert await entrance.come_in(address=NEIGHBOUR) == ""


async def test_many_guesses_at_once_are_not_compared_with_what_is_remembered(entrance: Entrance) -> None:
    assert await entrance.come_in() == ""
    entrance.hasher.go_on.clear()
    guesses = [asyncio.create_task(entrance.come_in(f"guess-{number}", address=NEIGHBOUR)) for number in range(MANY)]
    right = asyncio.create_task(entrance.come_in(address=NEIGHBOUR))
    await asyncio.sleep(0)
    entrance.hasher.go_on.set()
    assert await right
    assert all(await asyncio.gather(*guesses))


async def test_a_source_that_may_not_guess_does_not_learn_what_is_cached(entrance: Entrance) -> None:
    """Else a flood of ever new names would let its source guess, as fast as it can, at every signed-in user."""
    assert await entrance.come_in() == ""
    for number in range(SOURCE_BURST):
        await entrance.guess(1, user=f"user-{number}")
    assert await entrance.come_in("guess", address=NEIGHBOUR) == await entrance.come_in(address=NEIGHBOUR) != ""
    assert await entrance.come_in() == ""
    assert await entrance.come_in(address=ELSEWHERE) == ""
    entrance.clock.now += 1.0
    assert await entrance.come_in(address=NEIGHBOUR) == ""


async def test_a_guess_that_would_not_get_a_turn_is_not_compared_with_what_is_remembered(entrance: Entrance) -> None:
    assert await entrance.come_in() == ""
    entrance.hasher.go_on.clear()
    names = [f"user-{number}" for number in range(MOST_WAITING + 2 * entrance.hasher.workers)]
    flood = [asyncio.create_task(entrance.come_in("guess", name, NEIGHBOUR)) for name in names]
    await asyncio.sleep(0)
    for number in range(FREE_REFUSALS):
        assert await entrance.come_in(f"guess-{number}", address=NEIGHBOUR) in (OVERLOADED, THROTTLED)
    guess = asyncio.create_task(entrance.come_in("guess", address=NEIGHBOUR))
    right = asyncio.create_task(entrance.come_in(address=NEIGHBOUR))
    elsewhere = asyncio.create_task(entrance.come_in(address=ELSEWHERE))
    assert await guess == await right == OVERLOADED
    entrance.hasher.go_on.set()
    assert await elsewhere == ""
    assert all(await asyncio.gather(*flood))


async def test_a_password_that_is_remembered_ends_no_waits_of_others(entrance: Entrance) -> None:
    """A right one that is verified shows that the user is back; a program that repeats its call proves nothing."""
    assert await entrance.come_in() == ""
    await entrance.guess(FREE_FAILURES - 1)
    assert await entrance.come_in(address="10.0.0.1:4002") == ""
    await entrance.guess(1 + FREE_REFUSALS)
    assert await entrance.come_in(address="10.0.0.1:4003") == THROTTLED


async def test_who_came_in_by_a_connection_stays_in_on_it_while_others_guess(entrance: Entrance) -> None:
    assert await entrance.come_in() == ""
    await entrance.guess(MANY)
    assert await entrance.come_in() == ""
    assert await entrance.come_in(address=ELSEWHERE) == ""


async def test_a_few_wrong_passwords_delay_no_new_connection_of_a_signed_in_user(entrance: Entrance) -> None:
    assert await entrance.come_in() == ""
    await entrance.guess(MANY - 1)
    assert await entrance.come_in(address=NEIGHBOUR) == ""


async def test_a_connection_by_which_a_wrong_password_came_waits_like_a_new_one(entrance: Entrance) -> None:
    assert await entrance.come_in() == ""
    await entrance.guess(MANY)
    assert await entrance.come_in("guess")
    assert await entrance.come_in()


async def test_no_more_connections_are_remembered_than_the_capacity(entrance: Entrance) -> None:
    small = Authenticator(entrance.store, entrance.hasher, capacity=3)
    for port in range(10):
        credential = PasswordCredential("alice", Secret("Password-1"))
        await small.authenticate(credential, address=f"10.0.0.1:{port}")
    assert len(small._passwords._let_in) == 3


# What resets the failure count


@pytest.mark.parametrize("change", ["password", "unlock", "enable", "describe", "bind", "end former", "disable"])
async def test_only_a_new_password_unlocking_and_enabling_reset_the_failure_count(
    entrance: Entrance, change: str
) -> None:
    hashed = await entrance.hasher.hash(Secret("Password-1"))
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.set_password("alice", hashed, former_until=9.0)
        if change == "unlock":
            await transaction.users.lock("alice")
        if change == "enable":
            await transaction.users.enable("alice", False)
    await entrance.guess(FREE_FAILURES)
    async with entrance.policy_cache.change() as transaction:
        match change:
            case "password":
                await transaction.users.set_password("alice", hashed)
            case "unlock":
                await transaction.users.unlock("alice")
            case "enable":
                await transaction.users.enable("alice", True)
            case "describe":
                await transaction.users.describe("alice", "something else")
            case "end former":
                await transaction.users.end_previous_secret("alice")
            case "disable":
                await transaction.users.enable("alice", False)
            case _:
                await transaction.roles.put(Role("reader"))
                await transaction.roles.bind("alice", "reader")
    forgiven = await entrance.come_in(address=NEIGHBOUR) == ""
    assert forgiven == (change in {"password", "unlock", "enable"})


async def test_what_is_loaded_again_resets_no_failure_count(entrance: Entrance) -> None:
    await entrance.guess(FREE_FAILURES)
    entrance.authenticator.forget_all()
    assert await entrance.come_in(address=NEIGHBOUR)


# A share for each source


@pytest.mark.parametrize("network", ["10.6.{}.6:1", "[2001:db8:{}::1]:1"])
async def test_a_quiet_source_signs_in_while_eight_others_guess_at_ever_new_names(
    entrance: Entrance, network: str
) -> None:
    entrance.hasher.go_on.clear()
    flood = [
        asyncio.create_task(entrance.come_in("guess", f"user-{source}-{number}", network.format(source)))
        for number in range(SOURCE_BURST)
        for source in range(8)
    ]
    assert len(flood) > MOST_WAITING
    await asyncio.sleep(0)
    quiet = asyncio.create_task(entrance.come_in(address=ELSEWHERE))
    await asyncio.sleep(0)
    entrance.hasher.go_on.set()
    assert await quiet == ""
    assert len(entrance.hasher.asked) < MOST_WAITING // 4  # long before the flood has been served
    assert all(await asyncio.gather(*flood))


async def test_what_waits_is_bounded_in_bytes(entrance: Entrance) -> None:
    assert await entrance.come_in("a" * LONGEST) == "longer than any user name and password"
    with pytest.raises(PasswordRejected):
        await entrance.authenticator.verify_password(PasswordCredential("alice", Secret("a" * LONGEST)), address=HOME)
    assert entrance.hasher.asked == []
    assert await entrance.come_in("a" * (LONGEST - 100)) == "wrong password"


async def test_addresses_of_one_ipv6_network_are_one_source(entrance: Entrance) -> None:
    for number in range(SOURCE_BURST):
        await entrance.guess(1, f"user-{number}", f"[2001:db8:1:2::{number:x}]:1")
    assert await entrance.come_in(address="[2001:db8:1:2:ffff::1]:1") == "throttled after wrong passwords"
    assert await entrance.come_in(address="[2001:db8:1:3::1]:1") == ""


# The same work for everybody


async def test_a_wrong_password_costs_the_same_for_users_brought_from_milvus(entrance: Entrance) -> None:
    await entrance.user("brought", bcrypt.hashpw(b"Password-1", bcrypt.gensalt(4)).decode())
    other = PasswordHasher(HashingProfile(memory_kib=16, passes=1, lanes=1))
    await entrance.user("older", await other.hash(Secret("Password-1")))
    other.close()
    for user in ("brought", "alice", "older", "nobody"):
        await entrance.guess(1, user)
    assert {(kinds, rounds) for _, kinds, rounds in entrance.hasher.asked} == {entrance.hasher.asked[0][1:]}
    assert len(entrance.hasher.asked[0][1]) == 3
    for user in ("brought", "older"):
        assert await entrance.come_in(user=user) == ""


async def test_a_wrong_password_costs_the_same_while_a_previous_one_is_good(entrance: Entrance) -> None:
    hashed = await entrance.hasher.hash(Secret("Password-2"))
    async with entrance.policy_cache.change() as transaction:
        await transaction.users.add("bob", hashed)
        await transaction.users.set_password("bob", hashed, former_until=60.0)
    rounds = []
    for now in (0.0, 60.0):
        entrance.clock.now = now
        for user in ("bob", "alice", "nobody"):
            entrance.hasher.asked.clear()
            await entrance.guess(1, user)
            rounds.append(entrance.hasher.asked[0][2])
    assert rounds == [2, 2, 2, 1, 1, 1]


@pytest.mark.parametrize("closed", ["disabled", "locked"])
async def test_a_user_who_may_not_sign_in_is_looked_at_like_one_that_does_not_exist(
    entrance: Entrance, closed: str
) -> None:
    async with entrance.policy_cache.change() as transaction:
        if closed == "disabled":
            await transaction.users.enable("alice", False)
        else:
            await transaction.users.lock("alice")
    assert await entrance.come_in()
    assert await entrance.come_in(user="nobody")
    assert entrance.hasher.asked[0] == entrance.hasher.asked[1]
