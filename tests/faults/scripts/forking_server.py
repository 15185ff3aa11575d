"""Serves a data directory in a fresh process for each byte it reads: all real but the engine and the cost of hashing.

Importing takes most of a start, so this process imports once, warms up on a store of its own, and forks. The forked
process opens the store, recovers, listens on a TCP port, and is what the test kills. The engine is a fake that keeps
its collections in a file, written before it answers, with a pause in between so that kills fall into the gap between
the change of the engine and that of the policy.

Lines written: `started PID`, `ready PORT`, `ended STATUS`.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.engine import Database, FakeEngine

from kiteward.authn.hashing import TESTING
from kiteward.bootstrap.server import Server
from kiteward.config.settings import Settings
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.engine.embedded.supervisor import EmbeddedEngineSettings
from kiteward.store.sql import SqlStore

_CHANGES: Final = frozenset({"CreateCollection", "DropCollection", "RenameCollection"})
_LONGEST_PAUSE: Final = 0.01


class FiledEngine(FakeEngine):
    """A fake engine whose collections survive its process."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        if file.exists():
            self.databases[DEFAULT_DATABASE] = Database(json.loads(file.read_text(encoding="utf-8")))

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Act, and make a change durable before telling."""
        self.calls.clear()
        answer = await super().call(method, payload, metadata=metadata, timeout=timeout)
        if method in _CHANGES:
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(self.databases[DEFAULT_DATABASE].collections), encoding="utf-8")
            fresh.replace(self._file)
            await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))
        return answer


async def serve(data_dir: Path) -> None:
    """Serve until killed."""

    async def start_engine(settings: EmbeddedEngineSettings) -> FiledEngine:
        return FiledEngine(settings.directory.with_suffix(".json"))

    server = await Server.start(Settings(data_dir=data_dir, port=0), hashing=TESTING, start_engine=start_engine)
    say(f"ready {server.port}")
    await asyncio.Event().wait()


async def warm_up() -> None:
    """Import every module and compile every common statement that opening a store needs."""
    with tempfile.TemporaryDirectory() as directory:
        store = await SqlStore.open(Path(directory) / "store.db")
        await store.policy()
        await store.user("root")
        await store.close()


def say(line: str) -> None:
    """Write one line to the parent process."""
    os.write(1, f"{line}\n".encode())


def main(data_dir: Path) -> None:
    """Fork a server for each line read, and tell how it ended."""
    asyncio.run(warm_up())
    assert threading.active_count() == 1, "a process with threads must not fork"
    while os.read(0, 1):
        pid = os.fork()
        if pid == 0:
            random.seed()
            try:
                asyncio.run(serve(data_dir))
            finally:
                os._exit(1)
        say(f"started {pid}")
        say(f"ended {os.waitpid(pid, 0)[1]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
