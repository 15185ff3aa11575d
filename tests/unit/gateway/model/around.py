"""Changes of the world around us: what every name has named at every time, and an engine that takes a while."""

import asyncio
import copy
import random
from collections.abc import Iterator, Mapping
from typing import Final

from tests.support.shared_engine import SharedEngine
from tests.unit.gateway.model.world import OK, World

COLLECTIONS: Final = ("c1", "c2", "c3", "c4")
ALIASES: Final = ("a1", "a2", "c1", "c2")
"""Some are collections at other times."""

DATABASES: Final = ("default", "db1")
NAMES: Final = tuple(dict.fromkeys((*COLLECTIONS, *ALIASES)))


class Timeline:
    """A world that others change, with all that it was before.

    Attributes:
        now: the time in seconds, which is the clock of what is tested.
    """

    def __init__(self, engine: SharedEngine, seed: int) -> None:
        self.now = 0.0
        self._random = random.Random(seed)
        self._engine = engine
        self._world = World()
        for database in DATABASES[1:]:
            self._world.create_database(database)
            engine.create(database=database)
        self._past: list[tuple[float, World]] = [(0.0, copy.deepcopy(self._world))]

    def pass_time(self, most: float) -> None:
        """Let some time pass."""
        self.now += self._random.random() * most

    def change(self) -> None:
        """Change something, in the world and in the engine."""
        draw, world, around = self._random.choice, self._world, self._engine.around
        database, name, alias = draw(DATABASES), draw(COLLECTIONS), draw(ALIASES)
        match self._random.randrange(9):
            case 0 if world.create_database(database) == OK:
                self._engine.create(database=database)
            case 1 if database != "default" and world.drop_database(database) == OK:
                around.drop_database(database)
            case 2 | 3 if world.create_collection(database, name) == OK:
                around.create(name, database)
            case 4 if world.drop_collection(database, name) == OK:
                around.drop(name, database)
            case 5 if world.rename_collection((database, name), (database, new := draw(COLLECTIONS))) == OK:
                around.rename(name, new, database)
            case 6 if world.create_alias(database, alias, name) == OK:
                around.alias(alias, name, database)
            case 7 if world.alter_alias(database, alias, name) == OK:
                around.alias(alias, name, database)
            case 8 if database in world.databases and alias in world.databases[database].aliases:
                world.drop_alias(database, alias)
                around.drop_alias(alias, database)
        self._past.append((self.now, copy.deepcopy(world)))

    def named(self, database: str, name: str, *, since: float, until: float) -> frozenset[str]:
        """Return every collection that a name has named between two times, the name itself where it was no alias."""
        return frozenset(world.resolve(database, name) for world in self._worlds(since, until))

    def has_had(self, database: str, *, since: float, until: float) -> frozenset[bool]:
        """Return whether there was a database between two times: either or both."""
        return frozenset(database in world.databases for world in self._worlds(since, until))

    def _worlds(self, since: float, until: float) -> Iterator[World]:
        ends = [begin for begin, _ in self._past[1:]] + [float("inf")]
        for (begin, world), end in zip(self._past, ends, strict=True):
            if begin <= until and end >= since:
                yield world


class SlowEngine(SharedEngine):
    """An engine whose requests and responses are on their way for a while.

    Attributes:
        forwarded: the expression of each query -> its database, its collection, and when it was sent.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.timeline = Timeline(self, seed)
        self.forwarded: dict[str, tuple[str, str, float]] = {}
        self._delays = random.Random(seed)

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        sent = self.timeline.now
        await self._wait()
        answer = await super().call(method, payload, metadata=metadata, timeout=timeout)
        called = self.calls[-1]
        if method == "Query":
            self.forwarded[called.request.expr] = (called.request.db_name, called.request.collection_name, sent)
        await self._wait()
        return answer

    async def _wait(self) -> None:
        for _ in range(self._delays.randrange(6)):
            await asyncio.sleep(0)
