"""Commands on a server whose answers are none of Kiteward's."""

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
