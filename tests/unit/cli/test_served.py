"""Commands near a running server: it carries them out, and where it cannot, the command does so itself."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.cli.conftest import Run

from kiteward import __version__
from kiteward.bootstrap.command_wire import SOCKET
from kiteward.cli import sending
from kiteward.cli import served as client
from kiteward.cli.main import main
from kiteward.iam.json_api import ADMIN_OPERATIONS

GREETING = json.dumps({"version": __version__, "store": ""}).encode() + b"\n"


@contextmanager
def answering(directory: Path, *said: bytes | None) -> Iterator[list[bytes]]:
    """Listen in a data directory as a server would, and say these lines: the first at once, the others when asked.

    None says nothing and keeps the connection open. Yields the requests that have come.
    """
    asked: list[bytes] = []
    ready, end = threading.Event(), threading.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, each in enumerate(said):
            if number:
                asked.append(await reader.readline())
            if each is None:
                await reader.read()
            else:
                writer.write(each)
                await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_unix_server(serve, directory / SOCKET)
        ready.set()
        await asyncio.to_thread(end.wait)
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    ready.wait()
    try:
        yield asked
    finally:
        end.set()
        thread.join()
        (directory / SOCKET).unlink()


@pytest.fixture(scope="module")
def unserved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that no server uses."""
    directory = tmp_path_factory.mktemp("kept") / "data"
    assert main(["init", "--admin", "db_admin", "--data-dir", str(directory)]) == 0
    return directory


def unasked(directory: Path, why: str) -> str:
    """What is said of a server that is not asked."""
    return (
        f"kiteward: the server that uses {directory} {why}, so that it is not asked: what this command changes is in "
        "force there only when it has read the store again\n"
    )


def test_a_command_says_what_the_server_says(run: Run, unserved: Path) -> None:
    answer = json.dumps({"data": {"changed": True}}).encode()
    with answering(unserved, GREETING, answer + b"\n") as asked:
        assert run("users", "unlock", "db_admin", "--data-dir", str(unserved)) == (0, "done\n", "")
    assert asked == [b'kiteward/users/unlock {"userName": "db_admin"}\n']


@pytest.mark.parametrize(
    ("greeting", "why"),
    [
        (json.dumps({"version": "99.0", "store": ""}).encode() + b"\n", "is of version 99.0"),
        (json.dumps({"version": "\x1b[31m", "store": ""}).encode() + b"\n", "is of version \\u001b[31m"),
        (json.dumps({"version": __version__, "store": "postgresql://[::1]:5432/other"}).encode() + b"\n", ""),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not answer as this version does"),
        (b"[]\n", "does not answer as this version does"),
        (b"\xff\n", "does not answer as this version does"),
        (b"", "says nothing"),
    ],
    ids=["version", "control", "store", "no-json", "list", "bytes", "nothing"],
)
def test_a_server_that_means_something_else_is_not_asked(run: Run, unserved: Path, greeting: bytes, why: str) -> None:
    with answering(unserved, greeting, None) as asked:
        status, printed, told = run("users", "list", "--data-dir", str(unserved))
    assert (status, "db_admin" in printed, told) == (0, True, unasked(unserved, why) if why else "")
    assert asked in ([], [b""])


