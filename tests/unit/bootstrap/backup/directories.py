"""Data directories to back up: a real store and a real trail, and files as the embedded engine has them."""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.files import ChainedFiles
from kiteward.bootstrap.backup.making import Made, Order, make_backup
from kiteward.bootstrap.backup.restoring import Order as RestoreOrder
from kiteward.bootstrap.backup.restoring import Restored, restore_backup
from kiteward.config.settings import Settings
from kiteward.domain.identity import Secret
from kiteward.store.data_directory import DataDirectory
from kiteward.store.sql import SqlStore

DATA_FILE: Final = "partitions/_default/data/data_000001_000040.parquet"
BIG: Final = b"v" * 200_000


def quiet(_what: str, _done: int, _total: int) -> None:
    """Print no progress."""


def make_directory(path: Path, *, users: Mapping[str, str] = {"root": "x"}) -> Settings:
    """Make a data directory that a server has left, and return its settings."""
    with DataDirectory.hold(path) as held:
        asyncio.run(_make_store(held.store_path, users))
    collection = path / "engine/collections/docs"
    write(collection / "schema.json", b"{}")
    write(collection / DATA_FILE, BIG)
    write(collection / "partitions/_default/.drafts/half", b"half")
    files = {"data_files": [DATA_FILE.removeprefix("partitions/_default/")], "delta_files": []}
    write(collection / "manifest.json", json.dumps({"partitions": {"_default": files}}).encode())
    (path / "engine/databases/empty/collections").mkdir(parents=True)
    write(path / "engine/LOCK", b"")
    write(path / "factors.key", b"0" * 64)
    note(path / "audit", 3)
    return Settings(data_dir=path)


async def _make_store(path: Path, users: Mapping[str, str]) -> None:
    store = await SqlStore.open(path)
    async with store.transaction() as transaction:
        for name, password_hash in users.items():
            await transaction.users.add(name, password_hash)
        await transaction.commit()
    await store.close()


def note(directory: Path, lines: int) -> None:
    """Append lines to a trail."""
    with closing(ChainedFiles(directory, keep_days=0)) as files:
        files.append([AuditEvent(Event.DATA_READ, time.time(), Outcome.SUCCEEDED) for _ in range(lines)])


def write(path: Path, content: bytes) -> None:
    """Write a file, and make its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def files_of(directory: Path) -> dict[str, bytes]:
    """Return every file below a directory, except those of the store, which differ in their header."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith("store.db")
    }


def backed_up(settings: Settings, target: Path, key: Secret | None = None, **changes: Any) -> Made:
    """Make a backup."""
    return make_backup(replace(Order(settings, target, key, rows=True), **changes), quiet)


def restored(backup: Path, directory: Path, key: Secret | None = None, **changes: Any) -> Restored:
    """Restore a backup."""
    order = RestoreOrder(backup, directory, key, disable_keys=False, disable_users=False)
    return restore_backup(replace(order, **changes), quiet)
