"""Revocations on random servers: after each acknowledgement, no server accepts what was accepted before.

Each worker has a user, a role, an API key and a row policy of its own, so that it alone knows what it has changed. What
it revokes is used on every server first, so that all have it in their memory, is revoked on one of them, and is then
tried on every server. Readers ask for what the workers have at any time. Where the outcome of a change is not known,
the worker repeats it, or makes another one and looks which of the two states it is: it has to be one of them, on
every server.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count

from tests.replicas.holdings import Holdings
from tests.replicas.outcome import Outcome
from tests.replicas.probes import Abandoned, Ask, Probes
from tests.replicas.world import COLLECTION, World


class Worker:
    """Makes revocations, one after another."""

    def __init__(self, world: World, number: int, outcome: Outcome, seed: int) -> None:
        self._random = random.Random(f"{seed} {number}")
        self.probes = Probes(world, Holdings(number), outcome, self._random)
        self._outcome = outcome
        self._kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "password": self._revoke_password,
            "session": self._end_session,
            "key": self._revoke_key,
            "user": self._revoke_user,
            "binding": self._revoke_binding,
            "grant": self._revoke_grant,
            "policy": self._replace_policy,
            "tag": self._replace_tag,
        }

    async def revoke(self, kind: str) -> None:
        """Make one revocation of a kind, and count it.

        Raises:
            Abandoned: nobody knows what this worker has.
        """
        await self._kinds[kind]()
        self._outcome.made[kind] += 1

    def any_kind(self, *, passwords: float) -> str:
        """Return a kind at random.

        Args:
            passwords: the share of passwords and of sessions, which cost much more than the others.
        """
        if self._random.random() < passwords:
            return self._random.choice(("password", "session"))
        return self._random.choice([kind for kind in self._kinds if kind not in ("password", "session")])

    async def _revoke_password(self) -> None:
        probes = self.probes
        former = probes.held.values["password"].latest()
        await probes.everywhere(probes.ask_password, until_answered=True)
        await probes.change("password", value=f"New-password-{next(probes.held.numbers)}")
        await probes.everywhere(partial(probes.ask_password, password=former))

    async def _end_session(self) -> None:
        probes = self.probes
        await probes.begin_session()
        await probes.change("enabled", value=False)
        await probes.everywhere(probes.ask_session)
        await probes.change("enabled", value=True, counted=False)
        await probes.everywhere(probes.ask_session)

    async def _revoke_key(self) -> None:
        probes = self.probes
        await probes.create_second_key()
        await probes.everywhere(probes.ask_second_key, until_answered=True)
        await probes.change("second_key", value=False)
        await probes.everywhere(probes.ask_second_key)

    async def _revoke_user(self) -> None:
        await self._take_and_give("enabled", self.probes.ask_key)

    async def _revoke_binding(self) -> None:
        await self._take_and_give("bound", self.probes.ask_query)

    async def _revoke_grant(self) -> None:
        await self._take_and_give("granted", self.probes.ask_query)

    async def _take_and_give(self, name: str, ask: Ask) -> None:
        await self.probes.everywhere(ask, until_answered=True)
        await self.probes.change(name, value=False)
        await self.probes.everywhere(ask)
        await self.probes.change(name, value=True, counted=False)

    async def _replace_policy(self) -> None:
        await self._replace("policy")

    async def _replace_tag(self) -> None:
        await self._replace("tag")

    async def _replace(self, name: str) -> None:
        probes = self.probes
        await probes.everywhere(probes.ask_query, until_answered=True)
        await probes.change(name, value=next(probes.held.numbers))
        await probes.everywhere(probes.ask_query, until_answered=True)


class Staff:
    """All workers of a run, and readers beside them.

    Attributes:
        probes: of the workers that are at work.
    """

    def __init__(self, world: World, outcome: Outcome, *, seed: int, passwords: float = 0.05) -> None:
        """Set up without a worker.

        Args:
            world: the servers.
            outcome: takes what comes of it.
            seed: decides what is made where.
            passwords: the share of passwords and sessions among the revocations.
        """
        self._world = world
        self._outcome = outcome
        self._seed = seed
        self._passwords = passwords
        self._numbers = count(1)
        self.probes: list[Probes] = []

    async def protect(self) -> None:
        """Enable row policies on the collection."""
        await self._world.insist("kiteward/row_policies/enable", {"collectionName": COLLECTION})

    async def work(self, goes_on: Callable[[], bool]) -> None:
        """Make revocations, with one worker after another, for as long as this says so."""
        worker = await self._hired(goes_on)
        while worker is not None and goes_on():
            try:
                await worker.revoke(worker.any_kind(passwords=self._passwords))
            except Abandoned:
                self.probes.remove(worker.probes)
                worker = await self._hired(goes_on)

    async def read(self, number: int, goes_on: Callable[[], bool]) -> None:
        """Ask random servers for what random workers have, for as long as this says so."""
        chosen = random.Random(f"{self._seed} reader {number}")
        while goes_on():
            if self.probes:
                await chosen.choice(self.probes).ask_anything(chosen)
            await asyncio.sleep(chosen.random() / 20)

    async def ask_everything(self) -> None:
        """Ask every server for everything that is known, when nobody changes anything any more."""
        for each in self.probes:
            for ask in (each.ask_key, each.ask_query, each.ask_password, each.ask_second_key):
                await each.everywhere(ask, until_answered=True)

    async def _hired(self, goes_on: Callable[[], bool]) -> Worker | None:
        while goes_on():
            worker = Worker(self._world, next(self._numbers), self._outcome, self._seed)
            try:
                await worker.probes.prepare()
            except Abandoned:
                continue
            self.probes.append(worker.probes)
            return worker
        return None


async def revoke_many(
    world: World, number: int, *, seed: int, workers: int = 6, passwords: float = 0.05, minutes: float = 60.0
) -> Outcome:
    """Make so many revocations, several at a time, and return what came of it.

    Args:
        world: the servers.
        number: how many.
        seed: decides what is made where.
        workers: how many are made at a time.
        passwords: the share of passwords and sessions among them.
        minutes: none is begun after so many.
    """
    outcome = Outcome()
    deadline = time.monotonic() + 60 * minutes
    staff = Staff(world, outcome, seed=seed, passwords=passwords)
    await staff.protect()

    def goes_on() -> bool:
        return sum(outcome.made.values()) < number and time.monotonic() < deadline

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(staff.work(goes_on))
        group.create_task(staff.read(1, goes_on))
    return outcome
