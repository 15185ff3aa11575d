"""Random faults: each function makes one, and returns when what it broke is mended."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.replicas.faults.servers import Clock, FailingWorld, Server
from tests.replicas.outcome import Outcome
from tests.replicas.world import COLLECTION, Rejected, Unavailable, Unknown

DAY: Final = 86_400
BACK_WITHIN: Final = 180.0
"""Seconds within which everything has to work again; other faults go on meanwhile, on a machine that is busy."""

CANARY: Final = "canary"

_CLOCK: Final = "wall clock of a server moved"
_MOST_CLOCKS: Final = 0.15
"""The share of all faults that concern clocks, which cost nothing."""


@dataclass(eq=False)
class Injector:
    """Makes faults of several classes side by side, each class one after another.

    Attributes:
        world: what fails.
        number: how many in all.
        seed: decides which.
        made: class -> how many were made.
        slowest: seconds until a change was acknowledged after a fault of the database, of the slowest one.
        outcome: takes what does not come back.
        deadline: none is made after this time.
    """

    world: FailingWorld
    number: int
    seed: int
    outcome: Outcome
    deadline: float
    made: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def goes_on(self) -> bool:
        """Return whether there are more faults to make."""
        return self.made.total() < self.number and time.monotonic() < self.deadline

    async def prepare(self) -> None:
        """Create the user with which it is found out whether changes are acknowledged again."""
        user = {"userName": CANARY, "password": "Some-password-1"}
        await self.world.insist("kiteward/users/create", user)

    async def run(self) -> None:
        """Make all faults, and wait until everything works again."""
        async with asyncio.TaskGroup() as group:
            for place, lane in enumerate((self._databases, self._servers, self._connections, self._clocks)):
                group.create_task(lane(random.Random(f"{self.seed} {place}")))
        await self._all_back()

    # The database servers

    async def _databases(self, chosen: random.Random) -> None:
        faults: dict[str, Callable[[random.Random], Awaitable[None]]] = {
            "primary killed and restarted": self._restart_primary,
            "failed over, the former primary rewound": self._fail_over_and_rewind,
            "failed over, the standby copied again": self._fail_over_and_copy,
            "standby killed and restarted": self._restart_standby,
            "failed over after the primary was alone": self._fail_over_after_being_alone,
        }
        while self.goes_on():
            await asyncio.sleep(6 * chosen.random())  # changes are acknowledged in between, or nothing could be lost
            kind = chosen.choice(list(faults))
            await faults[kind](chosen)
            self.made[kind] += 1
            await self._change_is_acknowledged()

    async def _restart_primary(self, chosen: random.Random) -> None:
        pair = self.world.pair
        await asyncio.to_thread(pair.kill)
        await asyncio.sleep(chosen.random())
        await asyncio.to_thread(pair.primary.start_again)
        await asyncio.to_thread(pair.await_standby)

    async def _restart_standby(self, chosen: random.Random) -> None:
        pair = self.world.pair
        await asyncio.to_thread(pair.standby.kill)
        await asyncio.sleep(3 * chosen.random())
        await asyncio.to_thread(pair.standby.start_again)
        await asyncio.to_thread(pair.await_standby)

    async def _fail_over_and_rewind(self, chosen: random.Random) -> None:
        await self._fail_over(chosen, rewind=True)

    async def _fail_over_and_copy(self, chosen: random.Random) -> None:
        await self._fail_over(chosen, rewind=False)

    async def _fail_over(self, chosen: random.Random, *, rewind: bool) -> None:
        pair = self.world.pair
        await asyncio.to_thread(pair.kill)
        await asyncio.sleep(chosen.random())
        await asyncio.to_thread(pair.promote)
        await asyncio.to_thread(pair.join_again, rewind=rewind)

    async def _fail_over_after_being_alone(self, chosen: random.Random) -> None:
        """Changes that were never acknowledged become visible when the primary is restarted, and are lost then."""
        pair = self.world.pair
        await asyncio.to_thread(pair.standby.kill)
        await asyncio.sleep(chosen.random())
        await asyncio.to_thread(pair.kill)
        await asyncio.to_thread(pair.primary.start_again)
        await asyncio.sleep(2 * chosen.random())
        await asyncio.to_thread(pair.kill)
        await asyncio.to_thread(pair.standby.start_again)
        await asyncio.to_thread(pair.promote)
        await asyncio.to_thread(pair.join_again, rewind=bool(chosen.getrandbits(1)))

    async def _change_is_acknowledged(self) -> None:
        """Wait until some server acknowledges a change."""
        began, number = time.monotonic(), 0
        while time.monotonic() < began + BACK_WITHIN:
            body = {"userName": CANARY, "tags": {"seen": str(number)}}
            number += 1
            with contextlib.suppress(Unavailable, Unknown, Rejected):
                await self.world.servers[number % len(self.world.servers)].data("kiteward/tags/set", body)
                self.slowest = max(self.slowest, time.monotonic() - began)
                return
            await asyncio.sleep(0.1)
        self.outcome.fault("not back", f"no change was acknowledged within {BACK_WITHIN} s of a fault of the database")

    # The servers

    async def _servers(self, chosen: random.Random) -> None:
        while self.goes_on():
            await asyncio.sleep(4 * chosen.random())
            one = chosen.choice(self.world.servers)
            if one.running.process.poll() is not None:
                self.outcome.fault("server ended", one.log()[-2000:])
                await one.start()
            elif chosen.random() < 1 / 2:
                await one.kill()
                await asyncio.sleep(chosen.random())
                await one.start()
                self.made["server killed and restarted"] += 1
            else:
                one.stop()
                await asyncio.sleep(5 * chosen.random())
                one.go_on()
                self.made["server stopped, and let go on"] += 1

    # Their connections

    async def _connections(self, chosen: random.Random) -> None:
        while self.goes_on():
            await asyncio.sleep(chosen.random())
            one = chosen.choice(self.world.servers)
            draw = chosen.random()
            if draw < 0.7:
                await self._cut_commit(one, chosen.choice(("before", "after", "after")))
            elif draw < 0.9:
                if sum(each.sever() for each in one.proxies):
                    self.made["all connections of a server broken"] += 1
            else:
                await self._cut_off(one, 5 * chosen.random())

    async def _cut_commit(self, one: Server, when: str) -> None:
        for each in one.proxies:
            each.ended.clear()
            each.armed = when
        waiting = [asyncio.create_task(each.ended.wait()) for each in one.proxies]
        done, _ = await asyncio.wait(waiting, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        for each in one.proxies:
            each.armed = None
        if done:
            self.made[f"connection broken {when} COMMIT was passed on"] += 1

    async def _cut_off(self, one: Server, seconds: float) -> None:
        for each in one.proxies:
            each.cut()
        await asyncio.sleep(seconds)
        for each in one.proxies:
            each.mend()
        self.made["server cut off from the database"] += 1

    # Their clocks

    async def _clocks(self, chosen: random.Random) -> None:
        while self.goes_on() and Clock.library() is not None:
            await asyncio.sleep(4 * chosen.random())
            if _MOST_CLOCKS * self.made.total() < self.made[_CLOCK]:
                continue  # of the others there are few, because the machine is busy
            furthest = chosen.choice((60, DAY))
            chosen.choice(self.world.servers).clock.move(chosen.randint(-furthest, furthest))
            self.made[_CLOCK] += 1

    async def _all_back(self) -> None:
        """Wait until every server says that it is ready, and makes a change for which it needs its turn among them."""
        deadline = time.monotonic() + BACK_WITHIN
        left: Sequence[Server] = self.world.servers
        while left and time.monotonic() < deadline:
            left = [each for each in left if not await self._is_ready(each)]
            await asyncio.sleep(0.1)
        for each in left:
            self.outcome.fault("not back", f"{each.name} is not ready within {BACK_WITHIN} s: {each.log()[-2000:]}")
        for each in self.world.servers:
            if not await self._changes_policies(each):
                self.outcome.fault("not back", f"{each.name} acknowledges no change of row policies")

    async def _changes_policies(self, one: Server) -> bool:
        deadline = time.monotonic() + BACK_WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(Unavailable, Unknown):
                await one.data("kiteward/row_policies/enable", {"collectionName": COLLECTION})
                return True
            await asyncio.sleep(0.1)
        return False

    async def _is_ready(self, one: Server) -> bool:
        with contextlib.suppress(OSError, TimeoutError, IndexError):
            return (await one.health())[0] == 200
        return False
