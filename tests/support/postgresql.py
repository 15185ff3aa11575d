"""A PostgreSQL of Debian's in a process of its own: one throw-away cluster for all tests of a process.

    with postgresql.running() as cluster:
        with cluster.database() as settings:
            store = await SqlStore.open(settings)

It listens on a Unix socket and on a port of the loopback interface. `initdb` refuses to run as root, so that root
runs it as the user `postgres`, which the package makes.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from kiteward.domain.identity import Secret
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import backend_of

SUPERUSER: Final = "postgres"
USER: Final = "kiteward"
PASSWORD: Final = "a password of the database"
START_WITHIN: Final = 60.0

_SETTINGS: Final[Mapping[str, str]] = {
    "autovacuum": "off",
    "fsync": "off",  # what is thrown away need not survive the machine
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "timezone": "UTC",
}


@dataclass(slots=True)
class Cluster:
    """A PostgreSQL server that can be stopped, halted and started again.

    Attributes:
        directory: holds its data in `data` and its socket.
        port: the port, also in the name of the socket.
        programs: the directory of its programs.
    """

    directory: Path
    port: int
    programs: Path
    _names: Iterator[int] = field(default_factory=count)
    _process: subprocess.Popen[bytes] | None = None
    _settings: Mapping[str, str] = field(default_factory=dict)

    def start(self, **settings: str) -> None:
        """Start the server with these settings, and wait until it takes connections."""
        self._settings = settings
        self.start_again()

    def start_again(self) -> None:
        """Start the server as it was started last, and wait until it takes connections."""
        settings = self._settings
        options = [part for name, value in {**_SETTINGS, **settings}.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.directory / "data", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **as_user(),
            )
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until the server takes connections."""
        deadline = time.monotonic() + START_WITHIN
        asking: list[str | Path] = [self.programs / "pg_isready", "-q", "-h", self.directory, "-p", str(self.port)]
        while subprocess.run(asking, check=False).returncode != 0:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server. SIGQUIT ends it at once, as a crash would; SIGINT ends it in order."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_WITHIN)
            self._process = None

    def kill(self) -> None:
        """Kill every process of the server. One that is killed or stopped already stays so."""
        if self._process is None:
            return
        processes = [self.pid, *self._backends()]
        for each in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._process.wait(START_WITHIN)
        self._process = None
        # What has not ended yet would hold the memory that the next start wants for itself.
        deadline = time.monotonic() + START_WITHIN
        while any(Path(f"/proc/{each}").exists() for each in processes):
            assert time.monotonic() < deadline, processes
            time.sleep(0.01)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """End the server at once, as a crash would, and start it again after the block."""
        self.stop()
        try:
            yield
        finally:
            self.start_again()

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """Let no process of the server run during the block: its connections stay, and nothing is answered."""
        processes = [self.pid, *self._backends()]
        for each in processes:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGCONT)

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """Return what the server has written."""
        return (self.directory / "log").read_text(encoding="utf-8", errors="replace")

    def sql(self, statement: str, *, database: str = "postgres") -> str:
        """Run statements as the superuser and return what `psql` prints of their rows."""
        return self.run(
            "psql",
            "-h",
            str(self.directory),
            "-p",
            str(self.port),
            "-U",
            SUPERUSER,
            "-d",
            database,
            "-qAtX",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
        ).strip()

    def tables(self, database: str) -> list[str]:
        """Return the statements that make the tables of a database and their rows, sorted.

        Columns are sorted too: those that a migration adds come last.
        """
        place = ("-h", str(self.directory), "-p", str(self.port), "-U", SUPERUSER, "-d", database)
        dumped = self.run("pg_dump", *place, "--column-inserts", "--no-owner")
        statements = [each.strip() for each in dumped.split(";\n")]
        lines = (re.sub(r"^(--|\\).*$", "", each, flags=re.MULTILINE).split("\n") for each in statements)
        return sorted("\n".join(sorted(line.strip().rstrip(",") for line in each if line.strip())) for each in lines)

    @contextlib.contextmanager
    def database(self, *, options: str = "", **given: Any) -> Iterator[PostgresqlSettings]:
        """Make a database that the user of the tests owns, and remove it after the block.

        Args:
            options: of CREATE DATABASE, such as `TEMPLATE template0 ENCODING 'SQL_ASCII'`.
            given: as `settings` takes it.
        """
        name = self.make_database(options)
        try:
            yield self.settings(name, **given)
        finally:
            self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def make_database(self, options: str = "") -> str:
        """Make a database that the user of the tests owns, and return its name."""
        name = f"test{next(self._names)}"
        self.sql(f"CREATE DATABASE {name} OWNER {USER} {options}")
        return name

    def migrate_template(self) -> str:
        """Make a database with the tables of the store; return the options of databases that are copies of it."""
        name = "migrated"
        self.sql(f"CREATE DATABASE {name} OWNER {USER}")
        asyncio.run(backend_of(self.settings(name)).prepare())
        return f"TEMPLATE {name}"

    def settings(
        self, database: str, *, password: str = PASSWORD, parameters: str = "", **given: Any
    ) -> PostgresqlSettings:
        """Return the settings of a store in a database of this cluster, reached by its port."""
        return PostgresqlSettings.parse(self.url(database, parameters), password=Secret(password), **given)

    def url(self, database: str, parameters: str = "") -> str:
        """Return the address of a database of this cluster."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}{parameters}"

    def _backends(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="utf-8")
        return [int(each) for each in children.split()]

    def run(self, program: str, *arguments: str, **user: Any) -> str:
        """Run one of PostgreSQL's programs, and return what it prints.

        Args:
            program: its name.
            arguments: of its command line.
            user: as `as_user` returns it, for a program that touches files of the server; starting one takes longer.
        """
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [self.programs / program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_WITHIN,
            check=False,
            **user,
        )
        assert done.returncode == 0, f"{program} failed:\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout


def as_user() -> dict[str, Any]:
    """Return how a program is started that refuses to run as root: as the user of the package; else as ourselves."""
    if os.geteuid() != 0:
        return {}
    try:
        found = pwd.getpwnam(SUPERUSER)
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres; on Debian, the package has it")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def give(path: Path, owner: os.stat_result) -> None:
    """Give a file to the owner of another."""
    os.chown(path, owner.st_uid, owner.st_gid)


def programs() -> Path:
    """Return the directory of PostgreSQL's programs, or skip the test that needs them."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for place in reversed(places):
        if (place / "initdb").is_file():
            return place
    pytest.skip("PostgreSQL is not installed; on Debian, the package postgresql has it")


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """Make a directory that belongs to whoever `as_user` names; where the system has a place in memory, there."""
    memory = Path("/dev/shm")  # noqa: S108  a directory of our own is made in it
    with tempfile.TemporaryDirectory(prefix="kiteward-pg-", dir=memory if memory.is_dir() else None) as made:
        owner = as_user()
        if owner:
            os.chown(made, owner["user"], owner["group"])
        yield Path(made)


