"""Reduces a random run that ends in a mismatch to the steps that are needed for one."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar


class Mismatch(Protocol):
    """A run on whose last step two things differ that should agree."""

    @property
    def steps(self) -> tuple[Any, ...]:
        """The run."""
        ...

    @property
    def changed(self) -> tuple[Any, ...]:
        """Those of its steps, without the last, that may have changed something."""
        ...


M = TypeVar("M", bound=Mismatch)


async def minimised(mismatch: M, replay: Callable[[Sequence[Any]], Awaitable[M | None]], *, seconds: float) -> M:
    """Return the shortest run found in the time that still ends in a mismatch.

    Args:
        mismatch: what was found.
        replay: takes steps from the beginning, and returns the mismatch that they end in, if they do.
        seconds: after which nothing more is tried.
    """
    deadline = time.monotonic() + seconds
    best = await replay((*mismatch.changed, mismatch.steps[-1])) or mismatch
    size = len(best.steps) // 2
    while size and time.monotonic() < deadline:
        start = 0
        while start < len(best.steps) - 1 and time.monotonic() < deadline:
            found = await replay((*best.steps[:start], *best.steps[start + size :]))
            if found is None:
                start += size
            else:
                best = found
        size = size // 2 if size > 1 else 0
    return best
