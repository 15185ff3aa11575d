"""Changes are recorded before and after they run, and run to their end when the caller is gone."""

import asyncio

import pytest
from tests.support.gateway import RecordedEvents, presented

from kiteward.audit.events import Outcome
from kiteward.domain.errors import AuditUnavailable, NotFound
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.call import Call
from kiteward.gateway.changes import Changes
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.recording import Recording
from kiteward.milvus import messages


@pytest.fixture
def trail() -> RecordedEvents:
    return RecordedEvents()


@pytest.fixture
def changes(trail: RecordedEvents) -> Changes:
    return Changes(Recorder(trail))


def recording() -> Recording:
    return Recording(Call("CreateRole", b"", presented("root")), OPERATIONS["CreateRole"])


def outcomes(trail: RecordedEvents) -> list[Outcome]:
    return [event.outcome for event in trail.events]


async def test_change_is_recorded_before_it_runs_and_when_it_has_ended(trail: RecordedEvents, changes: Changes) -> None:
    async def work() -> bytes:
        assert outcomes(trail) == [Outcome.RECEIVED]
        return messages.success("CreateRole")

    assert await changes.run(recording(), work) == messages.success("CreateRole")
    assert outcomes(trail) == [Outcome.RECEIVED, Outcome.SUCCEEDED]
    assert changes.in_progress == 0


async def test_change_that_fails_is_recorded_as_failed(trail: RecordedEvents, changes: Changes) -> None:
    async def work() -> bytes:
        raise NotFound("there is no such role")

    with pytest.raises(NotFound):
        await changes.run(recording(), work)
    assert outcomes(trail) == [Outcome.RECEIVED, Outcome.FAILED]


async def test_change_that_cannot_be_recorded_is_not_begun(trail: RecordedEvents, changes: Changes) -> None:
    async def work() -> bytes:
        raise AssertionError("it was begun")

    trail.working = False
    with pytest.raises(AuditUnavailable):
        await changes.run(recording(), work)


async def test_change_goes_on_without_its_caller_and_drain_waits_for_it(
    trail: RecordedEvents, changes: Changes
) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def work() -> bytes:
        begun.set()
        await gate.wait()
        return messages.success("CreateRole")

    caller = asyncio.create_task(changes.run(recording(), work))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert changes.in_progress == 1
    draining = asyncio.create_task(changes.drain())
    gate.set()
    await draining
    assert outcomes(trail) == [Outcome.RECEIVED, Outcome.SUCCEEDED]
