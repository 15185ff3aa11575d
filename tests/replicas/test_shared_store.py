"""Three real servers on one PostgreSQL: revocations hold on all of them, also when one is stopped, cut off or slow."""

import asyncio
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import cycle
from pathlib import Path

import pytest
import pytest_asyncio
from tests.replicas.revocations import revoke_many
from tests.replicas.world import NOT_AUTHENTICATED, UNAVAILABLE, Replica, World, running
from tests.support import postgresql, server

from kiteward import __version__
from kiteward.authn.throttle import FREE_FAILURES

LEASE = 3
SLACK = 5.0
"""Seconds beyond a lease that a machine may take that does other things too."""

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    # Processes that are stopped and killed leave connections of the proxies half open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, cluster: postgresql.Cluster) -> AsyncIterator[World]:
    async with running(tmp_path_factory.mktemp("replicas"), cluster, lease=LEASE) as world:
        yield world


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def all_serve(world: World) -> None:
    """Wait until every server says that it is ready."""

    async def ready() -> bool:
        return all([(await replica.health())[0] == 200 for replica in world.replicas])

    await until(ready)


async def a_key(world: World, user: str) -> tuple[str, dict[str, str]]:
    """Return an API key that every server has accepted, and the body that revokes it."""
    await all_serve(world)
    root = world.replicas[0]
    await root.data("kiteward/users/create", {"userName": user, "password": "Some-password-1"})
    created = await root.data("kiteward/api_keys/create", {"userName": user})
    for replica in world.replicas:
        await replica.data("kiteward/whoami/describe", by=created["key"])
    return created["key"], {"keyId": created["keyId"]}


async def revoke(replica: Replica, body: dict[str, str]) -> float:
    """Revoke an API key and return how long its acknowledgement took."""
    began = time.monotonic()
    await replica.data("kiteward/api_keys/revoke", body)
    return time.monotonic() - began


