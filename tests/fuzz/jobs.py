"""The parts of a run, each done by a process of its own."""

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import uvloop
from tests.fuzz import framing
from tests.fuzz.bodies import Bodies
from tests.fuzz.findings import Tally
from tests.fuzz.isolation import Isolation, administration
from tests.fuzz.runner import Fuzzer, run
from tests.fuzz.targets import live, live_embedded

SHARES: Final = {"isolation": 0.45, "embedded": 0.05, "administration": 0.2, "bodies": 0.1, "framing": 0.2}
"""What part of all requests each fuzzer sends; `embedded` is isolation with the embedded engine behind it."""

_CHUNK: Final = 40_000
"""Requests of one job: it has a server of its own, and a seed that depends on the run's seed alone."""


@dataclass(frozen=True, slots=True)
class Job:
    """A part of a run."""

    fuzzer: str
    requests: int
    seed: int


def parts_of(requests: int, seed: int, fuzzers: Sequence[str]) -> list[Job]:
    """Return the parts of a run, those of all fuzzers in turns."""
    whole = sum(SHARES[name] for name in fuzzers)
    made = []
    for name in fuzzers:
        left = round(requests * SHARES[name] / whole)
        draw = random.Random(f"{seed} {name}")
        sizes = [min(_CHUNK, left - start) for start in range(0, left, _CHUNK)]
        made.append([Job(name, size, draw.randrange(2**32)) for size in sizes])
    return [job for each in itertools.zip_longest(*made) for job in each if job is not None]


def work(job: Job) -> Tally:
    """Run one part."""
    logging.disable(logging.CRITICAL)  # what the servers log of thousands of refusals is of no use
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(task(job))


def task(job: Job) -> Coroutine[None, None, Tally]:
    """Return what does one part."""
    if job.fuzzer == "framing":
        return framing.run(job.requests, job.seed)
    if job.fuzzer == "embedded":
        return run(Isolation("embedded"), job.requests, job.seed, live_embedded)
    fuzzers: Mapping[str, Callable[[], Fuzzer]] = {
        "isolation": Isolation,
        "administration": administration,
        "bodies": Bodies,
    }
    return run(fuzzers[job.fuzzer](), job.requests, job.seed, live)
