"""Moves a store for each line read, in a fresh process that kills itself before the statement of a number.

Arguments: the file to move, and the password of the databases. Lines read: `NUMBER ADDRESS`. A commit counts as a
statement, and number 0 kills nothing. Importing takes most of a move, so this process imports once and forks.

Lines written: `moved NUMBER` with the number of all statements, unless it was killed, and `ended STATUS`.
"""

import asyncio
import itertools
import os
import signal
import sys
import threading

from sqlalchemy import event
from sqlalchemy.engine import Engine

from kiteward.domain.identity import Secret
from kiteward.store import migrations, move
from kiteward.store.postgresql import backend
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import backend_of

_LOADED = (migrations, backend)

_CHUNK = 3
"""Rows moved at a time: several times in each table."""


def move_until(last: int, source: str, target: PostgresqlSettings) -> None:
    """Move, and kill this process before a statement."""
    numbers = itertools.count(1)
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen = next(numbers)
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    move.__dict__["_CHUNK"] = _CHUNK
    asyncio.run(move.move(backend_of(source), backend_of(target), lambda *_: None))
    print("moved", seen, flush=True)


def main() -> None:
    """Fork for each line."""
    source, password = sys.argv[1:]
    assert threading.active_count() == 1, "a process with threads must not fork"
    while line := sys.stdin.readline():
        last, address = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                move_until(int(last), source, PostgresqlSettings.parse(address, password=Secret(password)))
                os._exit(0)
            finally:
                os._exit(1)
        print("ended", os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
