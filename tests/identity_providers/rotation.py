"""Requests with tokens of a provider that changes its keys meanwhile: none may be refused or accepted wrongly.

`python -m tests.identity_providers.rotation` runs it on a Keycloak and a server of its own, on loopback only.
"""

import argparse
import asyncio
import base64
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.identity_providers import load, worlds
from tests.identity_providers.load import Load, Refusal
from tests.support import keycloak
from tests.support.keycloak import Keycloak

GOOD: Final = "good"
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

    def count(self, kind: str, refusal: Refusal | None) -> None:
        """Take what came of a request.

        Args:
            kind: the kind of its token.
            refusal: how it was refused; None if it was accepted.
        """
        if refusal is not None and refusal.status != load.UNAUTHENTICATED:
            self.broken[f"{refusal.status}: {refusal.sentence}"] += 1
        elif kind != GOOD and refusal is None:
            self.wrongly_accepted[kind] += 1
        elif kind != GOOD:
            self.refused += 1
        elif refusal is None:
            self.accepted += 1
        else:
            self.wrongly_refused[refusal.sentence] += 1

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

    def drawn(self, by: random.Random) -> tuple[str, str]:
        """Return the kind of a token and the token, at random; the kind of good ones is `GOOD`."""
        if not self.good or by.random() < _BAD_SHARE:
            return by.choice(list(self.bad.items()))
        return GOOD, by.choice(self.good)


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
    provider: Keycloak, port: int, *, rate: float, pauses: Sequence[float], seed: int
) -> Outcome:
    """Send requests while the provider changes its keys, and return what came of them.

    Each new key signs a new token, which is used at once. Every second time the earlier keys are withdrawn: once a
    token by the new key was accepted, those by the earlier ones must be refused.

    Args:
        provider: the provider.
        port: that of the server, which trusts it.
        rate: requests a second.
        pauses: seconds before each change and behind the last one; the server asks for keys twice a minute at most.
        seed: decides which request carries which token.
    """
    outcome, tokens = Outcome(), Tokens()
    with provider.client() as own, provider.client("other") as other:

        def issued() -> str:
            return own.by_password(keycloak.person("alice")).access

        first = await asyncio.to_thread(issued)
        foreign = await asyncio.to_thread(lambda: other.by_password(keycloak.person("carol")).access)
        tokens.good, tokens.bad = (first,), {**forged(first), "another client's": foreign}
        drawn, began = partial(tokens.drawn, random.Random(seed)), time.monotonic()
        async with load.connected(port) as sender, sender.at(rate, drawn, outcome.count):
            for number, pause in enumerate(pauses[:-1]):
                await asyncio.sleep(pause)
                await asyncio.to_thread(provider.rotate)
                outcome.rotations += 1
                latest = await asyncio.to_thread(issued)
                if number % 2:
                    await _withdraw(provider, sender, tokens, latest, outcome)
                tokens.good = (*tokens.good[-_KEPT:], latest)
            await asyncio.sleep(pauses[-1])
        outcome.seconds = time.monotonic() - began
    return outcome


async def _withdraw(provider: Keycloak, sender: Load, tokens: Tokens, latest: str, outcome: Outcome) -> None:
    """Withdraw all keys but the latest, and expect the tokens by the others to be refused from then on."""
    withdrawn, tokens.good = tokens.good, ()
    await sender.settled()
    await asyncio.to_thread(provider.withdraw_older_keys)
    refusal = await sender.refusal(latest)  # the server does not know its key, and so asks for the keys
    if refusal is not None:
        outcome.wrongly_refused[refusal.sentence] += 1
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
    with (
        tempfile.TemporaryDirectory() as directory,
        keycloak.running(Path(directory)) as provider,
        worlds.trusting(Path(directory), worlds.by_keycloak(provider)) as server,
    ):
        outcome = asyncio.run(
            rotate_under_load(
                provider,
                server.port,
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
