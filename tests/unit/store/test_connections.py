import asyncio
import sqlite3

import pytest
from sqlalchemy.exc import SQLAlchemyError

from kiteward.domain.errors import NotFound, StoreUnavailable
from kiteward.store.connections import completed, shielded, translated


async def answer(gate: asyncio.Event) -> int:
    await gate.wait()
    return 42


@pytest.mark.parametrize(
    "error",
    [SQLAlchemyError("secret"), sqlite3.OperationalError("secret"), OSError("secret"), UnicodeError("secret")],
    ids=lambda error: type(error).__name__,
)
def test_driver_errors_become_store_unavailable_without_their_text(error: Exception) -> None:
    with pytest.raises(StoreUnavailable) as failure, translated("read"):
        raise error
    assert str(failure.value) == "the store could not be read"
    assert str(failure.value.__cause__).startswith(type(error).__name__)


@pytest.mark.parametrize("error", [NotFound("no such user"), ZeroDivisionError(), asyncio.CancelledError()])
def test_other_errors_pass_untouched(error: BaseException) -> None:
    with pytest.raises(type(error)) as failure, translated("read"):
        raise error
    assert failure.value is error


async def test_work_that_has_to_be_completed_finishes_first_and_then_is_cancelled() -> None:
    gate, finished = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        finished.set()

    caller = asyncio.create_task(shielded(work()))
    await asyncio.sleep(0)
    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0)
        assert not caller.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert finished.is_set()


async def test_error_of_work_that_has_to_be_completed_is_dropped_when_its_caller_was_cancelled() -> None:
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()
        raise ZeroDivisionError

    caller = asyncio.create_task(shielded(work()))
    await asyncio.sleep(0)
    caller.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_cancelled_completed_work_returns_its_result_and_cancels_at_the_next_await() -> None:
    gate = asyncio.Event()
    results: list[int] = []

    async def call() -> None:
        results.append(await completed(answer(gate)))
        await asyncio.Event().wait()

    caller = asyncio.create_task(call())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    gate.set()
    await asyncio.wait((caller,), timeout=5)
    assert caller.cancelled()
    assert results == [42]


async def test_deadline_that_passes_during_completed_work_is_still_a_timeout() -> None:
    gate = asyncio.Event()
    results: list[int] = []

    async def call() -> None:
        async with asyncio.timeout(0.01):
            results.append(await completed(answer(gate)))
            await asyncio.Event().wait()

    asyncio.get_running_loop().call_later(0.05, gate.set)
    with pytest.raises(TimeoutError):
        await call()
    assert results == [42]


async def test_error_of_completed_work_reaches_its_caller() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await completed(work())
