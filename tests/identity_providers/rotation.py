"""Requests with tokens of a provider that changes its keys meanwhile: none may be refused or accepted wrongly.

`python -m tests.identity_providers.rotation` runs it on a Keycloak and a server of its own, on loopback only.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
from tests.identity_providers.worlds import World, keycloak_world
from tests.support import keycloak, raw_grpc

_METHOD: Final = "/milvus.proto.milvus.MilvusService/GetVersion"
_TICK: Final = 0.01
"""Seconds between two batches of requests."""

_IN_FLIGHT: Final = 500
"""Requests at the same time, at most: a server that falls behind gets fewer, and the outcome says how many."""

_BAD_SHARE: Final = 0.2
_KEPT: Final = 3
"""Of the tokens by earlier keys, so many are in use."""

_FEW: Final = 5


@dataclass(slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        accepted, refused: requests, as they had to be.
        wrongly_refused: sentences with which requests with a good token were refused -> how often.
        wrongly_accepted: kinds of bad tokens that were accepted -> how often.
        broken: other failures of requests -> how often.
        rotations: how often the key was changed.
        withdrawals: how often earlier keys were withdrawn.
        seconds: how long it took.
    """

    accepted: int = 0
    refused: int = 0
    wrongly_refused: Counter[str] = field(default_factory=Counter)
    wrongly_accepted: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    rotations: int = 0
    withdrawals: int = 0
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        """How many requests had another outcome than they had to have."""
        return sum(sum(each.values()) for each in (self.wrongly_refused, self.wrongly_accepted, self.broken))

    def lines(self) -> list[str]:
        """Return a report."""
        total = self.accepted + self.refused + self.faults
        lines = [
            f"{total} requests in {self.seconds:.0f} s, {total / self.seconds:.0f} a second",
            f"{self.accepted} accepted, {self.refused} refused, as they had to be",
            f"the key changed {self.rotations} times, earlier ones were withdrawn {self.withdrawals} times",
        ]
        for name in ("wrongly_refused", "wrongly_accepted", "broken"):
            found: Counter[str] = getattr(self, name)
            lines.append(f"{name.replace('_', ' ')}: {sum(found.values())}")
            lines += [f"  {number} x {text}" for text, number in found.most_common(_FEW)]
        return lines


@dataclass(slots=True)
class Tokens:
    """The tokens that requests carry.

    Attributes:
        good: those that have to be accepted; while there are none, only bad ones are sent.
        bad: kinds of those that have to be refused, and an example of each.
    """

    good: tuple[str, ...] = ()
    bad: dict[str, str] = field(default_factory=dict)


class Load:
    """Sends requests at a rate, with good and bad tokens at random."""

    def __init__(self, uri: str, tokens: Tokens, outcome: Outcome, *, seed: int) -> None:
        """Set up without a connection.

        Args:
            uri: the server's endpoint.
            tokens: what requests carry; it may change meanwhile.
            outcome: what comes of it.
            seed: decides which request carries which token.
        """
        self._address = uri.removeprefix("http://")
        self._tokens = tokens
        self._outcome = outcome
        self._random = random.Random(seed)
        self._running: set[asyncio.Task[None]] = set()
        self._version: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]]

    @contextlib.asynccontextmanager
    async def at(self, rate: float) -> AsyncIterator[None]:
        """Send so many requests a second for as long as the block lasts."""
        began = time.monotonic()
        async with grpc.aio.insecure_channel(self._address) as channel:
            self._version = channel.unary_unary(_METHOD)
            sending = asyncio.create_task(self._send(rate))
            try:
                yield
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sending
                await asyncio.gather(*self._running)
                self._outcome.seconds += time.monotonic() - began

    async def _send(self, rate: float) -> None:
        began = time.monotonic()
        for sent in count():
            ahead = sent / rate - (time.monotonic() - began)
            if ahead > _TICK or len(self._running) >= _IN_FLIGHT:
                await asyncio.sleep(max(ahead, _TICK))
            if len(self._running) < _IN_FLIGHT:
                task = asyncio.create_task(self._one())
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def _one(self) -> None:
        bad = not self._tokens.good or self._random.random() < _BAD_SHARE
        one_of_them = self._random.choice
        kind, token = one_of_them(list(self._tokens.bad.items())) if bad else ("good", one_of_them(self._tokens.good))
        refusal = await self.refusal(token)
        outcome = self._outcome
        if refusal is not None and refusal[0] is not grpc.StatusCode.UNAUTHENTICATED:
            outcome.broken[f"{refusal[0].name}: {refusal[1]}"] += 1
        elif bad and refusal is None:
            outcome.wrongly_accepted[kind] += 1
        elif bad:
            outcome.refused += 1
        elif refusal is None:
            outcome.accepted += 1
        else:
            outcome.wrongly_refused[refusal[1]] += 1

    async def settled(self) -> None:
        """Wait for the requests that are being made now."""
        await asyncio.gather(*self._running)

    async def refusal(self, token: str) -> tuple[grpc.StatusCode, str] | None:
        """Make one request and return how it is refused; None if it is not."""
        try:
            await self._version(b"", metadata=(("authorization", raw_grpc.authorization(token)),), timeout=60)
        except grpc.aio.AioRpcError as error:
            return error.code(), str(error.details())
        return None