@contextlib.contextmanager
def running(prepare: Callable[[Path], None] | None = None, **settings: str) -> Iterator[Cluster]:
    """Make a cluster with the user of the tests, and run it for as long as the block lasts.

    Args:
        prepare: called with the directory of the data before the server starts.
        settings: of the server, in addition to those of all tests.
    """
    found = programs()
    with directory() as made:
        cluster = Cluster(made, free_port(), found)
        options = ("-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
        (made / "log").touch()
        cluster.run("initdb", "-D", str(made / "data"), *options, **as_user())
        (made / "data" / "pg_hba.conf").write_text(
            f"local all {SUPERUSER} trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        if prepare is not None:
            prepare(made / "data")
        cluster.start(
            listen_addresses="127.0.0.1", port=str(cluster.port), unix_socket_directories=str(made), **settings
        )
        try:
            cluster.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{_verifier(PASSWORD)}'")
            yield cluster
        finally:
            cluster.stop()


def _verifier(password: str) -> str:
    """Return what a server keeps of a password (RFC 5803), of one round: each connection would compute 4,096."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    served = hmac.digest(salted, b"Server Key", "sha256")
    shown = [base64.b64encode(each).decode() for each in (salt, stored, served)]
    return f"SCRAM-SHA-256$1:{shown[0]}${shown[1]}:{shown[2]}"


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
