"""The gateway over a real store against a small reference, through thousands of random operations."""

import os
import random
from pathlib import Path

import pytest
from tests.unit.gateway.model.driver import Runner, Tally

from kiteward.store import sqlite

_EPISODE = 500
_SECONDS_TO_MINIMISE = 40.0
_ENOUGH_FOR_VARIETY = 4000
_DENIED_TO_NOBODY = ("Connect", "DescribeCollection", "HasCollection", "ListDatabases", "ShowCollections")
"""They answer less instead: that something does not exist, or a shorter list."""


def _operations(usual: int) -> int:
    thorough = os.environ.get("TESTS_HYPOTHESIS_PROFILE") == "long"
    return int(os.environ.get("TESTS_MODEL_OPERATIONS", "20000" if thorough else usual))


def _seed() -> int:
    return int(os.environ.get("TESTS_MODEL_SEED", "20260821"))


@pytest.fixture
def hasty_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite not wait for the disk: durability is tested elsewhere, and this test commits ten thousand times."""
    pragmas = tuple(pragma.replace("synchronous=FULL", "synchronous=OFF") for pragma in sqlite._DURABLE)
    assert pragmas != sqlite._DURABLE
    monkeypatch.setattr(sqlite, "_DURABLE", pragmas)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("operations", [1_000, pytest.param(_ENOUGH_FOR_VARIETY, marks=pytest.mark.heavy)])
async def test_gateway_decides_lists_and_changes_as_the_reference_says(
    hasty_store: None, tmp_path: Path, operations: int
) -> None:
    """The short form proves the same of each operation that it draws; that it draws every one, only the heavy one."""
    runner, tally = Runner(tmp_path), Tally()
    seeds = random.Random(_seed())
    while (left := _operations(operations) - tally.operations) > 0:
        seed = seeds.randrange(2**32)
        mismatch = await runner.episode(seed, min(left, _EPISODE), tally)
        if mismatch is not None:
            shortest = await runner.minimised(mismatch, seconds=_SECONDS_TO_MINIMISE)
            pytest.fail(f"episode {seed}, {len(mismatch.steps)} steps, cut down to:\n{shortest}")
    _demand_variety(tally)


def _demand_variety(tally: Tally) -> None:
    """Demand that the run was worth something: every operation was allowed, and refused if it can be."""
    total = sum(tally.outcomes.values())
    assert tally.outcomes["ok"] > total * 0.3, tally.outcomes
    assert tally.outcomes["PERMISSION_DENIED"] > total * 0.2, tally.outcomes
    if tally.operations < _ENOUGH_FOR_VARIETY:
        return
    never_allowed = [name for name, seen in tally.by_operation.items() if not seen["ok"]]
    never_denied = [name for name, seen in tally.by_operation.items() if not seen["PERMISSION_DENIED"]]
    assert not never_allowed
    assert sorted(never_denied) == sorted(_DENIED_TO_NOBODY)