def forged(token: str) -> dict[str, str]:
    """Return tokens that are made of a good one by somebody without the key, by what was done."""
    head, body, signature = token.split(".")
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body))

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    return {
        "another signature": f"{head}.{body}.{signature[:middle]}{other}{signature[middle + 1 :]}",
        "another user": f"{head}.{part({**claims, 'preferred_username': 'root'})}.{signature}",
        "a later expiry": f"{head}.{part({**claims, 'exp': claims['exp'] + 86_400})}.{signature}",
        "no signature": f"{part({**header, 'alg': 'none'})}.{body}.",
        "another algorithm": f"{part({**header, 'alg': 'HS256'})}.{body}.{signature}",
    }


async def rotate_under_load(
    world: World[keycloak.Keycloak], *, rate: float, pauses: Sequence[float], seed: int
) -> Outcome:
    """Send requests while the provider changes its keys, and return what came of them.

    Each new key signs a new token, which is used at once. Every second time the earlier keys are withdrawn: once a
    token by the new key was accepted, those by the earlier ones must be refused.

    Args:
        world: the provider and the server.
        rate: requests a second.
        pauses: seconds before each change and behind the last one; the server asks for keys twice a minute at most.
        seed: decides which request carries which token.
    """
    outcome, tokens = Outcome(), Tokens()
    with world.provider.client() as own, world.provider.client("other") as other:

        def issued() -> str:
            return own.by_password(keycloak.person("alice")).access

        first = await asyncio.to_thread(issued)
        foreign = await asyncio.to_thread(lambda: other.by_password(keycloak.person("carol")).access)
        tokens.good, tokens.bad = (first,), {**forged(first), "another client's": foreign}
        load = Load(world.server.uri, tokens, outcome, seed=seed)
        async with load.at(rate):
            for number, pause in enumerate(pauses[:-1]):
                await asyncio.sleep(pause)
                await asyncio.to_thread(world.provider.rotate)
                outcome.rotations += 1
                latest = await asyncio.to_thread(issued)
                if number % 2:
                    await _withdraw(world, load, tokens, latest, outcome)
                tokens.good = (*tokens.good[-_KEPT:], latest)
            await asyncio.sleep(pauses[-1])
    return outcome


async def _withdraw(world: World[keycloak.Keycloak], load: Load, tokens: Tokens, latest: str, outcome: Outcome) -> None:
    """Withdraw all keys but the latest, and expect the tokens by the others to be refused from then on."""
    withdrawn, tokens.good = tokens.good, ()
    await load.settled()
    await asyncio.to_thread(world.provider.withdraw_older_keys)
    refusal = await load.refusal(latest)  # the server does not know its key, and so asks for the keys
    if refusal is not None:
        outcome.wrongly_refused[refusal[1]] += 1
    outcome.withdrawals += 1
    tokens.bad |= {**forged(latest), "by a withdrawn key": withdrawn[-1], "by an earlier withdrawn key": withdrawn[0]}


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print what came of it, and return 0 if nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.identity_providers.rotation", description=__doc__)
    parser.add_argument("--rate", type=float, default=1_000.0, help="requests a second (default: 1,000)")
    parser.add_argument("--rotations", type=int, default=8, help="how often the key changes (default: 8)")
    parser.add_argument("--pause", type=float, default=35.0, help="seconds between two changes (default: 35)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as directory, keycloak_world(Path(directory)) as world:
        outcome = asyncio.run(
            rotate_under_load(
                world,
                rate=arguments.rate,
                pauses=[arguments.pause] * (arguments.rotations + 1),
                seed=arguments.seed,
            )
        )
    print(f"seed {arguments.seed}")
    print(*outcome.lines(), sep="\n")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
