import asyncio
import contextlib
import logging
import os
import stat
from pathlib import Path

import pytest
from tests.support.gateway import quick_directory
from tests.unit.engine import samples

from kiteward.domain.errors import EngineLacksOperation, EngineUnavailable
from kiteward.engine.base import Access
from kiteward.engine.confinement import available


async def test_socket_lies_in_a_directory_only_this_user_may_enter() -> None:
    with quick_directory() as directory:  # whose path is short, wherever other temporary files are
        engine = await samples.start(directory / "data")
        socket = engine.socket
        seen = [stat.S_ISSOCK(socket.stat().st_mode), stat.S_IMODE(socket.parent.stat().st_mode), socket.parent.parent]
        await engine.close()
        assert seen == [True, 0o700, directory / "data"]
        assert not socket.parent.exists()


async def test_long_data_path_gets_a_private_socket_directory_elsewhere(tmp_path: Path) -> None:
    engine = await samples.start(tmp_path / ("x" * 100))
    socket = engine.socket
    assert len(os.fsencode(socket)) <= 107
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    await samples.succeed(engine, "AllocTimestamp")
    await engine.close()
    assert not socket.parent.exists()


async def test_files_are_for_this_user_only(tmp_path: Path) -> None:
    engine = await samples.start(tmp_path / "data")
    await samples.create_collection(engine, "docs")
    await samples.insert(engine, "docs", [1])
    paths = list((tmp_path / "data/collections").rglob("*"))
    await engine.close()
    assert paths
    assert not [path for path in paths if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077]


async def test_child_sees_only_the_environment_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITEWARD_SECRET", "hidden")
    monkeypatch.setenv("OPENAI_API_KEY", "hidden")
    engine = await samples.start(tmp_path / "data")
    environment = await asyncio.to_thread(Path(f"/proc/{engine.pid}/environ").read_bytes)
    await engine.close()
    assert b"hidden" not in environment
    assert b"OPENAI_API_KEY" not in environment


async def test_child_uses_one_thread_for_products_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, expected in (("", b"1"), ("3", b"3")):
        if given:
            monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
        else:
            monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        engine = await samples.start(tmp_path / expected.decode())
        environment = await asyncio.to_thread(Path(f"/proc/{engine.pid}/environ").read_bytes)
        await engine.close()
        assert b"OPENBLAS_NUM_THREADS=" + expected in environment.split(b"\0")


async def test_confinement_of_the_child_is_logged_at_its_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kiteward.engine")
    engine = await samples.start(tmp_path / "data")
    await engine.close()
    assert f"the engine is confined: {available()}" in caplog.text


async def test_log_of_the_child_is_ours_and_carries_nothing_a_caller_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="kiteward.engine")
    engine = await samples.start(tmp_path / "data")
    response = await samples.call(
        engine, "CreateCollection", collection_name="docs/private", schema=samples.schema("docs/private")
    )
    assert response.code != samples.SUCCESS
    await samples.until(lambda: "CreateCollection failed" in caplog.text)
    await engine.close()
    assert "ValueError" in caplog.text
    assert "private" not in caplog.text


async def test_sync_mode_reaches_the_child(tmp_path: Path) -> None:
    engine = await samples.start(tmp_path / "data", sync_mode="none")
    arguments = (await asyncio.to_thread(Path(f"/proc/{engine.pid}/cmdline").read_bytes)).split(b"\0")
    await engine.close()
    assert b"--sync-mode=none" in arguments


async def test_child_whose_connection_ends_is_replaced(tmp_path: Path) -> None:
    engine = await samples.start(tmp_path / "data")
    before = engine.pid
    assert engine._connection is not None
    engine._connection._transport.abort()
    await samples.until(lambda: engine.generation == 2 and engine.health().ready)
    assert engine.pid not in (None, before)
    await samples.succeed(engine, "AllocTimestamp")
    await engine.close()


async def test_server_and_child_agree_that_another_protocol_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await samples.start(tmp_path / "data")
    reader, writer = await asyncio.open_unix_connection(engine.socket)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(20))
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    await samples.until(lambda: "malformed frame" in caplog.text)
    await samples.succeed(engine, "AllocTimestamp")
    assert engine.generation == 1
    await engine.close()


async def test_child_refuses_what_is_not_listed(tmp_path: Path) -> None:
    engine = await samples.start(tmp_path / "data", rpcs={"HasCollection": Access.READ})
    await samples.succeed(engine, "HasCollection", collection_name="docs")
    with pytest.raises(EngineLacksOperation):
        await samples.call(engine, "ShowCollections")
    await engine.close()


async def test_child_that_cannot_lock_for_a_write_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="ListDatabases is listed as a write, names no collection and declares"):
        await samples.start(tmp_path / "data", rpcs={"ListDatabases": Access.WRITE})
