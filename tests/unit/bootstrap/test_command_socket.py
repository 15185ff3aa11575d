"""The socket of a server for commands: what it answers, whom it refuses, and how it ends."""

import ast
import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from tests.support.described import described
from tests.support.engine import FakeEngine
from tests.support.in_process_server import serving

import kiteward
from kiteward import __version__
from kiteward.api.rest.settings import RestSettings
from kiteward.bootstrap import command_socket
from kiteward.bootstrap.command_socket import CommandSocket, listen_for_commands
from kiteward.bootstrap.command_wire import SOCKET
from kiteward.bootstrap.server import Server
from kiteward.bootstrap.system_user import system_user
from kiteward.config.settings import Settings

LIST_USERS = b"kiteward/users/list {}\n"


class Connection:
    """A connection to the socket of a data directory."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def line(self) -> Any:
        """The next line of the server; None at the end."""
        async with asyncio.timeout(30):
            line = await self.reader.readline()
        return json.loads(line) if line else None

    async def ask(self, line: bytes) -> Any:
        self.writer.write(line)
        return await self.line()


@asynccontextmanager
async def connection_to(directory: Path) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_unix_connection(directory / SOCKET)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Server, FakeEngine]]:
    async with serving(tmp_path) as server:
        yield server


@pytest.fixture
async def connection(tmp_path: Path, served: object) -> AsyncIterator[Connection]:
    async with connection_to(tmp_path / "data") as made:
        assert await made.line() == {"version": __version__, "store": ""}
        yield made


async def test_requests_of_one_connection_are_answered_one_after_another(connection: Connection) -> None:
    connection.writer.write(LIST_USERS * 2)
    for _ in range(2):
        assert [each["userName"] for each in (await connection.line())["data"]["users"]] == ["root"]
    created = await connection.ask(b'vectordb/roles/create {"roleName": "reader"}\n')
    assert created == {"data": {}}


@pytest.mark.parametrize(
    ("line", "fault", "field"),
    [
        (b"kiteward/users/none {}\n", "there is no endpoint /v2/kiteward/users/none", ""),
        (b"\xff {}\n", "there is no endpoint", ""),
        (b"\n", "there is no endpoint", ""),
        (b'kiteward/users/describe {"userName": "nobody"}\n', "user not found: nobody", "userName"),
        (b'kiteward/users/describe {"name": "nobody"}\n', "unknown field `name`", ""),
        (b"kiteward/users/list [\n", "can only accept json format request", ""),
        (b"kiteward/users/list\n", "can only accept json format request", ""),
    ],
)
async def test_what_is_wrong_is_said_and_the_connection_goes_on(
    connection: Connection, line: bytes, fault: str, field: str
) -> None:
    answer = await connection.ask(line)
    assert fault in answer["fault"]
    assert answer["field"] == field
    assert "data" in await connection.ask(LIST_USERS)


async def test_an_unexpected_failure_is_logged_and_not_shown(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_arguments: object, **_more: object) -> bytes:
        raise RuntimeError("a secret")

    monkeypatch.setattr(command_socket, "answer_to", fail)
    answer = await connection.ask(LIST_USERS)
    assert answer == {"fault": "the request failed unexpectedly; the log of the server says how", "field": ""}
    assert "a request of a command failed unexpectedly" in caplog.text


async def test_a_request_ends_as_over_rest_when_the_engine_does_not_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, rest=RestSettings(request_timeout=0.2)) as (_, engine):
        engine.hold("DescribeCollection")
        async with connection_to(tmp_path / "data") as made:
            await made.line()
            answer = await made.ask(b'vectordb/collections/describe {"collectionName": "docs"}\n')
            assert answer == {"fault": "request timeout", "field": ""}
            assert "data" in await made.ask(LIST_USERS)


async def test_what_takes_long_by_nature_has_more_time(tmp_path: Path) -> None:
    own_policy = {"actions": ["Query"], "using": "owner == 1"}
    rows = [{"collection": "docs", "policies": {"own": own_policy}}]
    body = json.dumps({"policy": {"version": 1, "rowPolicies": rows}}).encode()
    async with serving(tmp_path, rest=RestSettings(request_timeout=0.05)) as (_, engine):
        engine.create("docs")
        engine.answers["DescribeCollection"] = described(owner="Int64")
        gate = engine.hold("DescribeCollection")
        async with connection_to(tmp_path / "data") as made:
            await made.line()
            planning = asyncio.ensure_future(made.ask(b"kiteward/policy/plan " + body + b"\n"))
            await engine.reached("DescribeCollection")
            await asyncio.sleep(0.2)
            gate.set()
            assert (await planning)["data"]["faults"] == []


async def test_the_trail_names_the_user_of_the_operating_system(tmp_path: Path, connection: Connection) -> None:
    await connection.ask(b'kiteward/users/create {"userName": "reader"}\n')
    lines = "".join(path.read_text() for path in (tmp_path / "data" / "audit").glob("*.jsonl"))
    (line,) = (json.loads(each) for each in lines.splitlines() if '"CreateUserAccount"' in each and "succeeded" in each)
    assert line["transport"] == "local"
    assert line["client"] == f"system user {system_user()}"


@pytest.mark.parametrize(("user", "accepted"), [(4242, False), (0, True), (None, True)])
async def test_another_user_than_that_of_the_server_and_the_superuser_is_refused(
    tmp_path: Path,
    served: object,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    user: int | None,
    accepted: bool,
) -> None:
    caplog.set_level(logging.WARNING, "kiteward.commands")
    monkeypatch.setattr(command_socket, "user_of_peer", lambda _: user)
    async with connection_to(tmp_path / "data") as made:
        assert (await made.line() is not None) == accepted
    assert ("user id 4242 connected to commands.sock" in caplog.text) != accepted


async def test_authorization_that_is_off_makes_no_difference_to_the_operator(tmp_path: Path) -> None:
    async with serving(tmp_path, authorization=False), connection_to(tmp_path / "data") as made:
        await made.line()
        assert (await made.ask(b"kiteward/whoami/describe {}\n"))["data"]["credential"] == "local"


async def test_limits_of_requests_do_not_keep_the_operator_out(connection: Connection) -> None:
    await connection.ask(b'kiteward/limits/set {"userName": "root", "requestsPerSecond": 0.001, "burst": 1}\n')
    for _ in range(3):
        assert "data" in await connection.ask(LIST_USERS)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Requests that end when the test says so."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(*_arguments: object, **_more: object) -> bytes:
        begun.set()
        await go_on.wait()
        return b'{"data": {}}\n'

    monkeypatch.setattr(command_socket, "answer_to", work)
    return SimpleNamespace(begun=begun, go_on=go_on)


@pytest.fixture
def open_socket(tmp_path: Path) -> Callable[[AsyncExitStack], Awaitable[None]]:
    async def opened(stack: AsyncExitStack) -> None:
        gateway: Any = object()
        await CommandSocket(gateway, store="", timeout=30.0).open(stack, tmp_path)

    return opened


async def test_a_stop_answers_what_is_in_progress_and_ends_idle_connections(
    tmp_path: Path, slow: SimpleNamespace, open_socket: Callable[[AsyncExitStack], Awaitable[None]]
) -> None:
    stack = AsyncExitStack()
    await open_socket(stack)
    async with connection_to(tmp_path) as busy, connection_to(tmp_path) as idle:
        assert None not in (await busy.line(), await idle.line())
        busy.writer.write(LIST_USERS)
        await slow.begun.wait()
        stopping = asyncio.create_task(stack.aclose())
        assert await idle.line() is None
        assert not stopping.done()
        slow.go_on.set()
        assert await busy.line() == {"data": {}}
        assert await busy.line() is None
        await stopping
    assert not (tmp_path / SOCKET).exists()


async def test_a_stop_does_not_wait_for_ever(
    tmp_path: Path,
    slow: SimpleNamespace,
    open_socket: Callable[[AsyncExitStack], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(command_socket, "_GRACE", 0.05)
    stack = AsyncExitStack()
    await open_socket(stack)
    async with connection_to(tmp_path) as busy:
        await busy.line()
        busy.writer.write(LIST_USERS)
        await slow.begun.wait()
        await stack.aclose()
        assert await busy.line() is None
    assert not caplog.records


async def test_a_command_that_goes_away_does_no_harm(
    tmp_path: Path,
    open_socket: Callable[[AsyncExitStack], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = 0

    async def work(*_arguments: object, **_more: object) -> bytes:
        nonlocal begun
        begun += 1
        for _ in range(10):  # meanwhile the loop sees what has become of the connection
            await asyncio.sleep(0)
        return b'{"data": {}}\n'

    monkeypatch.setattr(command_socket, "answer_to", work)
    async with AsyncExitStack() as stack:
        await open_socket(stack)
        with closing(socket.socket(socket.AF_UNIX)) as gone:
            gone.connect(os.fspath(tmp_path / SOCKET))
            gone.sendall(LIST_USERS * 3)
        async with asyncio.timeout(30), connection_to(tmp_path) as other:
            await other.line()
            while begun < 3:
                assert await other.ask(LIST_USERS) == {"data": {}}
            assert await other.ask(LIST_USERS) == {"data": {}}
    assert not caplog.records


async def test_a_request_that_comes_in_as_the_server_stops_is_not_begun(
    tmp_path: Path, slow: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving: list[Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]] = []

    async def listen(*arguments: Any, **_more: object) -> SimpleNamespace:
        serving.append(arguments[3])
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(command_socket, "listen_in", listen)
    monkeypatch.setattr(command_socket, "user_of_peer", lambda _: None)
    slow.go_on.set()
    gateway: Any = object()
    stack = AsyncExitStack()
    await CommandSocket(gateway, store="", timeout=30.0).open(stack, tmp_path)
    reader, writer = asyncio.StreamReader(), Mock(asyncio.StreamWriter)
    connection = asyncio.ensure_future(serving[0](reader, writer))
    await asyncio.sleep(0)
    reader.feed_data(LIST_USERS)  # it wakes the connection, which runs after the stop has begun
    await stack.aclose()
    await connection
    assert not slow.begun.is_set()


async def test_a_line_without_an_end_is_no_request(
    tmp_path: Path, slow: SimpleNamespace, open_socket: Callable[[AsyncExitStack], Awaitable[None]]
) -> None:
    async with AsyncExitStack() as stack:
        await open_socket(stack)
        async with connection_to(tmp_path) as cut:
            await cut.line()
            cut.writer.write(LIST_USERS.rstrip())
            cut.writer.write_eof()
            assert await cut.line() is None
        assert not slow.begun.is_set()


async def test_where_no_socket_can_be_made_the_server_starts_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data" / SOCKET).mkdir(parents=True)
    async with serving(tmp_path) as (server, _):
        assert server.port
    assert "commands on this machine cannot reach the server, and open the store themselves" in caplog.text


def test_nothing_that_is_received_becomes_the_operator_of_the_machine() -> None:
    callers: dict[str, set[str]] = {"LocalCredential": set(), "local_client": set()}
    for path in Path(kiteward.__file__).parent.rglob("*.py"):
        for each in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(each, ast.Call)
                and (name := getattr(each.func, "id", getattr(each.func, "attr", ""))) in callers
            ):
                callers[name].add(path.stem)
    assert callers == {
        "LocalCredential": {"local_gateway"},
        "local_client": {"command_socket", "near", "policy_import"},
    }


@pytest.mark.parametrize(("number", "listens"), [(None, True), (1, True), (2, False)])
async def test_of_several_workers_the_first_listens(tmp_path: Path, number: int | None, listens: bool) -> None:
    place: Any = None if number is None else SimpleNamespace(forwards=number == 1)
    gateway: Any = object()
    async with AsyncExitStack() as stack:
        await listen_for_commands(stack, Settings(data_dir=tmp_path), gateway, place=place)
        assert (tmp_path / SOCKET).exists() == listens
