"""Writes that race, before an engine that stores: nobody ever writes a row that belongs to somebody else."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from tests.support.engine import EngineCall, FakeEngine
from tests.support.gateway import GatewayHarness
from tests.unit.gateway.row_access.collections import documents, keys, owners, payload
from tests.unit.gateway.row_access.protected import move_in, policy, protect

from kiteward.domain.errors import AccessDenied
from kiteward.filters import Dialect, matches, parse
from kiteward.milvus import messages

USERS = ("alice", "bob")
KEYS = (1, 2, 3)
WRITES = 250
"""Writes of one worker."""


class StoringEngine(FakeEngine):
    """An engine that stores the owners of rows, and takes its time.

    Attributes:
        owned: key -> owner.
        written: every write in its order: the owner before it, and after it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.owned: dict[int, str] = {}
        self.written: list[tuple[str | None, str | None]] = []
        self._random = Random(45)

    async def call(self, method: str, payload: bytes, *, metadata: Any, timeout: float | None) -> bytes:
        """Answer after some turns of the event loop, before and after it has acted."""
        acts: dict[str, Callable[[Any], bytes]] = {"Query": self._query, "Upsert": self._store, "Insert": self._store}
        act = acts.get(method)
        if act is None:
            return await super().call(method, payload, metadata=metadata, timeout=timeout)
        await self._pause()
        answer = act(EngineCall(method, payload, metadata, timeout).request)
        await self._pause()
        return answer

    async def _pause(self) -> None:
        for _ in range(self._random.randrange(4)):
            await asyncio.sleep(0)

    def _query(self, request: messages.QueryRequest) -> bytes:
        tree = parse(request.expr, Dialect.EMBEDDED)
        found = {key: owner for key, owner in self.owned.items() if matches(tree, {"id": key})}
        columns = [keys(*found), owners(*found.values())]
        return bytes(messages.QueryResults(fields_data=columns).SerializeToString())

    def _store(self, request: messages.UpsertRequest) -> bytes:
        by_name = {each.field_name: each.scalars for each in request.fields_data}
        for key, owner in zip(by_name["id"].long_data.data, by_name["owner"].string_data.data, strict=True):
            self.written.append((self.owned.get(key), owner))
            self.owned[key] = owner
        return bytes(messages.MutationResult().SerializeToString())


@pytest.fixture
def engine() -> FakeEngine:
    return StoringEngine()


@pytest.fixture(autouse=True)
async def docs(harness: GatewayHarness, engine: StoringEngine) -> None:
    await move_in(harness, engine)
    engine.answers["DescribeCollection"] = documents().SerializeToString()
    await protect(harness, policy(check_expr="owner in ['alice', 'bob']"))


@pytest.mark.parametrize("rpc", ["Upsert", "Insert"])
async def test_a_row_that_was_given_away_is_never_overwritten(
    harness: GatewayHarness, engine: StoringEngine, rpc: str
) -> None:
    """Each write gives a row to the other user, so that one that leaves its owner as it is overwrites a foreign row."""
    engine.owned = dict.fromkeys(KEYS, "alice")

    async def work(user: str, seed: int) -> int:
        random, allowed = Random(seed), 0
        other = USERS[1 - USERS.index(user)]
        for _ in range(WRITES):
            try:
                await harness.call(rpc, by=user, payload=payload(1, keys(random.choice(KEYS)), owners(other), rpc=rpc))
                allowed += 1
            except AccessDenied:
                pass
        return allowed

    counts = await asyncio.gather(*(work(user, seed) for seed, user in enumerate(USERS * 2)))
    assert sum(counts) == len(engine.written) > WRITES
    assert [pair for pair in engine.written if pair[0] == pair[1]] == []


async def test_a_row_that_was_taken_away_is_never_overwritten(harness: GatewayHarness, engine: StoringEngine) -> None:
    """An administrator takes rows away while their owners write them. What he has written stays."""
    rows = range(100)
    engine.owned = {key: USERS[key % 2] for key in rows}
    ended = False

    async def work(user: str, seed: int) -> None:
        random = Random(seed)
        while not ended:
            try:
                await harness.call(
                    "Upsert", by=user, payload=payload(1, keys(random.choice(rows)), owners(user), rpc="Upsert")
                )
            except AccessDenied:
                await asyncio.sleep(0)

    workers = [asyncio.ensure_future(work(user, seed)) for seed, user in enumerate(USERS * 2)]
    for key in rows:
        await harness.call("Upsert", by="root", payload=payload(1, keys(key), owners("nobody"), rpc="Upsert"))
    ended = True
    await asyncio.gather(*workers)
    assert set(engine.owned.values()) == {"nobody"}
    assert not [pair for pair in engine.written if pair[0] == "nobody" != pair[1]]
