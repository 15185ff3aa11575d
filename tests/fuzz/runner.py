"""Sends drawn requests to a live server in intervals, looks at every answer, and at the server's state after each."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from tests.access.equivalence.random_values import Draw
from tests.fuzz.findings import Finding, Tally
from tests.fuzz.requests import Answer, Sent, smaller
from tests.fuzz.targets import Target

INTERVAL: Final = 1_000
"""Requests between two looks at the state."""

_CHANGED: Final = "changed"
_MOST_NAMED: Final = 8
"""Requests that changed something and are named; where there are so many, batches are not sent again for more."""

_MOST_TRIES: Final = 400
"""Requests that are tried to cut one down."""

Live = Callable[[], AbstractAsyncContextManager[Target]]
"""Starts a fresh server."""


class Fuzzer(Protocol):
    """What is sent, and which answers are wrong.

    Attributes:
        name: of the fuzzer.
        callers: who sends.
        guarded: whether the state must stay as it was.
    """

    name: str
    callers: Sequence[str]
    guarded: bool

    async def prepare(self, draw: Draw) -> None:
        """Get ready to draw requests."""
        ...

    def draw(self, draw: Draw) -> Sent:
        """Return the next request."""
        ...

    def learn(self, sent: Sent, answer: Answer) -> None:
        """Take notice of an answer: what was carried out makes further requests."""
        ...

    def fault(self, target: Target, sent: Sent, answer: Answer, /) -> str:
        """Return what is wrong with an answer, or nothing."""
        ...


async def run(fuzzer: Fuzzer, requests: int, seed: int, live: Live) -> Tally:
    """Send so many requests."""
    tally, draw = Tally(), Draw(seed)
    await fuzzer.prepare(draw)
    left = requests
    while left > 0:
        async with live() as target:
            while left > 0:
                batch = [fuzzer.draw(draw) for _ in range(min(left, INTERVAL))]
                left -= len(batch)
                tally.sent(fuzzer.name, len(batch))
                if not await _interval(fuzzer, batch, target, tally=tally, live=live):
                    break
    return tally


async def _interval(fuzzer: Fuzzer, batch: Sequence[Sent], target: Target, *, tally: Tally, live: Live) -> bool:
    """Send a batch; return whether the server can take the next."""
    before = await target.inventory() if fuzzer.guarded else None
    for sent, answer in zip(batch, await target.ask(batch), strict=True):
        tally.answered(fuzzer.name, answer.status)
        fuzzer.learn(sent, answer)
        fault = fuzzer.fault(target, sent, answer)
        kind = f"{fault.partition(':')[0]} {sent.path} {sent.caller}"
        if fault and kind not in tally.findings:
            tally.found(kind, Finding(fuzzer.name, fault, await _cut(sent, _Answers(fuzzer, live))))
    if before is not None:
        difference = before.differences(await target.inventory())
        if difference:
            await _name_culprits(fuzzer, batch, difference, tally=tally, live=live)
            return False
    return await target.all_authenticated(fuzzer.callers)


async def _name_culprits(fuzzer: Fuzzer, batch: Sequence[Sent], difference: str, *, tally: Tally, live: Live) -> None:
    """Send a batch again one by one, and find the requests that changed something."""
    known = sum(kind.startswith(_CHANGED) for kind in tally.findings)
    if known >= _MOST_NAMED:
        return
    check, found = _Changes(live), False
    async with live() as target:
        before = await target.inventory()
        for sent in batch:
            await target.ask([sent])
            after = await target.inventory()
            changed = before.differences(after)
            if changed:
                found = True
                kind = f"{_CHANGED} {sent.path} {sent.caller}"
                if kind not in tally.findings:
                    smallest = await _cut(sent, check)
                    tally.found(kind, Finding(fuzzer.name, f"{_CHANGED} {changed}", smallest))
            before = after
    if not found:
        what = f"{_CHANGED} {difference}"
        tally.found(f"{_CHANGED} together", Finding(fuzzer.name, what, f"one of {len(batch)} requests, not alone"))


class _Check(Protocol):
    async def __call__(self, tried: Sequence[Sent]) -> Sent | None:
        """Return the first of some requests that does it."""
        ...


class _Answers:
    """Tells by the answer."""

    def __init__(self, fuzzer: Fuzzer, live: Live) -> None:
        self._fuzzer = fuzzer
        self._live = live

    async def __call__(self, tried: Sequence[Sent]) -> Sent | None:
        async with self._live() as target:
            for sent in tried:
                answer = (await target.ask([sent]))[0]
                if self._fuzzer.fault(target, sent, answer):
                    return sent
        return None


class _Changes:
    """Tells by the state."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def __call__(self, tried: Sequence[Sent]) -> Sent | None:
        async with self._live() as target:
            before = await target.inventory()
            for sent in tried:
                await target.ask([sent])
                if before.differences(await target.inventory()):
                    return sent
        return None


async def _cut(sent: Sent, check: _Check) -> str:
    """Return the smallest request found that still does it, in words."""
    if await check([sent]) is None:
        return f"only after others: {sent}"
    tries = 0
    while tries < _MOST_TRIES:
        tried = list(smaller(sent))
        tries += len(tried)
        less = await check(tried)
        if less is None:
            break
        sent = less
    return str(sent)
