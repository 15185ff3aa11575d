"""Moves a store between a data directory and PostgreSQL, while no server uses either."""

from contextlib import ExitStack
from pathlib import Path
from typing import Final

from kiteward.config.store_keys import STORE_PASSWORD, STORE_PASSWORD_FILE
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.store.backend import Backend
from kiteward.store.data_directory import STORE_FILE, DataDirectory
from kiteward.store.move import Progress, move
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import backend_of

_SQLITE: Final = "sqlite:"


async def move_store(source: str, target: str, *, password: Secret, progress: Progress) -> dict[str, int]:
    """Move a store, and return how many rows of each table that were.

    Args:
        source: `sqlite:` with the path of a `store.db` or of its directory; or an address `postgresql://...`.
        target: the other of the two.
        password: of the user in PostgreSQL; empty for none.
        progress: as of `kiteward.store.move.move`.

    Raises:
        ConfigurationError: an address cannot be used, or the target is not empty.
        DataDirectoryHeld: a server or a command uses the data directory.
        StoreError: it failed; the target is empty unless it is `CommitUnknown`.
    """
    files = [each.startswith(_SQLITE) for each in (source, target)]
    if files == [True, True]:
        raise ConfigurationError("both stores are files: stop the server and copy its data directory instead")
    if files == [False, False]:
        raise ConfigurationError(
            "both stores are in PostgreSQL: stop the servers and use pg_dump and pg_restore instead"
        )
    with ExitStack() as stack:
        reading = _source_file(stack, source) if files[0] else _database(source, "--from", password)
        writing = _target_file(stack, target) if files[1] else _database(target, "--to", password)
        return await move(reading, writing, progress)


def _database(address: str, option: str, password: Secret) -> Backend:
    try:
        return backend_of(PostgresqlSettings.parse(address, password=password))
    except ValueError as error:
        hint = f"; {STORE_PASSWORD.name} or {STORE_PASSWORD_FILE.name} gives the password"
        raise ConfigurationError(f"{option} {error}{hint if 'password' not in str(error) else ''}") from None


def _path(address: str) -> Path:
    """Return the path that an address names; `sqlite:///` and an absolute path may be one too."""
    text = address.removeprefix(_SQLITE)
    return Path(text.removeprefix("//") if text.startswith("///") else text)


def _source_file(stack: ExitStack, address: str) -> Backend:
    """Return a database file; where it is in a data directory, that is held until `stack` closes."""
    path = _path(address)
    path = path / STORE_FILE if path.is_dir() else path
    if not path.is_file():
        raise ConfigurationError(f"--from names no store: there is no file {path}")
    if DataDirectory.is_one(path.parent):
        stack.enter_context(DataDirectory.hold(path.parent))
    return backend_of(path)


def _target_file(stack: ExitStack, address: str) -> Backend:
    """Return the store of a data directory, which is created where it is absent, and held until `stack` closes."""
    path = _path(address)
    directory = path.parent if path.name == STORE_FILE else path
    if directory.is_file() or directory.suffix == ".db":
        raise ConfigurationError(f"--to must name a data directory, or the {STORE_FILE} in it: a server looks for that")
    stack.enter_context(DataDirectory.hold(directory))
    return backend_of(directory / STORE_FILE)
