"""kill -9 at any moment: every acknowledged change of the policy is there, no unacknowledged one is half there.

`make crashes` kills more often; `TESTS_CRASH_SEED` repeats which changes are made, though not when a server is killed.
"""

import asyncio
import base64
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from tests.faults.policy_changes import Change, Changes, GrantRow, HeldRole, Person, World
from tests.support import server as real_server

from kiteward.audit.reader import AuditQuery, AuditReader
from kiteward.audit.verify import verify
from kiteward.milvus import messages

ROUNDS: Final = max(25, int(os.environ.get("TESTS_CRASH_ROUNDS", "0")))
FULL_ROUNDS: Final = max(5, ROUNDS // 20)
CLIENTS: Final = "abc"
PATIENCE: Final = 120
"""Seconds within which a server is there; a machine may have other things to do."""

SCRIPT: Final = Path(__file__).parent / "scripts/forking_server.py"
ROOT: Final = Path(__file__).parents[2]


class Caller:
    """Calls RPCs of one server, as any user."""

    def __init__(self, address: str) -> None:
        # Each server has a connection of its own, so that none waits out the back-off of a predecessor.
        self._channel = grpc.aio.insecure_channel(
            address, options=(("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
        )

    async def call(self, method: str, request: Any = None, *, token: str = real_server.ROOT_TOKEN) -> Any:
        """Return the response message."""
        rpc = messages.method_of(method)
        invoke = self._channel.unary_unary(rpc.path)
        header = base64.b64encode(token.encode()).decode()
        payload = (request or rpc.request()).SerializeToString()
        return rpc.response.FromString(await invoke(payload, metadata=(("authorization", header),), timeout=30))

    async def accepts(self, token: str) -> bool:
        """Return whether this user and password are accepted."""
        try:
            await self.call("GetVersion", token=token)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED, error
            return False
        return True

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


class Client:
    """Streams changes of its own names, and knows what must be there."""

    def __init__(self, letter: str, seed: str, *, ddl: bool = False) -> None:
        self.world = World()
        self.in_flight: Change | None = None
        self.outcomes: Counter[str] = Counter()
        self._letter = letter
        self._changes = Changes(letter, random.Random(f"{seed}{letter}"), ddl=ddl)
        self._passwords: dict[str, list[str]] = {}

    async def stream(self, caller: Caller, killed: asyncio.Event) -> None:
        """Make changes until the server is gone."""
        while True:
            change = self.in_flight = self._changes.draw(self.world)
            for name, person in change.after.people.items():
                known = self._passwords.setdefault(name, [])
                if person.password not in known:
                    known.append(person.password)
            try:
                answer = await caller.call(change.method, change.request)
            except grpc.aio.AioRpcError as error:
                assert killed.is_set(), f"{change.method}: {error}"
                return
            assert (answer.code, answer.error_code) == (0, 0), f"{change.method} {change.request}: {answer}"
            self.world, self.in_flight = change.after, None
            self.outcomes["acknowledged"] += 1

    async def compare(self, caller: Caller) -> None:
        """Demand the acknowledged world, with the change in flight wholly done or not at all, and go on from there."""
        found = await self._read(caller)
        if self.in_flight is not None:
            done = found == self.in_flight.after
            self.outcomes[f"{self.in_flight.method} {'done' if done else 'undone'}"] += 1
            if done:
                self.world = self.in_flight.after
        assert found == self.world, f"in flight: {self.in_flight}"
        self.in_flight = None

    async def _read(self, caller: Caller) -> World:
        backup = (await caller.call("BackupRBAC")).RBAC_meta
        described = (await caller.call("SelectUser")).results
        shown = (await caller.call("ShowCollections")).collection_names
        descriptions = {result.user.name: result.description for result in described}
        grants: dict[str, set[GrantRow]] = {}
        for grant in backup.grants:
            row = (grant.object.name, grant.db_name, grant.object_name, grant.grantor.privilege.name)
            grants.setdefault(grant.role.name, set()).add(row)
        passwords = {name: await self._password(caller, name) for name in self._changes.users}
        people = {
            user.user: Person(
                passwords[user.user] or "", descriptions[user.user], frozenset(role.name for role in user.roles)
            )
            for user in backup.users
            if self._owns(user.user)
        }
        accepted = {name for name, password in passwords.items() if password}
        assert accepted == set(people), f"world: {self.world.people}, in flight: {self.in_flight}"
        roles = {
            role.name: HeldRole(role.description, frozenset(grants.get(role.name, ())))
            for role in backup.roles
            if self._owns(role.name)
        }
        groups = {
            group.group_name: frozenset(member.name for member in group.privileges)
            for group in backup.privilege_groups
            if self._owns(group.group_name)
        }
        return World(people, roles, groups, frozenset(name for name in shown if self._owns(name)))

    async def _password(self, caller: Caller, name: str) -> str | None:
        """Return the password that is accepted for a user: of all that it may have or had, at most one is.

        Five are fewer than bring waits.
        """
        worlds = [self.world] if self.in_flight is None else [self.world, self.in_flight.after]
        current = [world.people[name].password for world in worlds if name in world.people]
        recent = self._passwords[name] = self._passwords.get(name, [])[-3:]
        tried = list(dict.fromkeys([*recent, *current]))
        accepted = [password for password in tried if await caller.accepts(f"{name}:{password}")]
        assert len(accepted) <= 1, f"{name} has {len(accepted)} passwords"
        return accepted[0] if accepted else None

    def _owns(self, name: str) -> bool:
        return name.startswith(f"{self._letter}_")


class ForkedServers:
    """Servers of one data directory, one after another, each a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._pid = 0

    async def start(self) -> None:
        """Begin to start a server."""
        assert self._process.stdin is not None
        self._process.stdin.write(b".")
        self._pid = int(await self._line("started"))

    async def ready(self) -> str:
        """Wait until it serves, and return its address."""
        return f"127.0.0.1:{await self._line('ready')}"

    async def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        os.kill(self._pid, signal.SIGKILL)
        while not (await self._next()).startswith("ended"):
            pass
        self._pid = 0

    async def close(self) -> None:
        """Leave nothing running, also after a failure between a fork and the line that reports it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.communicate()

    async def _line(self, word: str) -> str:
        line = await self._next()
        assert line.startswith(f"{word} "), f"{line}:\n{self._log.read_text()}"
        return line.removeprefix(f"{word} ")

    async def _next(self) -> str:
        assert self._process.stdout is not None
        return (await asyncio.wait_for(self._process.stdout.readline(), timeout=PATIENCE)).decode().strip()


@asynccontextmanager
async def forked_servers(directory: Path) -> AsyncIterator[ForkedServers]:
    """Import everything once, so that a server is there in a fraction of a second."""
    log = directory / "servers.log"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(SCRIPT),
            str(directory / "data"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
    servers = ForkedServers(process, log)
    try:
        yield servers
    finally:
        await servers.close()


class Killing:
    """When to kill: after a few more acknowledged changes, and at any moment from then on."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        """Return whether it happens."""
        return self._random.random() < probability

    async def moment(self, clients: list[Client]) -> None:
        """Wait for the moment."""
        acknowledged = _acknowledged(clients) + self._random.randint(0, 10)
        async with asyncio.timeout(30):
            while _acknowledged(clients) < acknowledged:
                await asyncio.sleep(0.001)
        await self.while_starting(0.03)

    async def while_starting(self, longest: float = 0.2) -> None:
        """Wait for some moment, whatever happens meanwhile."""
        await asyncio.sleep(self._random.uniform(0, longest))


def check_trail(directory: Path, *, acknowledged: int, done: int) -> None:
    """Demand a whole trail: every acknowledged change with its end, every other that was made with its beginning."""
    verified = verify(directory)
    assert verified.findings == ()
    outcomes = Counter(entry["outcome"] for entry in AuditReader(directory).every(AuditQuery()) if entry["code"] < 4000)
    assert outcomes["succeeded"] >= acknowledged
    assert outcomes["received"] >= acknowledged + done


def _acknowledged(clients: list[Client]) -> int:
    return sum(client.outcomes["acknowledged"] for client in clients)


def _a_seed() -> str:
    seed = os.environ.get("TESTS_CRASH_SEED", str(time.time_ns()))
    print(f"TESTS_CRASH_SEED={seed}")
    return seed


async def stream_until(
    killing: Killing, clients: list[Client], caller: Caller, kill: Callable[[], Awaitable[None]]
) -> None:
    """Make changes from all clients at the same time, and kill the server meanwhile."""
    killed = asyncio.Event()
    streaming = [asyncio.create_task(client.stream(caller, killed)) for client in clients]
    waiting = asyncio.create_task(killing.moment(clients))
    await asyncio.wait([waiting, *streaming], return_when=asyncio.FIRST_COMPLETED)
    killed.set()
    await kill()
    await asyncio.gather(waiting, *streaming)


@pytest.mark.heavy
@pytest.mark.timeout(300 + 3 * ROUNDS)
async def test_kill_at_any_moment_loses_no_acknowledged_change_and_leaves_none_half_done(tmp_path: Path) -> None:
    seed = _a_seed()
    killing, clients = Killing(seed), [Client(letter, seed) for letter in CLIENTS]
    async with forked_servers(tmp_path) as servers:
        for number in itertools.count():
            await servers.start()
            if killing.chance(0.1):
                # A start is no safer moment than another: recovery itself may be cut short.
                await killing.while_starting()
                await servers.kill()
                await servers.start()
            caller = Caller(await servers.ready())
            for client in clients:
                await client.compare(caller)
            outcomes = sum((client.outcomes for client in clients), Counter())
            done = sum(count for outcome, count in outcomes.items() if outcome.endswith(" done"))
            # Few kills fall between a commit and its answer.
            ends = number >= ROUNDS and (done > ROUNDS // 20 or number >= 4 * ROUNDS)
            if not ends:
                await stream_until(killing, clients, caller, servers.kill)
            await caller.close()
            if ends:
                break
    undone = sum(count for outcome, count in outcomes.items() if outcome.endswith(" undone"))
    print(sorted(outcomes.items()))
    # Kills fell before, between and after commits, else the rounds have shown nothing.
    assert outcomes["acknowledged"] > 3 * ROUNDS
    assert undone > ROUNDS
    assert done > ROUNDS // 20
    check_trail(tmp_path / "data" / "audit", acknowledged=outcomes["acknowledged"], done=done)


@pytest.mark.heavy
@pytest.mark.timeout(300 + 60 * FULL_ROUNDS)
async def test_whole_server_killed_at_any_moment_keeps_grants_and_collections_together(tmp_path: Path) -> None:
    seed = _a_seed()
    killing, clients = Killing(seed), [Client(letter, seed, ddl=True) for letter in CLIENTS[:2]]
    for number in range(FULL_ROUNDS + 1):
        running = await asyncio.to_thread(real_server.start, tmp_path / "data")
        caller = Caller(f"{running.host}:{running.port}")

        async def kill(process: subprocess.Popen[bytes] = running.process) -> None:
            process.kill()
            await asyncio.to_thread(process.wait)

        try:
            for client in clients:
                await client.compare(caller)
            if number < FULL_ROUNDS:
                await stream_until(killing, clients, caller, kill)
        finally:
            await kill()
            await caller.close()
    assert _acknowledged(clients) > FULL_ROUNDS
    check_trail(tmp_path / "data" / "audit", acknowledged=_acknowledged(clients), done=0)