def command(world: World, *arguments: str) -> str:
    """Run a command with the configuration of the first server, and return what it prints.

    It waits longer for the database than servers do: a busy machine is none of what is tested by it.
    """
    directory = world.replicas[0].running.data_dir
    line = [sys.executable, "-m", "kiteward", *arguments, "--data-dir", str(directory)]
    line += ["--config", str(directory.with_name("data.yaml"))]
    patient = {**os.environ, "KITEWARD_STORE_TIMEOUT": "60"}
    done = subprocess.run(line, env=patient, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.heavy
async def test_no_server_accepts_what_was_revoked(world: World) -> None:
    """`make replicas` makes thousands."""
    outcome = await revoke_many(world, 100, seed=1, passwords=0.12)
    assert not outcome.faults, outcome.examples
    assert sum(outcome.made.values()) >= 100
    assert len(outcome.made) == 8


async def counted(world: World, result: str) -> float:
    """Return how many passwords had a result, over all servers."""
    wanted = f'kiteward_authentications_total{{kind="password",result="{result}"}}'
    return sum([(await replica.metrics())[wanted] for replica in world.replicas])


async def test_guesser_has_no_more_attempts_at_three_servers_than_at_one(world: World) -> None:
    await world.replicas[0].data("kiteward/users/create", {"userName": "emma", "password": "Some-password-1"})
    refused, throttled = await counted(world, "refused"), await counted(world, "throttled")
    began = time.monotonic()
    servers = cycle(world.replicas)
    codes = await asyncio.gather(*(next(servers).guess("emma", f"Wrong-password-{number}") for number in range(30)))
    lasted = time.monotonic() - began
    assert set(codes) == {NOT_AUTHENTICATED}
    verified = await counted(world, "refused") - refused
    # Waits are 1, 2, 4 ... seconds: so many more are verified in the time that it took.
    assert FREE_FAILURES <= verified <= FREE_FAILURES + math.log2(lasted + 1.0) + 1
    assert verified + await counted(world, "throttled") - throttled == 30


async def test_stopped_server_delays_a_revocation_by_its_lease_and_refuses_when_it_goes_on(world: World) -> None:
    one, two, three = world.replicas
    key, body = await a_key(world, "stopped")
    two.stop()
    assert LEASE - 0.5 < await revoke(one, body) < LEASE + SLACK
    # It reads this before it can renew its lease.
    answering = asyncio.create_task(two.ask("kiteward/whoami/describe", by=key))
    await asyncio.sleep(0.2)
    two.go_on()
    answer = await answering
    assert answer["code"] == UNAVAILABLE, answer
    assert (await three.ask("kiteward/whoami/describe", by=key))["code"] == NOT_AUTHENTICATED

    async def back() -> bool:
        return int((await two.ask("kiteward/whoami/describe", by=key))["code"]) == NOT_AUTHENTICATED

    await until(back)
    await all_serve(world)


async def test_only_the_first_revocation_waits_for_a_stopped_server(world: World) -> None:
    one, two, three = world.replicas
    _, first = await a_key(world, "waited")
    _, second = await a_key(world, "not_waited")
    two.stop()
    await revoke(one, first)

    async def removed() -> bool:
        return world.cluster.sql("SELECT count(*) FROM replicas", database=world.database.database) == "2"

    await until(removed)
    late = (await three.metrics())["kiteward_replica_leases_waited_out_total"]
    await revoke(three, second)
    assert (await three.metrics())["kiteward_replica_leases_waited_out_total"] == late
    two.go_on()
    await all_serve(world)


async def test_server_that_is_cut_off_serves_until_its_lease_is_over_and_comes_back_by_itself(world: World) -> None:
    one, _, three = world.replicas
    key, body = await a_key(world, "cut_off")
    other, _ = await a_key(world, "stays")
    three.proxy.cut()
    assert (await three.ask("kiteward/whoami/describe", by=key))["code"] == 0
    assert LEASE - 0.5 < await revoke(one, body) < LEASE + SLACK
    for each in (key, other):
        answer = await three.ask("kiteward/whoami/describe", by=each)
        assert (answer["code"], answer["reason"]) == (UNAVAILABLE, "lease_over")
        assert "lost contact with its store" in answer["message"]
    assert "lease" in (await three.health())[1]
    assert (await three.query(1, by=other)).startswith("UNAVAILABLE: this server has lost contact with its store")
    assert (await one.ask("kiteward/whoami/describe", by=other))["code"] == 0
    three.proxy.mend()
    await all_serve(world)
    assert (await three.ask("kiteward/whoami/describe", by=other))["code"] == 0
    assert (await three.ask("kiteward/whoami/describe", by=key))["code"] == NOT_AUTHENTICATED


async def test_slow_database_delays_acknowledgements_by_a_lease_at_most(world: World) -> None:
    one, two, _ = world.replicas
    key, body = await a_key(world, "slow")
    two.proxy.delay = 0.4
    assert await revoke(one, body) < LEASE + SLACK
    assert (await two.ask("kiteward/whoami/describe", by=key))["code"] in (NOT_AUTHENTICATED, UNAVAILABLE)
    two.proxy.delay = 0.0
    await all_serve(world)


async def test_users_in_use_survive_an_outage_of_the_database_up_to_the_lease(world: World) -> None:
    key, body = await a_key(world, "outage")
    with world.cluster.halted():
        for replica in world.replicas:
            assert (await replica.ask("kiteward/whoami/describe", by=key))["code"] == 0

        async def refused() -> bool:
            answers = [await each.ask("kiteward/whoami/describe", by=key) for each in world.replicas]
            return all(answer.get("reason") == "lease_over" for answer in answers)

        await until(refused)
        assert (await world.replicas[0].ask("kiteward/api_keys/revoke", body))["code"] == UNAVAILABLE
    await all_serve(world)
    for replica in world.replicas:
        assert (await replica.ask("kiteward/whoami/describe", by=key))["code"] == 0


async def test_change_by_the_command_line_holds_on_every_server_when_it_returns(world: World) -> None:
    key, _ = await a_key(world, "by_command")
    await asyncio.to_thread(command, world, "users", "disable", "by_command")
    for replica in world.replicas:
        assert (await replica.ask("kiteward/whoami/describe", by=key))["code"] == NOT_AUTHENTICATED


async def test_each_server_and_the_command_line_list_all_servers(world: World) -> None:
    await all_serve(world)
    for replica in world.replicas:
        found = (await replica.data("kiteward/server/list"))["servers"]
        assert sorted(each["name"] for each in found) == sorted(each.name for each in world.replicas)
        assert [each["name"] for each in found if each["thisServer"]] == [replica.name]
        assert {(each["lease"], each["version"]) for each in found} == {("held", __version__)}
    listed = await asyncio.to_thread(command, world, "servers", "list", "--json")
    assert [each["lease"] for each in json.loads(listed)] == ["held"] * len(world.replicas)


async def test_server_with_an_embedded_engine_is_refused_beside_others(world: World, tmp_path: Path) -> None:
    config = tmp_path / "embedded.yaml"
    store = f"{{url: '{world.cluster.url(world.database.database)}', password: '{postgresql.PASSWORD}'}}"
    config.write_text(f"kiteward: {{store: {store}, metrics: {{enabled: false}}}}", encoding="utf-8")
    command = server.command(tmp_path / "data", "--config", str(config))
    refused = await asyncio.to_thread(server.refused_start, command, cwd=tmp_path)
    assert "has an embedded engine, whose data no other server has" in refused.stderr
    await all_serve(world)


async def test_server_that_stops_in_order_is_waited_for_by_nobody(world: World) -> None:
    one, _, three = world.replicas
    _, body = await a_key(world, "in_order")
    late = (await one.metrics())["kiteward_replica_leases_waited_out_total"]
    await asyncio.to_thread(three.running.stop)
    await revoke(one, body)
    assert (await one.metrics())["kiteward_replica_leases_waited_out_total"] == late
