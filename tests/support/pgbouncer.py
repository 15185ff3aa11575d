"""A PgBouncer of Debian's in front of a cluster, in a process of its own."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from tests.support import postgresql
from tests.support.postgresql import Cluster

PoolMode = Literal["session", "transaction", "statement"]


def program() -> str:
    """Return PgBouncer's program, or skip the test that needs it."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("PgBouncer is not installed; on Debian, the package pgbouncer has it")
    return found


@contextlib.contextmanager
def running(cluster: Cluster, mode: PoolMode) -> Iterator[int]:
    """Run a PgBouncer with this pool mode for as long as the block lasts, and yield its port."""
    executable = program()
    with postgresql.directory() as made:
        port = postgresql.free_port()
        users = made / "users.txt"
        users.write_text(f'"{postgresql.USER}" "{postgresql.PASSWORD}"\n')
        file = made / "pgbouncer.ini"
        file.write_text(
            f"""[databases]
* = host=127.0.0.1 port={cluster.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {mode}
max_client_conn = 100
default_pool_size = 20
"""
        )
        for each in (users, file):
            each.chmod(0o644)
        with (made / "log").open("wb") as log:
            process = subprocess.Popen([executable, file], stdout=log, stderr=log, **postgresql.as_user())
        try:
            _await(cluster, port, made / "log")
            yield port
        finally:
            process.terminate()
            process.wait(postgresql.START_WITHIN)


def _await(cluster: Cluster, port: int, log: Path) -> None:
    deadline = time.monotonic() + postgresql.START_WITHIN
    asking: list[str | Path] = [cluster.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(asking, check=False).returncode != 0:
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.02)
