"""Changes and questions of one worker: what servers answer is held against what it may be."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from tests.replicas.clients import NoAnswer, NotSent
from tests.replicas.holdings import Holdings
from tests.replicas.model import Attempt, Register
from tests.replicas.outcome import Outcome
from tests.replicas.world import NOT_AUTHENTICATED, TIMEOUT, UNAVAILABLE, Rejected, Replica, Unavailable, Unknown, World

_SENT: Final = re.compile(r"policy (\d+)\D+tag (\d+)")
_NEEDED: Final = ("enabled", "bound", "granted")
"""What must be true for a query."""

_NO_ANSWER: Final = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
_PAUSE: Final = 0.05
_LOOKING: Final = 120.0
"""Seconds within which some server has to answer."""

Ask = Callable[[Replica], Awaitable[Any]]


class Abandoned(Exception):
    """Nobody knows what a worker has: a server may still make a change of it, at any time."""


class Probes:
    """Changes what a worker has, and asks servers for it.

    An `ask_...` method returns what the server says, or None if it does not answer the question now.
    """

    def __init__(self, world: World, held: Holdings, outcome: Outcome, chosen: random.Random) -> None:
        self._world = world
        self._replicas = world.replicas
        self.held = held
        self._outcome = outcome
        self._random = chosen
        self._refusal = ""

    async def prepare(self) -> None:
        """Make what the worker has.

        Raises:
            Abandoned: an attempt may still be carried out.
        """
        for path, body in self.held.preparations():
            await self._acknowledged(path, body)
        self.held.key = (await self._acknowledged("kiteward/api_keys/create", {"userName": self.held.user}))["key"]

    # Changes

    async def change(self, name: str, *, value: Any, counted: bool = True) -> None:
        """Change a value until that is acknowledged, or found to be made.

        Args:
            name: which one.
            value: the new one.
            counted: whether it is a revocation, whose time is measured.

        Raises:
            Abandoned: an attempt may still be carried out.
        """
        register, unknown, repeated = self.held.register(name), False, False
        said: list[str] = []
        while True:
            attempt = register.attempt(value)
            ended = self._note_session_end(name, value)
            began = time.perf_counter()
            try:
                await self._random.choice(self._replicas).data(*self.held.request(name, value))
            except Unavailable as error:
                self._outcome.unavailable += 1
                said.append(str(error))
            except Unknown as error:
                unknown = True
                self._note_unknown(error)
            except Rejected as error:
                if not repeated:
                    self._outcome.fault("rejected", str(error))
            else:
                register.settle(attempt, made=True)
                if ended is not None:
                    self.held.live_session.settle(ended, made=True)
                if counted and not repeated:
                    self._outcome.seconds.append(time.perf_counter() - began)
                return
            repeated = True
            await asyncio.sleep(_PAUSE)
            if not self._is_repeated(name, unknown=unknown) and await self._was_made(
                name, value, None if unknown else said
            ):
                return

    async def create_second_key(self) -> None:
        """Create an API key that will be revoked. One whose creation is not known is left behind: nobody has it."""
        created = await self._acknowledged("kiteward/api_keys/create", {"userName": self.held.user})
        self.held.second_key, self.held.second_key_id = created["key"], created["keyId"]
        self.held.second.settle(self.held.second.attempt(True), made=True)

    async def settle(self) -> None:
        """Make a change that is acknowledged: everything before it is made by then, or never will be.

        Raises:
            Abandoned: an attempt may still be carried out.
        """
        register = self.held.values["tag"]
        while True:
            value = next(self.held.numbers)
            attempt = register.attempt(value)
            try:
                await self._random.choice(self._replicas).data(*self.held.request("tag", value))
            except Unavailable:
                self._outcome.unavailable += 1
            except Unknown as error:
                self._note_unknown(error)
                self._outcome.resolved["replaced"] += 1
            else:
                register.settle(attempt, made=True)
                return
            await asyncio.sleep(_PAUSE)

    def _is_repeated(self, name: str, *, unknown: bool) -> bool:
        """Return whether a change is sent again at once, without a look whether it was made."""
        if name != "tag" and (name == "second_key" or self._random.random() < 1 / 2):
            return False
        if unknown:
            self._outcome.resolved["repeated"] += 1
        return True

    async def _was_made(self, name: str, value: Any, refusals: Sequence[str] | None) -> bool:
        """Return whether a change was made, as all servers say after another one was acknowledged.

        Args:
            name: of the value.
            value: what it would be.
            refusals: what the servers said that were asked; None where one of them did not know the outcome.
        """
        await self.settle()
        found = await self._look(name, value)
        self.held.register(name).resolve(found)
        made = bool(found == value)
        if refusals is None:
            self._outcome.resolved["made" if made else "not made"] += 1
        elif made:
            attempts = self.held.register(name).recent()
            self._outcome.fault(
                "made and refused",
                f"{name} of {self.held.user} is {value} after {refusals}: {attempts}; {self._refusal}",
            )
        return made

    async def _look(self, name: str, value: Any) -> Any:
        """Return what all servers that answer say that a value is."""
        questions: Mapping[str, Ask] = {
            "password": partial(self._look_at_password, value),
            "enabled": self.ask_key,
            "second_key": self.ask_second_key,
            "bound": self._look_at_query,
            "granted": self._look_at_query,
            "policy": self._look_at_policy,
        }
        deadline = time.monotonic() + _LOOKING
        while time.monotonic() < deadline:
            answers = [each for each in await asyncio.gather(*map(questions[name], self._replicas)) if each is not None]
            if answers:
                if any(each != answers[0] for each in answers):
                    self._outcome.fault("servers differ", f"{name} of {self.held.user} is {answers}")
                return answers[0]
            await asyncio.sleep(_PAUSE)
        self._outcome.fault("not back", f"no server answers within {_LOOKING} s")
        raise self._abandoned()

    async def _acknowledged(self, path: str, body: dict[str, Any]) -> Any:
        """Create something, again where that was not known; return None if a repetition says that it is there."""
        unknown = False
        while True:
            try:
                return await self._random.choice(self._replicas).data(path, body)
            except Unavailable:
                self._outcome.unavailable += 1
            except Unknown as error:
                unknown = True
                self._note_unknown(error)
                self._outcome.resolved["repeated"] += 1
            except Rejected as error:
                if unknown:
                    return None
                self._outcome.fault("rejected", str(error))
                raise self._abandoned() from None
            await asyncio.sleep(_PAUSE)

    def _note_unknown(self, error: Unknown) -> None:
        self._outcome.unknown[error.why] += 1
        if error.late:
            raise self._abandoned()

    def _abandoned(self) -> Abandoned:
        self.held.abandoned = True
        self._outcome.abandoned += 1
        return Abandoned(self.held.user)

    def _note_session_end(self, name: str, value: Any) -> Attempt[bool] | None:
        """A session ends with the password, and when its user is disabled; it may have ended before."""
        ends = name == "password" or (name == "enabled" and not value)
        return self.held.live_session.attempt(False) if ends and self.held.session else None

    # Questions

    async def everywhere(self, ask: Ask, *, until_answered: bool = False) -> None:
        """Ask every server at once, and until each of them has answered if that is required."""

        async def asked(replica: Replica) -> None:
            deadline = time.monotonic() + _LOOKING
            while await ask(replica) is None and until_answered and time.monotonic() < deadline:
                await asyncio.sleep(_PAUSE)

        await asyncio.gather(*map(asked, self._replicas))

    async def ask_anything(self, chosen: random.Random) -> None:
        """Ask a server at random for a value at random."""
        await chosen.choice((self.ask_query, self.ask_query, self.ask_key))(chosen.choice(self._replicas))

    async def ask_key(self, replica: Replica) -> bool | None:
        """Ask whether the API key is accepted."""
        return await self._whoami(replica, self.held.key, self.held.values["enabled"], True)

    async def ask_second_key(self, replica: Replica) -> bool | None:
        """Ask whether the second API key is accepted."""
        return await self._whoami(replica, self.held.second_key, self.held.second, True)

    async def ask_password(self, replica: Replica, password: str | None = None) -> bool | None:
        """Ask whether a password is accepted; without one, whether the latest is."""
        register = self.held.values["password"]
        shown = register.latest() if password is None else password
        return await self._whoami(replica, f"{self.held.user}:{shown}", register, shown)

    async def begin_session(self) -> None:
        """Sign in to the console of a server at random, and keep the cookie; without one if that is not available."""
        self.held.session_at = self._random.randrange(len(self._replicas))
        place = self._replicas[self.held.session_at]
        self.held.session = await place.sign_in(self.held.user, self.held.values["password"].latest())
        self.held.live_session.settle(self.held.live_session.attempt(bool(self.held.session)), made=True)

    async def ask_session(self, replica: Replica) -> bool | None:
        """Ask the server with the session whether it goes on. It may end at any time, as when the server is killed."""
        if not self.held.session or replica is not self._replicas[self.held.session_at]:
            return False
        sent = time.monotonic()
        alive = await replica.is_signed_in(self.held.session)
        self._outcome.reads += 1
        if alive and True not in self.held.live_session.possible(sent, time.monotonic()):
            self._outcome.fault("stale", f"{replica.name} accepts a session of {self.held.user} that has ended")
        return alive

    async def _whoami(self, replica: Replica, credential: str, register: Register[Any], needed: Any) -> bool | None:
        """Ask who has a credential, which is accepted where a value is the one that is needed."""
        sent = time.monotonic()
        try:
            answer = await replica.ask("kiteward/whoami/describe", by=credential)
        except (NotSent, NoAnswer):
            self._outcome.unavailable += 1
            return None
        possible = register.possible(sent, time.monotonic())
        if answer["code"] in (UNAVAILABLE, TIMEOUT):
            self._outcome.unavailable += 1
            return None
        self._outcome.reads += 1
        accepted = bool(answer["code"] == 0)
        if accepted and needed not in possible:
            self._outcome.fault("stale", f"{replica.name} accepts a credential of {self.held.user}: {possible}")
        elif not accepted and (possible == [needed] or answer["code"] != NOT_AUTHENTICATED):
            self._outcome.fault("refused", f"{replica.name} answers {answer} to {self.held.user}: {possible}")
        return accepted

    async def ask_query(self, replica: Replica) -> tuple[int, int] | bool | None:
        """Query the collection: return the numbers of policy and tag in the filter, or False if that is refused."""
        marker, sent = next(self.held.numbers), time.monotonic()
        refusal = await replica.query(marker, by=self.held.key)
        expression, received = self._world.filter_of(marker), time.monotonic()
        if expression is None and refusal.startswith(_NO_ANSWER):
            self._outcome.unavailable += 1
            return None
        self._outcome.reads += 1
        possible = {name: each.possible(sent, received) for name, each in self.held.values.items()}
        asked = f"{replica.name}, asked by {self.held.user} {possible}"
        if expression is None:
            if not refusal or all(possible[name] == [True] for name in _NEEDED):
                self._outcome.fault("refused", f"{asked} sends no query: {refusal}")
            self._refusal = refusal
            return False
        found = _SENT.search(expression)
        policy, tag = (int(found[1]), int(found[2])) if found else (0, 0)
        if policy not in possible["policy"] or tag not in possible["tag"]:
            self._outcome.fault("stale", f"{asked} sends {expression}")
        elif not all(True in possible[name] for name in _NEEDED):
            self._outcome.fault("stale", f"{asked} sends a query")
        return policy, tag

    async def _look_at_query(self, replica: Replica) -> bool | None:
        answer = await self.ask_query(replica)
        return None if answer is None else answer is not False

    async def _look_at_policy(self, replica: Replica) -> int | None:
        answer = await self.ask_query(replica)
        return answer[0] if isinstance(answer, tuple) else None

    async def _look_at_password(self, value: str, replica: Replica) -> str | None:
        answer = await self.ask_password(replica, value)
        return None if answer is None else value if answer else "another"
