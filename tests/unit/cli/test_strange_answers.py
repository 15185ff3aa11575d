"""Commands on a server whose answers are none of Kiteward's."""

import socketserver
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.one_answer import answering
from tests.unit.cli.conftest import Run

from kiteward.domain.error_codes import ErrorCode


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text("root:Milvus\n")
    return str(path)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"<html>", b"", [], None, b"[" * 100_000, {"code": 0}, {"code": 0, "data": None}),
        *({"code": 0, "data": "text"}, {"code": 0, "data": {"users": [float("nan")]}}),
    ],
)
@pytest.mark.parametrize("words", [("users", "list"), ("whoami",), ("policy", "export"), ("audit", "search")])
def test_what_kiteward_would_not_answer_is_one_line(run: Run, token: str, words: tuple[str, ...], answer: Any) -> None:
    with answering(200, answer) as (server, _asked):
        status, printed, told = run(*words, "--server", server, "--token-file", token)
    wrong = f"kiteward: no response from {server} that Kiteward would give: is --server right, and should it begin with"
    assert (status, printed, told) == (1, "", f"{wrong} https://?\n")


@pytest.mark.parametrize(
    ("words", "answer", "missing"),
    [
        (("users", "list"), {}, "users"),
        (("users", "list"), {"users": [{}]}, "userName"),
        (("audit", "search"), {}, "lines"),
        (("policy", "export"), {}, "policy"),
    ],
)
def test_a_response_without_a_member_is_one_line_that_names_it(
    run: Run, token: str, words: tuple[str, ...], answer: Any, missing: str
) -> None:
    with answering(200, {"code": 0, "data": answer}) as (server, _asked):
        status, _, told = run(*words, "--server", server, "--token-file", token)
    assert (status, told.count("\n")) == (1, 1)
    assert f"the response has no `{missing}`" in told


@pytest.mark.parametrize("message", [None, "", 7, ["text"], {"text": "a"}])
def test_a_refusal_whose_message_is_no_text_is_without_a_reason(run: Run, token: str, message: Any) -> None:
    refused = {"code": 1100, "message": message, "others": [7, None, {"message": message}]}
    with answering(200, refused) as (server, _asked):
        status, printed, told = run("users", "list", "--server", server, "--token-file", token)
    assert (status, printed, told) == (1, "", "kiteward: the server refuses without a reason\n" * 2)


def test_a_page_that_comes_again_is_asked_for_no_more(run: Run, token: str) -> None:
    with answering(200, {"code": 0, "data": {"users": [], "next": "a"}}) as (server, asked):
        status, _, told = run("users", "list", "--server", server, "--token-file", token)
    assert (status, len(asked)) == (1, 2)
    assert "the same page" in told


@pytest.mark.parametrize("reason", ["LIMITED_KEY_OWNER", "LIMITED_KEY_DESCENDANTS"])
def test_what_the_key_of_a_login_may_not_do_is_said_with_what_may(run: Run, token: str, reason: str) -> None:
    answer = {"code": 1100, "message": "a limited API key may not", "reason": str(ErrorCode[reason])}
    with answering(200, answer) as (server, _asked):
        status, _, told = run("keys", "enable", "k", "--server", server, "--token-file", token)
    assert status == 1
    assert told.endswith("give the administrator's own credential by --token-file\n")


def test_the_message_of_a_refusal_does_not_control_the_terminal(run: Run, token: str) -> None:
    with answering(200, {"code": 1100, "message": "\x1b[2J\x9b31m \x7f\u202ered\r"}) as (server, _asked):
        status, _, told = run("users", "list", "--server", server, "--token-file", token)
    assert (status, told) == (1, "kiteward: \\u001b[2J\\u009b31m \\u007f\\u202ered\\r\n")


def test_each_fault_of_a_refusal_is_one_line_whatever_its_message_has_in_it(run: Run, token: str) -> None:
    message = "no\nkiteward: done\r\n"
    others = [{"message": "nor this\u2028kiteward: done"}]
    with answering(200, {"code": 1100, "message": message, "others": others}) as (server, _asked):
        status, printed, told = run("users", "list", "--server", server, "--token-file", token)
    assert (status, printed) == (1, "")
    assert told == "kiteward: no\\nkiteward: done\\r\\n\nkiteward: nor this\\u2028kiteward: done\n"


def test_what_is_no_http_is_told_in_one_line(run: Run, token: str) -> None:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"SSH-2.0 \x1b[2J\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as strange:
        thread = threading.Thread(target=strange.serve_forever)
        thread.start()
        server = f"http://127.0.0.1:{strange.server_address[1]}"
        status, printed, told = run("users", "list", "--server", server, "--token-file", token)
        strange.shutdown()
        thread.join()
    assert (status, printed) == (1, "")
    assert told == f"kiteward: no response from {server}: SSH-2.0 \\u001b[2J\\r\\n\n"


@pytest.mark.parametrize("what", ["faults", "digest", "warnings"])
def test_what_is_said_of_a_policy_has_no_line_of_its_own(run: Run, token: str, tmp_path: Path, what: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\n")
    said = {"path": "roles", "message": "wrong\nkiteward: done"}
    data: dict[str, Any] = {"faults": [], "changes": [], "warnings": [], "digest": "d"}
    data[what] = "wrong\nkiteward: done" if what == "digest" else [said]
    with answering(200, {"code": 0, "data": data}) as (server, _asked):
        _, printed, told = run("policy", "plan", "-f", str(file), "--server", server, "--token-file", token)
    assert "wrong\\nkiteward: done\n" in printed + told
    assert "kiteward: done" not in (printed + told).splitlines()


def test_one_time_passwords_are_one_line_each(run: Run, token: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\n")
    passwords = [{"userName": "ann\nroot", "password": "secret\n\x1b[2J"}]
    data = {"faults": [], "changes": [], "warnings": [], "digest": "d", "passwords": passwords}
    with answering(200, {"code": 0, "data": data}) as (server, _asked):
        words = ("policy", "apply", "-f", str(file), "--server", server, "--token-file", token)
        _, printed, _ = run(*words, "--print-passwords")
        run(*words, "--passwords-file", str(tmp_path / "passwords"))
    assert "ann\\nroot\tsecret\\n\\u001b[2J\n" in printed
    assert (tmp_path / "passwords").read_text() == "ann\\nroot\tsecret\\n\\u001b[2J\n"
