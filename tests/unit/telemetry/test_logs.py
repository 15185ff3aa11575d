"""What lines look like: for people on a terminal, for programs elsewhere, and never what a caller makes of them."""

import asyncio
import contextlib
import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymilvus import MilvusClient, MilvusException
from tests.support import raw_grpc
from tests.support import server as servers

from kiteward.telemetry import logs

FORGED = "\n2026-01-01T00:00:00.000000Z error   kiteward: forged\r\u2028\x1b[2J\x85\u202e\ud800"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def written(message: str, *arguments: object, for_people: bool, error: BaseException | None = None) -> str:
    """Return what is written of one warning."""
    record = logging.LogRecord(
        "kiteward.test", logging.WARNING, __file__, 1, message, arguments, (type(error), error, None) if error else None
    )
    return logs.formatter(for_people=for_people).format(record)


def test_line_of_a_worker_has_its_number() -> None:
    record = logging.LogRecord("kiteward.test", logging.WARNING, __file__, 1, "it works", (), None)
    assert json.loads(logs.formatter(for_people=False, worker=2).format(record))["worker"] == 2
    assert logs.formatter(for_people=True, worker=2).format(record).endswith("kiteward.test: it works [worker 2]")
    assert "worker" not in json.loads(written("it works", for_people=False))


def test_on_a_terminal_a_line_reads_well() -> None:
    line = written("the %s has stopped", "engine", for_people=True)
    assert re.fullmatch(rf"{TIME} warning kiteward\.test: the engine has stopped", line)


def test_elsewhere_a_line_is_a_json_object() -> None:
    line = json.loads(written("the %s has stopped", "engine", for_people=False))
    assert re.fullmatch(TIME, line.pop("time"))
    assert line == {"level": "warning", "logger": "kiteward.test", "message": "the engine has stopped"}


def test_the_id_of_a_request_is_in_its_lines_and_in_no_others() -> None:
    async def handle(request_id: str) -> tuple[str, str]:
        logs.bind_request_id(request_id)
        await asyncio.sleep(0)
        return written("noted", for_people=True), json.loads(written("noted", for_people=False))["request_id"]

    async def both() -> tuple[tuple[str, str], tuple[str, str]]:
        return await asyncio.gather(handle("one"), handle("two"))

    (one, first), (two, second) = asyncio.run(both())
    assert (first, second) == ("one", "two")
    assert one.endswith(" [request one]")
    assert two.endswith(" [request two]")
    assert "request" not in written("noted", for_people=True)


@pytest.mark.parametrize("for_people", [True, False])
@given(text=st.text() | st.just(FORGED))
def test_no_text_makes_a_second_line(text: str, for_people: bool) -> None:
    line = written("collection %s", text, for_people=for_people)
    assert len(line.splitlines()) == 1
    assert line.isprintable() or not line.isascii()
    if not for_people:
        assert json.loads(line)["message"] == f"collection {text}"


@pytest.mark.parametrize("for_people", [True, False])
def test_no_error_makes_a_line_that_looks_like_another(for_people: bool) -> None:
    first, *rest = written("failed", for_people=for_people, error=ValueError(FORGED)).split("\n")
    assert "failed" in first
    assert all(each.startswith("    | ") for each in rest)
    assert any("ValueError" in each for each in [first, *rest])


@pytest.mark.parametrize("for_people", [True, False])
def test_a_traceback_shows_no_values(for_people: bool) -> None:
    def verify(password: str) -> None:
        raise RuntimeError("the store is gone")

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(for_people=for_people))
    log = logging.getLogger("kiteward.test")
    log.addHandler(handler)
    try:
        verify("".join(["hun", "ter", "2"]))
    except RuntimeError:
        log.exception("failed")
    finally:
        log.removeHandler(handler)
    assert "the store is gone" in stream.getvalue()
    assert "verify" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_libraries_and_warnings_are_written_alike_and_are_logged_from_warning_on() -> None:
    program = """if True:
        import logging, sys, warnings
        from kiteward.telemetry import logs
        logs.start(sys.stderr)
        logs.set_level("debug")
        logging.getLogger("kiteward.gateway").debug("ours")
        for name in ("uvicorn.error", "alembic.runtime.migration", "sqlalchemy.engine", "aiosqlite", "asyncio"):
            logging.getLogger(name).info("quiet")
            logging.getLogger(name).error("loud")
        warnings.warn("old", stacklevel=1)
    """
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["message"] for line in lines[:6]] == ["ours", *["loud"] * 5]
    assert "UserWarning: old" in lines[6]["message"]
    assert ran.stdout == ""


def test_at_a_terminal_the_lines_are_for_people() -> None:
    program = """if True:
        import logging, sys
        from kiteward.telemetry import logs
        logs.start(sys.stderr)
        logs.bind_request_id("0123")
        logging.getLogger("kiteward.gateway").error("gone\\nfor good")
    """
    outer, inner = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", program], stderr=inner, check=True, timeout=60)
        line = os.read(outer, 4096).decode()
    finally:
        os.close(inner)
        os.close(outer)
    assert re.fullmatch(rf"{TIME} error   kiteward\.gateway: gone\\nfor good \[request 0123\]\r\n", line)


def lines_of(server: servers.RunningServer) -> list[dict[str, Any]]:
    """Return what a server has logged; its lines to people are on the other stream."""
    to_people = ("Kiteward is ready", "  ")
    return [json.loads(line) for line in server.log().splitlines() if not line.startswith(to_people)]


def line_with(server: servers.RunningServer, logger: str, text: str) -> dict[str, Any]:
    """Wait for a line and return it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = [line for line in lines_of(server) if line["logger"] == logger and text in line["message"]]
        if found:
            return found[-1]
        time.sleep(0.02)
    pytest.fail(f"no line of {logger} with {text}:\n{server.log()}")


@pytest.mark.slow
def test_lines_of_a_server_and_of_its_engine_carry_the_id_that_the_caller_received(tmp_path: Path) -> None:
    with servers.running(tmp_path / "data") as server:
        token = {"authorization": f"Bearer {servers.ROOT_TOKEN}"}
        asked = httpx.post(f"{server.uri}/v2/vectordb/users/list", json={}, headers=token)
        warned = line_with(server, "kiteward.authn", "signed in with the default password")
        with contextlib.closing(MilvusClient(uri=server.uri, token=servers.ROOT_TOKEN)) as root:
            root.create_collection("docs", dimension=4)
            root.insert("docs", [{"id": 1, "vector": [1.0, 0.0, 0.0, 0.0]}])
            with pytest.raises(MilvusException):
                root.search("docs", data=[[1.0, 0.0, 0.0, 0.0]], search_params={"params": {"radius": "far"}})
        engine = line_with(server, "kiteward.engine", "failed")
        lines = lines_of(server)
    assert warned["request_id"] == asked.headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{16}", engine["request_id"])
    assert engine["request_id"] != warned["request_id"]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    assert [line for line in lines if "request_id" not in line], "lines of the start belong to no request"


@pytest.mark.slow
def test_the_level_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KITEWARD_")]:
        monkeypatch.delenv(name)  # variables without a meaning are reported before the level is known
    with servers.running(tmp_path / "data", config="kiteward: {log: {level: error}}") as server:
        raw_grpc.call(server.uri, "GetVersion", header=raw_grpc.authorization(servers.ROOT_TOKEN))
    assert lines_of(server) == []