def test_a_server_that_hangs_keeps_nobody_from_revoking_a_key(
    run: Run, unserved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_GREETING_WITHIN", 0.1)
    said = unasked(unserved, "says nothing")
    with answering(unserved, None):
        assert run("users", "disable", "root", "--data-dir", str(unserved)) == (0, "done\n", said)
        assert run("users", "enable", "root", "--data-dir", str(unserved)) == (0, "done\n", said)


def test_a_server_that_hangs_after_its_greeting_leaves_the_outcome_open_and_says_so(
    run: Run, unserved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.1)
    with answering(unserved, GREETING, None):
        status, printed, told = run("users", "create", "reader", "--data-dir", str(unserved))
    assert (status, printed) == (1, "")
    assert "the server does not answer: look whether a change was made before you repeat it" in told


def test_a_request_that_took_too_long_is_said_in_words(run: Run, unserved: Path) -> None:
    answer = json.dumps({"fault": "request timeout", "field": ""}).encode() + b"\n"
    with answering(unserved, GREETING, answer):
        status, _, told = run("collections", "list", "--data-dir", str(unserved))
    assert status == 1
    assert "the server could not finish this in the time that it has for a request" in told


def test_commands_wait_without_a_limit_for_the_endpoints_that_take_long() -> None:
    long = {row.path for row in ADMIN_OPERATIONS.values() if row.long}
    endless = {row.path for row in ADMIN_OPERATIONS.values() if sending.seconds_for(f"kiteward/{row.path}") is None}
    assert long == endless == {"policy/export", "policy/plan", "policy/apply"}


@pytest.mark.parametrize("answer", [b"", b'{"data": ', b'{"data": {"users": []', b" " * 1000 + b"{}\n"])
def test_a_server_that_ends_leaves_the_outcome_open_and_says_so(
    run: Run, unserved: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(client, "LONGEST_LINE", 500)
    with answering(unserved, GREETING, answer):
        status, printed, told = run("users", "create", "reader", "--data-dir", str(unserved))
    assert (status, printed) == (1, "")
    assert told == (
        "kiteward: the server ended before it answered: look whether a change was made before you repeat it\n"
    )
    assert "reader" not in run("users", "list", "--data-dir", str(unserved))[1]


def test_a_change_near_is_in_force_on_the_server_when_the_command_ends(run: Run, served: SimpleNamespace) -> None:
    def users_of(*where: str) -> str:
        return run("users", "list", *where)[1]

    run("users", "create", "leaver", "--data-dir", served.data)
    key = json.loads(run("keys", "create", "leaver", "--json", "--data-dir", served.data)[1])
    file = Path(served.data).parent / "key"
    file.write_text(key["key"])
    far = ("--server", served.url, "--token-file", str(file))
    assert run("whoami", *far)[0] == 0
    assert run("keys", "revoke", key["keyId"], "--data-dir", served.data)[0] == 0
    status, _, told = run("whoami", *far)
    assert (status, "does not accept the credential" in told) == (1, True)
    assert "leaver" in users_of("--data-dir", served.data)
    assert run("users", "delete", "leaver", "--data-dir", served.data)[0] == 0


def test_a_configuration_of_another_store_is_not_carried_out_by_the_server(
    run: Run, served: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def refuse(settings: object, **_more: object) -> object:
        opened.append(str(settings))
        raise OSError("the store of the configuration is opened here")

    monkeypatch.setattr("kiteward.bootstrap.local_gateway.open_store", refuse)
    file = tmp_path / "milvus.yaml"
    file.write_text(f"kiteward:\n  dataDir: {served.data}\n  store:\n    url: postgresql://u@127.0.0.1:1/other\n")
    status, _, told = run("users", "list", "--config", str(file))
    assert (status, told, len(opened)) == (1, "kiteward: the store of the configuration is opened here\n", 1)


def test_everything_that_is_wrong_has_a_line_of_its_own_wherever_the_command_goes(
    run: Run, served: SimpleNamespace, unserved: Path
) -> None:
    far = ("--server", served.url, "--token-file", served.token)
    for where in (far, ("--data-dir", served.data), ("--data-dir", str(unserved))):
        wrong = ("--description", "x" * 1025, "--expires-in-days", "100000")
        status, printed, told = run("keys", "create", "root", *wrong, *where)
        assert (status, printed) == (1, "")
        description, lifetime, *rest = told.splitlines()
        assert description == "kiteward: --description must be at most 1024 bytes"
        assert lifetime.startswith("kiteward: --expires-in-days must be more than 0, and at most ")
        assert rest == []
