"""Runs the work of commands on an event loop, so that one Ctrl-C ends them."""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar, cast

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run the work of a command on an event loop of its own, and return what it returns.

    Ctrl-C ends the work where it is, also where it blocks the loop: while it waits for the response of a server, or for
    a password on the terminal. `asyncio.run` alone would end it at the next `await`, which may be a minute later.

    Raises:
        KeyboardInterrupt: the work was ended by Ctrl-C, and has released what it held.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    if on_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        return asyncio.run(_interruptible(work))
    return asyncio.run(work)  # elsewhere, asyncio does not handle Ctrl-C


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    cancel = cast("Callable[[int, FrameType | None], object]", signal.getsignal(signal.SIGINT))

    def interrupt(number: int, frame: FrameType | None) -> None:
        if asyncio.current_task() is not None:
            raise KeyboardInterrupt
        cancel(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        return await work
    finally:
        signal.signal(signal.SIGINT, cancel)
