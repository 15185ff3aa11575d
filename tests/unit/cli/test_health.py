"""`kiteward health` says whether the server on this machine is ready, as its exit status."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kiteward.cli.main import main


@dataclass(slots=True)
class Port:
    """A port for health; each request is answered by the next of `answers`, the last one again and again."""

    answers: list[tuple[int, str]]
    paths: list[str] = field(default_factory=list)
    number: int = 0


@pytest.fixture
def port() -> Iterator[Port]:
    found = Port([(200, "OK")])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.paths.append(self.path)
            status, text = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the name in the library
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.number = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def health(port: Port, *arguments: str) -> int:
    return main(["health", "--port", str(port.number), *arguments])


def test_a_server_that_is_ready_has_status_zero(port: Port, capsys: pytest.CaptureFixture[str]) -> None:
    assert health(port) == 0
    assert capsys.readouterr().out == "OK\n"
    assert port.paths == ["/healthz"]


def test_a_server_that_is_not_ready_has_status_one_and_says_which_part(
    port: Port, capsys: pytest.CaptureFixture[str]
) -> None:
    port.answers = [(503, "not ready: engine")]
    assert health(port) == 1
    assert capsys.readouterr().err == "kiteward: not ready: engine\n"


@pytest.mark.parametrize(("answer", "healthy"), [((200, "OK"), True), ((503, "not ready: engine"), False)])
def test_the_answer_is_json_where_that_is_wanted(
    port: Port, capsys: pytest.CaptureFixture[str], answer: tuple[int, str], healthy: bool
) -> None:
    port.answers = [answer]
    assert health(port, "--json") == (0 if healthy else 1)
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"healthy": healthy, "answer": answer[1]}
    assert shown.err == ""


def test_live_asks_only_whether_the_process_responds(port: Port) -> None:
    assert health(port, "--live") == 0
    assert port.paths == ["/healthz/live"]


def test_it_waits_until_the_server_is_ready(port: Port) -> None:
    port.answers = [(503, "not ready: engine"), (503, "not ready: engine"), (200, "OK")]
    assert health(port, "--wait", "60") == 0
    assert len(port.paths) == 3


def test_a_server_that_is_stopped_has_status_one(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        number = bound.getsockname()[1]
        assert main(["health", "--port", str(number)]) == 1
    assert capsys.readouterr().err == f"kiteward: no answer from 127.0.0.1:{number} (Connection refused)\n"
