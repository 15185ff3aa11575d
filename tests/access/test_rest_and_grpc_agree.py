"""The same random calls over gRPC and REST, by random principals: neither transport allows what the other refuses."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
from tests.access.equivalence.cluster import NAMING_STORAGE, NOT_SERVED
from tests.access.equivalence.request_pairs import DENIED, OK, UNAUTHENTICATED
from tests.access.equivalence.runner import COUNTERPARTS, Runner, Tally
from tests.support.gateway import bootstrapped, presented, quick_directory

from kiteward.api.rest.endpoint_table import TABLE
from kiteward.api.rest.endpoints import PREFIX
from kiteward.domain.errors import AccessDenied
from kiteward.gateway.call import Call
from kiteward.gateway.gateway import Gateway
from kiteward.milvus import messages
from kiteward.store import sqlite

_EPISODE: Final = 300
_SHORT: Final = 2 * _EPISODE
_SECONDS_TO_MINIMISE: Final = 30.0
_ENOUGH_FOR_EVERY_ENDPOINT: Final = 10_000
_FEW: Final = 4
_DRAWN_MORE_OFTEN: Final = ("roles/grant_privilege", "roles/grant_privilege_v2", "collections/create")
_DENIED_TO_NOBODY: Final = {
    *NOT_SERVED,
    # They answer less instead: that something does not exist, or a shorter list.
    "collections/list",
    "collections/has",
    "collections/describe",
    "databases/list",
}


def _calls() -> int:
    return int(os.environ.get("TESTS_EQUIVALENCE_CALLS", "3120"))


def _seed() -> int:
    return int(os.environ.get("TESTS_EQUIVALENCE_SEED", "20261121"))


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a bootstrapped store; SQLite does not wait for the disk, durability is tested elsewhere."""
    pragmas = tuple(pragma.replace("synchronous=FULL", "synchronous=OFF") for pragma in sqlite._DURABLE)
    assert pragmas != sqlite._DURABLE
    monkeypatch.setattr(sqlite, "_DURABLE", pragmas)
    with quick_directory() as directory:
        bootstrapped(directory / "bootstrapped.db")
        yield directory


def test_every_endpoint_has_a_counterpart_or_a_reason_to_have_none() -> None:
    # Operations of our own are offered over REST alone.
    milvus = {path.removeprefix(PREFIX): endpoint for path, endpoint in TABLE.items() if path.startswith(PREFIX)}
    served = {path for path, endpoint in milvus.items() if endpoint.served}
    refused = set(milvus) - served
    assert set(COUNTERPARTS) == served | refused, "draw requests to it in tests/access/equivalence"
    assert set(NOT_SERVED) == refused
    assert all(NOT_SERVED.values())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("calls", [_SHORT, pytest.param(_calls(), marks=pytest.mark.heavy)], ids=["short", "long"])
async def test_neither_transport_allows_what_the_other_refuses(stores: Path, calls: int) -> None:
    # In short form every endpoint is called a few times; in long form also allowed at times, and denied if it can be.
    runner, tally = Runner(stores / "bootstrapped.db", stores), Tally()
    seeds = random.Random(_seed())
    while (left := calls - tally.exchanges) > 0:
        seed = seeds.randrange(2**32)
        mismatch = await runner.episode(seed, _paths(random.Random(seed), min(left, _EPISODE)), tally)
        if mismatch is not None:
            shortest = await runner.minimised(mismatch, seconds=_SECONDS_TO_MINIMISE)
            pytest.fail(f"episode {seed}, {len(mismatch.steps)} steps, cut down to:\n{shortest}")
    assert set(tally.by_path) == set(COUNTERPARTS)
    _demand_all_outcomes(tally)
    if calls > _SHORT:
        _demand_variety(tally)


def _paths(draw: random.Random, number: int) -> list[str]:
    """Return endpoints in random order: all of them equally often, but for those that grant."""
    every = [*sorted(COUNTERPARTS), *_DRAWN_MORE_OFTEN]
    paths: list[str] = []
    while len(paths) < number:
        paths += draw.sample(every, len(every))
    return paths[:number]


def _demand_all_outcomes(tally: Tally) -> None:
    """Demand that the run was worth something: a good part was allowed, another one denied."""
    total = tally.exchanges
    assert tally.outcomes[OK] > total * 0.2, tally.outcomes
    assert tally.outcomes[DENIED] > total * 0.15, tally.outcomes
    assert tally.outcomes[UNAUTHENTICATED] > total * 0.05, tally.outcomes


def _demand_variety(tally: Tally) -> None:
    """Demand that every endpoint was allowed at times, and denied if it can be."""
    spared = 0 if tally.exchanges >= _ENOUGH_FOR_EVERY_ENDPOINT else _FEW
    never_allowed = {path for path, seen in tally.by_path.items() if not seen[OK]}
    never_denied = {path for path, seen in tally.by_path.items() if not seen[DENIED]}
    assert never_allowed >= set(NOT_SERVED) | NAMING_STORAGE
    assert never_denied >= _DENIED_TO_NOBODY
    assert len(never_allowed - set(NOT_SERVED) - NAMING_STORAGE) <= spared, never_allowed
    assert len(never_denied - _DENIED_TO_NOBODY) <= spared, never_denied


class _Broken:
    """A gateway behind a REST API that has a defect."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def handle(self, call: Call[bytes]) -> bytes:
        return await self._gateway.handle(self.changed(call))

    def changed(self, call: Call[bytes]) -> Call[bytes]:
        return call


class _ForgetsTheDatabase(_Broken):
    def changed(self, call: Call[bytes]) -> Call[bytes]:
        return call._replace(database="")


class _AsksAsRoot(_Broken):
    def changed(self, call: Call[bytes]) -> Call[bytes]:
        return call._replace(credential=presented("root"))


class _AsksForAnotherCollection(_Broken):
    def changed(self, call: Call[bytes]) -> Call[bytes]:
        message: Any = messages.decode(call.operation, call.payload)
        if getattr(message, "collection_name", "") != "c1":
            return call
        message.collection_name = "c2"
        return call._replace(payload=message.SerializeToString())


class _HidesRefusals(_Broken):
    async def handle(self, call: Call[bytes]) -> bytes:
        try:
            return await self._gateway.handle(call)
        except AccessDenied:
            return messages.success(call.operation)


class _ChangesTwice(_Broken):
    async def handle(self, call: Call[bytes]) -> bytes:
        if call.operation == "OperatePrivilegeV2":
            await self._gateway.handle(call)
            fields = {"entity": {"name": "behind_the_back"}}
            payload = messages.method_of("CreateRole").request(**fields).SerializeToString()
            return await self._gateway.handle(call._replace(operation="CreateRole", payload=payload))
        return await self._gateway.handle(call)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "broken", [_ForgetsTheDatabase, _AsksAsRoot, _AsksForAnotherCollection, _HidesRefusals, _ChangesTwice]
)
async def test_defect_of_one_transport_is_noticed(stores: Path, broken: type[_Broken]) -> None:
    runner = Runner(stores / "bootstrapped.db", stores, lambda gateway: cast("Gateway", broken(gateway)))
    for seed in range(_FEW):
        mismatch = await runner.episode(seed, _paths(random.Random(seed), _EPISODE), Tally())
        if mismatch is not None:
            break
    assert mismatch is not None
    shortest = await runner.minimised(mismatch, seconds=1.0)
    assert len(shortest.steps) <= len(mismatch.steps)
    assert "the transports differ in" in str(shortest)
