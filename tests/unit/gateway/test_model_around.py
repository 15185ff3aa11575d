"""The gateway before an engine that others change: no decision is made by what a name named longer ago than the age."""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from tests.support.gateway import GatewayHarness, opened
from tests.unit.gateway.model.around import COLLECTIONS, DATABASES, NAMES, SlowEngine, Timeline

from kiteward.domain.errors import AccessDenied, DatabaseNotFound, EngineUnavailable
from kiteward.gateway import upstream_catalog
from kiteward.gateway.upstream_catalog import UpstreamCatalog

AGE: Final = 10.0
_SEED: Final = int(os.environ.get("TESTS_MODEL_SEED", "20260821"))


class Workload:
    """Random queries while the world changes, each with what may come of it."""

    def __init__(self, harness: GatewayHarness, catalog: UpstreamCatalog, engine: SlowEngine, seed: int) -> None:
        self._harness = harness
        self._catalog = catalog
        self._engine = engine
        self._timeline: Timeline = engine.timeline
        self._random = random.Random(seed)
        self.granted: dict[str, frozenset[str]] = {}
        self.outcomes: Counter[str] = Counter()

    async def prepare(self) -> None:
        """Grant to one user some names, of collections that may or may not exist, in each database."""
        for database in DATABASES:
            names = self._random.sample(COLLECTIONS, 2)
            self.granted[database] = frozenset(names)
            for name in names:
                await self._harness.succeed(
                    "OperatePrivilegeV2",
                    role={"name": "reading"},
                    grantor={"privilege": {"name": "Query"}},
                    db_name=database,
                    collection_name=name,
                )

    async def round(self, number: int) -> None:
        """Send some queries at a time, and change the world meanwhile."""
        queries = [asyncio.create_task(self._query(f"{number}.{each}")) for each in range(self._random.randrange(1, 6))]
        while not all(query.done() for query in queries):
            if self._random.randrange(3) == 0:
                self._timeline.pass_time(AGE / 16)
                self._timeline.change()
            # As the task does by itself after half of the age; in some rounds it is late.
            if number // 20 % 2 and self._random.randrange(12) == 0:
                self._catalog._wanted.set()
            await asyncio.sleep(0)
        await asyncio.gather(*queries)

    async def _query(self, tag: str) -> None:
        name = self._random.choice(NAMES)
        database = self._random.choice(DATABASES)
        begun = self._timeline.now
        try:
            await self._harness.call("Query", by="reader", collection_name=name, db_name=database, expr=tag)
        except AccessDenied:
            named = self._timeline.named(database, name, since=begun - AGE, until=self._timeline.now)
            assert named - self.granted[database], f"{tag}: {name} was refused, and only named {named}"
            self.outcomes["denied"] += 1
            assert tag not in self._engine.forwarded
            return
        except DatabaseNotFound:
            had = self._timeline.has_had(database, since=begun - AGE, until=self._timeline.now)
            assert False in had, f"{tag}: {database} was missing"
            self.outcomes["no database"] += 1
            return
        except EngineUnavailable:  # the world changed faster than it could be read
            self.outcomes["unavailable"] += 1
            return
        told, sent_to, sent = self._engine.forwarded[tag]
        named = self._timeline.named(database, name, since=sent - AGE, until=sent)
        assert told == database
        assert sent_to in self.granted[database], f"{tag}: {sent_to} is not granted"
        assert sent_to in named, f"{tag}: {name} did not name {sent_to} within the age, but {named}"
        self.outcomes["allowed"] += 1
        self.outcomes["behind an alias"] += sent_to != name


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rounds", [240, pytest.param(1_000, marks=pytest.mark.heavy)])
async def test_no_decision_is_made_by_what_a_name_named_longer_ago_than_the_age(
    store_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """The short form meets each outcome too; the heavy one meets it in more circumstances."""
    monkeypatch.setattr(upstream_catalog, "_RETRY", 0.0)
    engine = SlowEngine(_SEED)
    catalog = UpstreamCatalog(engine, maximum_age=AGE, clock=lambda: engine.timeline.now)
    async with opened(store_path, engine, catalog=catalog) as harness:
        await harness.role("reading")
        await harness.user("reader", "reading")
        workload = Workload(harness, catalog, engine, _SEED)
        await workload.prepare()
        for number in range(rounds):
            await workload.round(number)
    outcomes = workload.outcomes
    assert (
        min(outcomes["allowed"], outcomes["denied"], outcomes["behind an alias"], outcomes["no database"]) > rounds / 20
    )
    # More, the busier the machine is: the world changes also while a thread of the store is waited for.
    assert outcomes["unavailable"] < outcomes.total() / 5, outcomes
