"""A full disk under the audit trail of a real server: changes are refused, data operations go on, nothing is torn."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support import server
from tests.support.server import RunningServer

from kiteward.audit.verify import verify

_SIZE = 256 * 1024


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """Mount a disk in memory that is soon full."""
    path.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    command = [str(mount), "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(path)]
    if mount is None or umount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk (root on Linux)")
    try:
        yield path
    finally:
        subprocess.run([umount, str(path)], check=True)


def ask(running: RunningServer, path: str, **body: object) -> tuple[int, str]:
    """Call a REST endpoint as root; return the code and the message."""
    headers = {"Authorization": f"Bearer {server.ROOT_TOKEN}"}
    answer = httpx.post(f"{running.uri}/v2/{path}", json=body, headers=headers, timeout=30).json()
    return answer["code"], answer.get("message", "")


def users(running: RunningServer) -> set[str]:
    headers = {"Authorization": f"Bearer {server.ROOT_TOKEN}"}
    answer = httpx.post(f"{running.uri}/v2/vectordb/users/list", json={}, headers=headers, timeout=30).json()
    return set(answer["data"])


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    filler = disk / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, bytes(512))
    os.close(descriptor)
    return filler


def until_refused(running: RunningServer) -> None:
    """Create users until the last block is full: then nothing begins that could not be recorded before."""
    for number in range(100):
        code, told = ask(running, "vectordb/users/create", userName=f"user_{number}", password="Password-1")
        if "the change was not made" in told:
            return
        # The one whose beginning was the last line there was room for.
        assert code == 0 or "has succeeded, but that could not be recorded" in told
    raise AssertionError("the disk did not become full")


def test_full_disk_refuses_changes_and_reads_of_the_policy_until_there_is_room_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        config = f"kiteward: {{audit: {{directory: {disk / 'audit'}}}}}"
        with server.running(tmp_path / "data", config=config) as running:
            assert ask(running, "vectordb/users/create", userName="before", password="Password-1") == (0, "")
            filler = fill(disk)
            until_refused(running)
            assert ask(running, "vectordb/users/drop", userName="before")[0] == 2
            assert ask(running, "vectordb/users/list")[0] == 2
            # What holds vectors goes on; what cannot be written of it waits.
            assert ask(running, "vectordb/collections/list") == (0, "")
            assert "the audit trail cannot be written" in running.log()
            filler.unlink()
            deadline = time.monotonic() + 20
            while ask(running, "vectordb/users/list")[0] and time.monotonic() < deadline:
                time.sleep(0.1)
            present = users(running)
            assert "before" in present
            assert ask(running, "vectordb/users/create", userName="after", password="Password-1") == (0, "")
        found = verify(disk / "audit")
        assert found.findings == ()
        written = b"".join(path.read_bytes() for path in (disk / "audit").glob("*.jsonl"))
        # Everybody who is there was recorded, and nobody was made who was not.
        assert all(f'"user":"{name}"'.encode() in written for name in present - {"root"})
        assert b'"kind":"system","code":9009' in written
