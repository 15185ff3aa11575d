"""Revocations on random servers: after each acknowledgement, no server accepts what was accepted before.

Each worker has a user, a role, an API key and a row policy of its own. A revocation is prepared, what it revokes is
used on every server, so that all have it in their memory, it is made on one of them, and is then tried on every server.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.replicas.world import COLLECTION, NOT_AUTHENTICATED, UNAVAILABLE, Replica, Unavailable, Unfinished, World


@dataclass(slots=True)
class Outcome:
    """What came of it.

    Attributes:
        made: kind -> how many revocations were made.
        seconds: how long each took until it was acknowledged, as its caller saw it.
        unavailable: how often a server answered that it is not available, which is no fault.
        unfinished: how many changes were not acknowledged in the time of a request, so that nothing was promised.
        faults: what was accepted that had been revoked, or refused that should not be.
    """

    made: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    unavailable: int = 0
    unfinished: int = 0
    faults: list[str] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Return the time within which so many were acknowledged."""
        ranked = sorted(self.seconds)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


class Worker:
    """Makes revocations, one after another."""

    def __init__(self, world: World, number: int, outcome: Outcome, seed: int) -> None:
        self._world = world
        self._replicas = world.replicas
        self._outcome = outcome
        self._random = random.Random(f"{seed} {number}")
        self._user = f"user{number}"
        self._role = f"role{number}"
        self._numbers = count(1 + 1_000_000 * number)
        self._password = ""
        self._key = ""
        self._kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "password": self._revoke_password,
            "key": self._revoke_key,
            "user": self._revoke_user,
            "binding": self._revoke_binding,
            "grant": self._revoke_grant,
            "policy": self._replace_policy,
            "tag": self._replace_tag,
        }

    async def prepare(self) -> None:
        """Create what belongs to this worker."""
        self._password = f"Old-password-{self._user}"
        user = {"userName": self._user, "password": self._password, "roles": [self._role]}
        await self._change("vectordb/roles/create", {"roleName": self._role})
        await self._change("kiteward/users/create", user)
        self._key = (await self._change("kiteward/api_keys/create", {"userName": self._user}))["key"]
        await self._change("kiteward/roles/change_grants", self._grants("grant"))
        await self._change("kiteward/row_policies/create", self._policy(0))
        await self._change("kiteward/tags/set", self._tags(0))

    async def revoke(self, kind: str) -> None:
        """Make one revocation of a kind, and count it.

        Raises:
            Unfinished: a change was not acknowledged, so that nothing can be expected.
        """
        try:
            await self._kinds[kind]()
        except AssertionError as error:
            self._outcome.faults.append(f"{kind} of {self._user}: {error}")
        else:
            self._outcome.made[kind] += 1

    def any_kind(self, *, passwords: float) -> str:
        """Return a kind at random.

        Args:
            passwords: the share of passwords, which cost much more than the others.
        """
        if self._random.random() < passwords:
            return "password"
        return self._random.choice([kind for kind in self._kinds if kind != "password"])

    # What is revoked

    async def _revoke_password(self) -> None:
        old, new = self._password, f"New-password-{next(self._numbers)}"
        await self._expect(by=f"{self._user}:{old}")
        await self._acknowledged("kiteward/users/reset_password", {"userName": self._user, "newPassword": new})
        self._password = new
        await self._expect_refused(by=f"{self._user}:{old}")

    async def _revoke_key(self) -> None:
        created = await self._change("kiteward/api_keys/create", {"userName": self._user})
        await self._expect(by=created["key"])
        await self._acknowledged("kiteward/api_keys/revoke", {"keyId": created["keyId"]})
        await self._expect_refused(by=created["key"])

    async def _revoke_user(self) -> None:
        await self._expect(by=self._key)
        await self._acknowledged("kiteward/users/disable", {"userName": self._user})
        await self._expect_refused(by=self._key)
        await self._change("kiteward/users/enable", {"userName": self._user})

    async def _revoke_binding(self) -> None:
        binding = {"userName": self._user, "roleName": self._role}
        await self._expect_queries()
        await self._acknowledged("vectordb/users/revoke_role", binding)
        await self._expect_no_query()
        await self._change("vectordb/users/grant_role", binding)

    async def _revoke_grant(self) -> None:
        await self._expect_queries()
        await self._acknowledged("kiteward/roles/change_grants", self._grants("revoke"))
        await self._expect_no_query()
        await self._change("kiteward/roles/change_grants", self._grants("grant"))

    async def _replace_policy(self) -> None:
        number = next(self._numbers)
        await self._expect_queries()
        await self._acknowledged("kiteward/row_policies/update", self._policy(number))
        await self._expect_queries(contains=f"policy {number}")

    async def _replace_tag(self) -> None:
        number = next(self._numbers)
        await self._expect_queries()
        await self._acknowledged("kiteward/tags/set", self._tags(number))
        await self._expect_queries(contains=f"tag {number}")

    def _grants(self, verb: str) -> dict[str, Any]:
        grant = {"privilege": "Query", "dbName": "default", "collectionName": COLLECTION}
        return {"roleName": self._role, verb: [grant]}

    def _policy(self, number: int) -> dict[str, Any]:
        return {
            "collectionName": COLLECTION,
            "policyName": f"policy_of_{self._user}",
            "roles": [self._role],
            "actions": ["Query"],
            "policyType": "PERMISSIVE",
            "usingExpr": f"owner in ['policy {number}', $current_principal_tags['team']]",
        }

    def _tags(self, number: int) -> dict[str, Any]:
        return {"userName": self._user, "tags": {"team": f"tag {number}"}}

    # Changes

    async def _acknowledged(self, path: str, body: dict[str, Any]) -> None:
        started = time.perf_counter()
        await self._change(path, body)
        self._outcome.seconds.append(time.perf_counter() - started)

    async def _change(self, path: str, body: dict[str, Any]) -> Any:
        """Make a change on any server, on another one where it is not available."""
        while True:
            try:
                return await self._random.choice(self._replicas).data(path, body)
            except Unavailable:
                await self._pause()

    async def _pause(self) -> None:
        self._outcome.unavailable += 1
        await asyncio.sleep(0.05)

    # What is expected

    async def _expect(self, *, by: str) -> None:
        """Have every server accept a credential."""
        await asyncio.gather(*(self._until_accepted(each, by) for each in self._replicas))

    async def _until_accepted(self, replica: Replica, credential: str) -> None:
        while True:
            try:
                await replica.data("kiteward/whoami/describe", by=credential)
            except Unavailable:
                await self._pause()
            else:
                return

    async def _expect_refused(self, *, by: str) -> None:
        """Expect every server to refuse a credential."""
        answers = await asyncio.gather(*(each.ask("kiteward/whoami/describe", by=by) for each in self._replicas))
        self._outcome.unavailable += [each["code"] for each in answers].count(UNAVAILABLE)
        for replica, answer in zip(self._replicas, answers, strict=True):
            assert answer["code"] in (NOT_AUTHENTICATED, UNAVAILABLE), f"{replica.name} answers {answer}"

    async def _expect_queries(self, *, contains: str = "") -> None:
        """Expect every server to allow a query, and to send a filter that contains a text to the engine."""
        await asyncio.gather(*(self._until_allowed(each, contains) for each in self._replicas))

    async def _until_allowed(self, replica: Replica, contains: str) -> None:
        while True:
            marker = next(self._numbers)
            refusal = await replica.query(marker, by=self._key)
            sent = self._world.filter_of(marker)
            assert sent is None or contains in sent, f"{replica.name} sends {sent}"
            if not refusal.startswith("UNAVAILABLE"):
                assert not refusal, f"{replica.name} answers {refusal}"
                return
            await self._pause()

    async def _expect_no_query(self) -> None:
        """Expect every server to refuse a query, and to send nothing to the engine."""
        markers = [next(self._numbers) for _ in self._replicas]
        refusals = await asyncio.gather(
            *(each.query(marker, by=self._key) for each, marker in zip(self._replicas, markers, strict=True))
        )
        for replica, marker, refusal in zip(self._replicas, markers, refusals, strict=True):
            assert refusal, f"{replica.name} allows a query"
            assert self._world.filter_of(marker) is None
            self._outcome.unavailable += refusal.startswith("UNAVAILABLE")


async def revoke_many(
    world: World, number: int, *, seed: int, workers: int = 6, passwords: float = 0.05, minutes: float = 60.0
) -> Outcome:
    """Make so many revocations, several at a time, and return what came of it.

    Args:
        world: the servers.
        number: how many.
        seed: decides what is made where.
        workers: how many are made at a time.
        passwords: the share of passwords among them.
        minutes: none is begun after so many.
    """
    outcome = Outcome()
    deadline = time.monotonic() + 60 * minutes
    numbers = count()

    async def hired() -> Worker:
        while True:
            worker = Worker(world, next(numbers), outcome, seed)
            try:
                await worker.prepare()
            except Unfinished:
                outcome.unfinished += 1
            else:
                return worker

    await world.replicas[0].data("kiteward/row_policies/enable", {"collectionName": COLLECTION})

    async def work() -> None:
        worker = await hired()
        while sum(outcome.made.values()) + len(outcome.faults) < number and time.monotonic() < deadline:
            try:
                await worker.revoke(worker.any_kind(passwords=passwords))
            except Unfinished:
                outcome.unfinished += 1
                worker = await hired()  # nobody knows what has become of what the other had

    await asyncio.gather(*(work() for _ in range(workers)))
    return outcome
