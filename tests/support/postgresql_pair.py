"""Two PostgreSQL servers, of which one is the primary and the other its synchronous standby, as an operator has them.

    with postgresql_pair.running() as pair:
        pair.kill()
        pair.promote()
        pair.join_again(rewind=True)

A commit is acknowledged when both have it on disk. While there is no standby, no commit is.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.support import postgresql
from tests.support.postgresql import START_WITHIN, SUPERUSER, Cluster, as_user

_SETTINGS: Final[Mapping[str, str]] = {
    "full_page_writes": "on",  # which pg_rewind needs, as it does the next
    "wal_log_hints": "on",
    "wal_keep_size": "512MB",  # so that a standby which was away finds what it has missed
    "wal_retrieve_retry_interval": "200ms",
}


class Pair:
    """The two servers.

    Attributes:
        nodes: both, each with a port that it keeps.
        primary: the one that takes writes, or that took them last.
    """

    def __init__(self, first: Cluster, second: Cluster) -> None:
        self.nodes = (first, second)
        self.primary = first

    @property
    def standby(self) -> Cluster:
        """The one that follows, or that is promoted next."""
        return self.nodes[1 - self.nodes.index(self.primary)]

    def kill(self) -> None:
        """Kill every process of the primary."""
        self.primary.kill()

    def promote(self) -> None:
        """Make the standby the primary. The other one has ended."""
        promoted = self.standby
        assert promoted.sql("SELECT pg_promote(true, 60)") == "t", promoted.log()
        self.primary = promoted

    def join_again(self, *, rewind: bool) -> None:
        """Make the server that is not the primary its standby, and wait until commits wait for it.

        Args:
            rewind: whether its data are wound back, instead of copied again.
        """
        joining = self.standby
        if rewind:
            self.primary.sql("CHECKPOINT")  # pg_rewind reads the timeline from there
            place = f"host={self.primary.directory} port={self.primary.port} user={SUPERUSER} dbname=postgres"
            data = ("-D", str(joining.directory / "data"))
            joining.run("pg_rewind", *data, f"--source-server={place}", "-R", "--no-sync", **as_user())
        else:
            self._copy(joining)
        joining.start_again()
        self.await_standby()

    def await_standby(self) -> None:
        """Wait until commits wait for the standby."""
        deadline = time.monotonic() + START_WITHIN
        while self.primary.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1":
            assert time.monotonic() < deadline, f"{self.primary.log()}\n{self.standby.log()}"
            time.sleep(0.05)

    def _copy(self, joining: Cluster) -> None:
        data = joining.directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        place = ("-h", str(self.primary.directory), "-p", str(self.primary.port), "-U", SUPERUSER)
        joining.run(
            "pg_basebackup", *place, "-D", str(data), "-R", "-X", "stream", "-c", "fast", "--no-sync", **as_user()
        )


def url(user: str, ports: list[int], database: str) -> str:
    """Return the address of a store whose database is at one of these ports of the loopback interface."""
    return f"postgresql://{user}@{','.join(f'127.0.0.1:{port}' for port in ports)}/{database}"


@contextlib.contextmanager
def running() -> Iterator[Pair]:
    """Run a primary and its synchronous standby for as long as the block lasts."""
    with (
        postgresql.running(_prepare, **_SETTINGS) as first,
        postgresql.directory() as made,
    ):
        (made / "log").touch()
        second = Cluster(made, postgresql.free_port(), first.programs, first._names)  # no name twice
        pair = Pair(first, second)
        first.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        pair._copy(second)
        try:
            second.start(
                listen_addresses="127.0.0.1",
                port=str(second.port),
                unix_socket_directories=str(made),
                **_SETTINGS,
            )
            first.sql("SELECT pg_reload_conf()")
            pair.await_standby()
            yield pair
        finally:
            second.stop()


def _prepare(data: Path) -> None:
    with (data / "pg_hba.conf").open("a", encoding="utf-8") as file:
        file.write(f"local replication {SUPERUSER} trust\n")
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:  # pg_rewind runs a server with it too
        file.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
