"""How much memory Python takes for something."""

import contextlib
import gc
import tracemalloc
from collections.abc import Iterator


class Measured:
    """What was taken.

    Attributes:
        bytes: the most at once, beyond what was taken before.
        left: of that, what is still there at the end.
    """

    bytes = 0
    left = 0


@contextlib.contextmanager
def measured() -> Iterator[Measured]:
    """Measure a block."""
    result = Measured()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield result
        gc.collect()
        now, peak = tracemalloc.get_traced_memory()
        result.bytes, result.left = peak - before, now - before
    finally:
        tracemalloc.stop()
