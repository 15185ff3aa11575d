"""Milvus Lite's catalogue of databases, collections and aliases, safe for threads and for a crash at any moment."""

import json
import logging
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from milvus_lite.db import ALIASES_FILENAME, DEFAULT_DATABASE_NAME, SCHEMA_FILENAME, MilvusLite
from milvus_lite.exceptions import (
    CollectionNotFoundError,
    DatabaseNotEmptyError,
    DatabaseNotFoundError,
    SchemaValidationError,
)
from milvus_lite.schema.types import CollectionSchema
from milvus_lite.storage.manifest import Manifest

from kiteward.engine.embedded.collection import LOADED_MARK, ServedCollection, is_plain_file_name
from kiteward.engine.embedded.durability import sync_directory, write_whole

_OPENING_LOCKS = 64

logger = logging.getLogger(__name__)


class ServedDatabase(MilvusLite):  # type: ignore[misc]  # milvus_lite carries no types
    """The databases under one directory.

    Milvus Lite opens a collection twice when two threads ask at once, and both copies then write the same files. Here
    opening, creating, dropping, renaming and truncating one collection exclude each other. Names never lead out of
    their database's directory: Milvus Lite joins them to paths unchecked, so that `../../databases/b/collections/c`
    would reach into another database.
    """

    def __init__(self, data_dir: str, *, synced: bool) -> None:
        """Open the directory.

        Args:
            data_dir: Milvus Lite's data directory.
            synced: whether catalogue changes must be durable before they are acknowledged.

        Raises:
            milvus_lite.exceptions.DataDirLockedError: another process holds it.
        """
        self._synced = synced
        self._catalogue = threading.RLock()
        self._opening = [threading.RLock() for _ in range(_OPENING_LOCKS)]
        super().__init__(data_dir)

    # Collections

    def get_collection(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> ServedCollection:
        self._check_open()
        database = self._normalize_database_name(database_name)
        if database not in self._aliases_by_db:
            self._require_database(database)
        resolved = self.resolve_collection_name(name, database_name=database)
        collection: ServedCollection | None = self._collections.get((database, resolved))
        if collection is not None and not collection.damaged:
            return collection
        with self._exclusively((database, resolved)):
            return self._open(database, resolved)

    def _open(self, database: str, name: str) -> ServedCollection:
        collection = self._collections.get((database, name))
        if collection is not None and collection.damaged:
            logger.warning("reopening a collection after a failed write")
            collection.abandon()
            self._forget(database, name)
        opened: ServedCollection = super().get_collection(name, database_name=database)
        return opened

    def create_collection(
        self,
        name: str,
        schema: CollectionSchema,
        properties: dict[str, Any] | None = None,
        database_name: str = DEFAULT_DATABASE_NAME,
    ) -> ServedCollection:
        database = self._require_database(database_name)
        self._validate_name(name)
        for field in schema.fields:
            if not is_plain_file_name(field.name):
                raise SchemaValidationError(f"Invalid field name: {field.name}")
        with self._exclusively((database, name)):
            self._clear_remains(database, name)
            collection: ServedCollection = super().create_collection(name, schema, properties, database_name=database)
            self._sync(self._collection_dir(name, database), self._collections_root(database))
            return collection

    def drop_collection(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> None:
        """Drop a collection atomically: one rename removes it, and its files are deleted afterwards."""
        self._check_open()
        database = self._require_database(database_name)
        resolved = self.resolve_collection_name(name, database_name=database)
        with self._exclusively((database, resolved)):
            if not self.has_collection(resolved, database_name=database):
                return
            collection = self._collections.get((database, resolved))
            if collection is not None:
                collection.abandon()
            remains = self._take_away(self._collection_dir(resolved, database))
            self._forget(database, resolved)
            self._drop_aliases_of(database, resolved)
        shutil.rmtree(remains, ignore_errors=True)

    def rename_collection(self, old_name: str, new_name: str, database_name: str = DEFAULT_DATABASE_NAME) -> None:
        database = self._require_database(database_name)
        resolved = self.resolve_collection_name(old_name, database_name=database)
        with self._exclusively((database, resolved), (database, new_name)), self._catalogue:
            self._validate_name(new_name)
            if self.has_collection(resolved, database_name=database):
                self._clear_remains(database, new_name)
            super().rename_collection(resolved, new_name, database_name=database)
            self._sync(self._collections_root(database), self._collection_dir(new_name, database))

    def truncate_collection(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> None:
        """Empty a collection by one atomic change of its manifest; opening it again deletes the files left over.

        Schema, indexes, partitions, aliases, load state and the running numbers stay.
        """
        database = self._require_database(database_name)
        resolved = self.resolve_collection_name(name, database_name=database)
        with self._exclusively((database, resolved)):
            # Closing writes everything into data files, so that no write-ahead log brings rows back.
            self.get_collection(resolved, database_name=database).close()
            self._forget(database, resolved)
            manifest = Manifest.load(self._collection_dir(resolved, database))
            for partition in manifest.list_partitions():
                manifest.remove_data_files(partition, manifest.get_data_files(partition))
                manifest.remove_delta_files(partition, manifest.get_delta_files(partition))
            manifest.save()
            super().get_collection(resolved, database_name=database)

    def alter_collection_properties(
        self,
        name: str,
        properties: dict[str, Any] | None = None,
        delete_keys: list[str] | None = None,
        database_name: str = DEFAULT_DATABASE_NAME,
    ) -> None:
        super().alter_collection_properties(name, properties, delete_keys, database_name)
        database = self._normalize_database_name(database_name)
        self._sync(self._collection_dir(self.resolve_collection_name(name, database_name=database), database))

    def has_collection(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> bool:
        with suppress(CollectionNotFoundError):
            return bool(super().has_collection(name, database_name=database_name))
        return False

    def is_known(self, database_name: str) -> bool:
        """Return whether there is a database of this name."""
        return database_name in self._aliases_by_db or (
            is_plain_file_name(database_name) and self.has_database(database_name)
        )

    def marked_loaded(self) -> list[tuple[str, str]]:
        """Return database and name of every collection that was loaded when it was last open."""
        return [
            (database, name)
            for database in self.list_databases()
            for name in self.list_collections(database_name=database)
            if Path(self._collection_dir(name, database), LOADED_MARK).exists()
        ]

    # Databases

    def create_database(self, name: str, properties: dict[str, Any] | None = None) -> None:
        with self._catalogue:
            super().create_database(name, properties)
            self._sync(self._database_dir(name), self._databases_root())

    def drop_database(self, name: str) -> None:
        """Drop an empty database atomically, as `drop_collection` does."""
        with self._catalogue:
            database = self._require_database(name)
            if database == DEFAULT_DATABASE_NAME:
                raise SchemaValidationError("can not drop default database")
            if self._database_has_collections(database):
                raise DatabaseNotEmptyError(
                    f"database:{database} not empty, must drop all collections before drop database"
                )
            remains = self._take_away(self._database_dir(database))
            self._aliases_by_db.pop(database, None)
            self._database_properties_by_db.pop(database, None)
        shutil.rmtree(remains, ignore_errors=True)

    def alter_database_properties(
        self,
        name: str = DEFAULT_DATABASE_NAME,
        properties: dict[str, Any] | None = None,
        delete_keys: list[str] | None = None,
    ) -> None:
        with self._catalogue:
            super().alter_database_properties(name, properties, delete_keys)
            self._sync(self._database_dir(self._normalize_database_name(name)))

    def close(self) -> None:
        """Flush every open collection and release the directory."""
        if self.closed:
            return
        for collection in list(self._collections.values()):
            try:
                collection.close()
            except Exception:
                logger.exception("a collection could not be closed; its write-ahead log keeps what was acknowledged")
        self._collections.clear()
        super().close()

    # What Milvus Lite's own methods call

    def _require_database(self, name: str | None) -> str:
        database = self._normalize_database_name(name)
        if not is_plain_file_name(database) or not self.has_database(database):
            raise DatabaseNotFoundError(f"database not found[database={database}]")
        return str(database)

    def _collection_dir(self, name: str, database_name: str = DEFAULT_DATABASE_NAME) -> str:
        if not is_plain_file_name(name):
            raise CollectionNotFoundError(f"collection {name!r} does not exist")
        return str(super()._collection_dir(name, database_name))

    def _aliases(self, database_name: str) -> dict[str, str]:
        known: dict[str, str] | None = self._aliases_by_db.get(database_name)
        if known is not None:
            return known
        with self._catalogue:
            aliases: dict[str, str] = super()._aliases(database_name)
            return aliases

    def _load_aliases(self, database_name: str = DEFAULT_DATABASE_NAME) -> dict[str, str]:
        """Read the aliases, without those that a crash in the middle of a drop left behind.

        A new collection of the old name must not inherit them.
        """
        root = Path(self._collections_root(database_name))
        aliases = super()._load_aliases(database_name)
        return {alias: target for alias, target in aliases.items() if (root / target / SCHEMA_FILENAME).exists()}

    def _save_aliases(self, database_name: str = DEFAULT_DATABASE_NAME) -> None:
        content = json.dumps(self._aliases(database_name), ensure_ascii=False, indent=2, sort_keys=True)
        write_whole(Path(self._database_dir(database_name), ALIASES_FILENAME), content.encode(), synced=self._synced)

    def _database_properties(self, database_name: str) -> dict[str, Any]:
        with self._catalogue:
            properties: dict[str, Any] = super()._database_properties(database_name)
            return properties

    # Ours

    @contextmanager
    def _exclusively(self, *keys: tuple[str, str]) -> Iterator[None]:
        """Exclude other threads from opening or replacing these collections."""
        with ExitStack() as held:
            for index in sorted({hash(key) % _OPENING_LOCKS for key in keys}):
                held.enter_context(self._opening[index])
            yield

    def _forget(self, database: str, name: str) -> None:
        with self._catalogue:
            self._collections.pop((database, name), None)

    def _drop_aliases_of(self, database: str, name: str) -> None:
        with self._catalogue:
            aliases = self._aliases(database)
            stale = [alias for alias, target in aliases.items() if target == name]
            for alias in stale:
                del aliases[alias]
            if stale:
                self._save_aliases(database)

    def _clear_remains(self, database: str, name: str) -> None:
        """Move away a directory that a crash before its schema was written left behind.

        Milvus Lite sees no collection there and could yet never create one of this name.
        """
        directory = Path(self._collection_dir(name, database))
        if directory.is_dir() and not (directory / SCHEMA_FILENAME).exists():
            shutil.rmtree(self._take_away(str(directory)), ignore_errors=True)

    def _take_away(self, directory: str) -> Path:
        """Move a directory, in one step, to where Milvus Lite cleans up at its next start."""
        remains = Path(self._database_staging_root(), f"dropped-{uuid.uuid4().hex}")
        Path(directory).rename(remains)
        self._sync(Path(directory).parent, remains.parent)
        return remains

    def _sync(self, *directories: str | Path) -> None:
        if self._synced:
            for directory in directories:
                sync_directory(directory)
