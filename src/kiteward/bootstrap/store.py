"""The store that the settings name: a file in the data directory, or a PostgreSQL database."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Final

from kiteward.config.settings import Settings
from kiteward.domain.errors import StoreUnreachable
from kiteward.store.connections import Observer, unobserved
from kiteward.store.data_directory import STORE_FILE
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.sql import SqlStore

_log = logging.getLogger("kiteward")

START_PATIENCE: Final = 60.0
"""Seconds for which a server that starts waits for a database that cannot be reached."""

_PAUSE_SECONDS: Final = 0.5


def store_location(settings: Settings) -> Path | PostgresqlSettings:
    """Return where the store is."""
    return settings.store or settings.data_dir.absolute() / STORE_FILE


async def open_store(settings: Settings, *, observer: Observer = unobserved) -> SqlStore:
    """Open the store, creating it or bringing it to the current version.

    Raises:
        ConfigurationError: a file of the settings cannot be used.
        StoreError: it cannot be opened.
    """
    return await SqlStore.open(store_location(settings), observer=observer)


async def await_store(settings: Settings, *, observer: Observer, patience: float = START_PATIENCE) -> SqlStore:
    """Open the store, and wait for a database that cannot be reached: it may be starting too.

    Only what may be over in a while is waited for. A rejected password, for example, is an error at once.

    Args:
        settings: the configuration.
        observer: as of `SqlStore.open`.
        patience: for how many seconds.

    Raises:
        ConfigurationError, StoreError: as `open_store`.
    """
    deadline = time.monotonic() + patience
    waiting = False
    while True:
        try:
            store = await open_store(settings, observer=observer)
        except StoreUnreachable as error:
            if time.monotonic() >= deadline:
                raise
            if not waiting:
                _log.warning("%s; waiting for it, for up to %d seconds", error, patience)
            waiting = True
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        if waiting:
            _log.info("the store is there")
        return store
