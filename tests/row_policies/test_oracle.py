"""A short form of `make row-policies`, and proof that it notices defects of the kinds it looks for.

It has eight collections, each with fields, rules, users and rows of its own. Proofs that a defect is noticed share a
server, which is in this process, as the defect is.
"""

import itertools
import os
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from tests.access.equivalence.random_values import Draw
from tests.row_policies.cases import Case
from tests.row_policies.operations import Operation
from tests.row_policies.runner import CASE, carry_out, parts_of, run
from tests.row_policies.target import Target, serving

from kiteward.gateway.row_access.locks import CollectionLocks
from kiteward.gateway.row_access.reading import FilteredRead
from kiteward.gateway.row_access.write_checks import WriteCheck

_SEED: Final = int(os.environ.get("TESTS_ROW_POLICIES_SEED", "20261129"))
_OPERATIONS: Final = 1_000
_WITHOUT_POLICIES: Final = 500
_OF_A_CASE: Final = 125
_FEW: Final = 300

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Attempts:
    """A server on which cases are carried out again and again."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._numbers = itertools.count(1)

    async def first_fault(self, words: str = "") -> str:
        """Run cases until there is a fault whose description has these words, and return it; the last one otherwise."""
        last = ""
        for seed in range(_SEED, _SEED + 12):
            case = Case(seed, attempt=next(self._numbers))
            fault = await carry_out(case, self._target, range(_FEW))
            last = last if fault is None else str(fault)
            if last and words in last:
                break
        return last

    async def transcript(self, operations: int) -> list[str]:
        """Carry out the first operations of a case, and return them in words, without the names of this attempt."""
        lines: list[str] = []
        attempt = next(self._numbers)
        case = Case(_SEED, attempt=attempt, transcript=lines.append)
        assert await carry_out(case, self._target, range(operations)) is None
        return [line.replace(f"c{_SEED}_{attempt}", "") for line in lines]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attempts() -> AsyncIterator[Attempts]:
    async with serving() as target:
        yield Attempts(target)


@pytest.mark.timeout(900)
async def test_nobody_reads_or_writes_other_rows_and_nobody_misses_own_ones() -> None:
    (part,) = parts_of(_OPERATIONS, _SEED, case=_OF_A_CASE)
    result = await run(part)
    assert result.operations == _OPERATIONS or result.faults
    assert not result.faults, "\n".join(result.faults)


async def test_filters_mean_the_same_to_the_engine_and_the_model() -> None:
    (part,) = parts_of(_WITHOUT_POLICIES, _SEED, protected=False, case=_OF_A_CASE)
    result = await run(part)
    assert not result.faults, "\n".join(result.faults)


async def test_same_seed_makes_the_same_operations(attempts: Attempts) -> None:
    first, second = [await attempts.transcript(40) for _ in range(2)]
    assert first == second
    assert len(first) == 40


@pytest.mark.heavy
async def test_read_without_its_policy_is_noticed(attempts: Attempts, monkeypatch: pytest.MonkeyPatch) -> None:
    def unfiltered(read: FilteredRead, *_: Any, **__: Any) -> bytes:
        return bytes(read.message.SerializeToString())

    monkeypatch.setattr(FilteredRead, "payload", unfiltered)
    assert "disclosed" in await attempts.first_fault("disclosed")


@pytest.mark.heavy
async def test_policy_that_reaches_the_first_part_of_a_hybrid_search_only_is_noticed(
    attempts: Attempts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = FilteredRead.of

    def first_part_alone(*given: Any, **more: Any) -> FilteredRead:
        read = of(*given, **more)
        return FilteredRead(read.message, read.parts[:1], read.rule, read.ids)

    monkeypatch.setattr(FilteredRead, "of", first_part_alone)
    assert "HybridSearch" in await attempts.first_fault("HybridSearch")


@pytest.mark.heavy
@pytest.mark.parametrize("method", ["insert", "upsert"])
async def test_write_that_is_not_checked_is_noticed(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async def unchecked(*_: Any) -> None:
        return

    monkeypatch.setattr(WriteCheck, method, unchecked)
    assert "wrongly written" in await attempts.first_fault("wrongly written")


@pytest.mark.heavy
async def test_search_by_ids_of_hidden_rows_is_noticed(attempts: Attempts, monkeypatch: pytest.MonkeyPatch) -> None:
    of = FilteredRead.of

    def unlooked(*given: Any, **more: Any) -> FilteredRead:
        read = of(*given, **more)
        return FilteredRead(read.message, read.parts, read.rule, ())

    monkeypatch.setattr(FilteredRead, "of", unlooked)
    assert "disclosed how near rows are" in await attempts.first_fault("disclosed how near rows are")


@pytest.mark.heavy
async def test_write_that_is_not_authorized_again_when_it_is_its_turn_is_noticed(
    attempts: Attempts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acquire = CollectionLocks.acquire

    async def unnoticed(self: CollectionLocks, key: Any, *, alone: bool, protected: bool = False) -> bool:
        await acquire(self, key, alone=alone, protected=protected)
        return False

    drawn = Case.draw_operation

    def often_queued(case: Case, draw: Draw) -> Operation:
        operation = drawn(case, draw)
        return case.draw_queued(draw) if draw.chance(0.5) else operation

    monkeypatch.setattr(CollectionLocks, "acquire", unnoticed)
    monkeypatch.setattr(Case, "draw_operation", often_queued)
    found = await attempts.first_fault()
    assert "meanwhile" in found
    assert "wrongly written" in found or "refused" in found


async def test_cases_of_a_run_follow_from_its_seed() -> None:
    assert parts_of(5_000, 1) == parts_of(5_000, 1) != parts_of(5_000, 2)
    assert sum(len(part.seeds) for part in parts_of(5_000, 1)) * CASE == 5_000
    assert Case(1).seed == 1
