"""The engine of a gateway that serves no vectors: the command line's."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineUnavailable
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.engine.base import EngineHealth
from kiteward.milvus import messages

_REASON: Final = "there is no engine here: start the server, or ask a running one by --server URL"
_ABSENT: Final = ErrorDetail(ErrorCode.ENGINE_ABSENT)
_NO_ALIAS: Final = 1600


class OfflineEngine:
    """Implements `kiteward.engine.base.Engine`.

    What exists by which name is answered from the files of the embedded engine; every other call fails.
    """

    def __init__(self, directory: Path | None) -> None:
        """Take the directory of the embedded engine.

        Args:
            directory: where the embedded engine keeps its files, whether it runs or not; None if the server has a
                remote engine, so that every call fails.
        """
        self._directory = directory

    @property
    def generation(self) -> int:
        """Always the same, because nothing is started."""
        return 0

    async def call(
        self,
        method: str,
        payload: bytes,
        *,
        metadata: Mapping[str, str],
        timeout: float | None,  # noqa: ARG002  as the protocol has it
    ) -> bytes:
        if method not in _ANSWERS or self._directory is None:
            raise EngineUnavailable(_REASON, _ABSENT)
        try:
            answer = _ANSWERS[method](self._directory, metadata.get("dbname") or DEFAULT_DATABASE, payload)
        except (OSError, ValueError) as error:
            raise EngineUnavailable("the files of the engine cannot be read") from error
        return bytes(answer.SerializeToString())

    def health(self) -> EngineHealth:
        return EngineHealth(ready=False, reason=_REASON, detail=_ABSENT)

    async def close(self) -> None:
        """Do nothing: no resources are held."""


def _list_databases(directory: Path, _database: str, _payload: bytes) -> messages.ProtocolMessage:
    return messages.ListDatabasesResponse(
        status=messages.Status(), db_names=sorted({DEFAULT_DATABASE, *_folders(directory / "databases")})
    )


def _show_collections(directory: Path, database: str, _payload: bytes) -> messages.ProtocolMessage:
    root = _root(directory, database) / "collections"
    names = sorted(name for name in _folders(root) if (root / name / "schema.json").is_file())
    return messages.ShowCollectionsResponse(
        status=messages.Status(), collection_names=names, collection_ids=[0 for _ in names]
    )


def _has_collection(directory: Path, database: str, payload: bytes) -> messages.ProtocolMessage:
    name = messages.HasCollectionRequest.FromString(payload).collection_name
    root = _root(directory, database)
    found = _is_file_name(name) and (root / "collections" / name / "schema.json").is_file()
    return messages.BoolResponse(status=messages.Status(), value=found or name in _aliases(directory, database))


def _list_aliases(directory: Path, database: str, _payload: bytes) -> messages.ProtocolMessage:
    aliases = _aliases(directory, database)
    return messages.ListAliasesResponse(status=messages.Status(), db_name=database, aliases=aliases)


def _describe_alias(directory: Path, database: str, payload: bytes) -> messages.ProtocolMessage:
    alias = messages.DescribeAliasRequest.FromString(payload).alias
    collection = _aliases(directory, database).get(alias)
    if collection is None:
        status = messages.Status(code=_NO_ALIAS, reason=f"alias not found[alias={alias}]")
        return messages.DescribeAliasResponse(status=status)
    return messages.DescribeAliasResponse(
        status=messages.Status(), db_name=database, alias=alias, collection=collection
    )


_ANSWERS: Final[Mapping[str, Callable[[Path, str, bytes], Any]]] = {
    "ListDatabases": _list_databases,
    "ShowCollections": _show_collections,
    "HasCollection": _has_collection,
    "ListAliases": _list_aliases,
    "DescribeAlias": _describe_alias,
}
"""RPC -> what answers it from the directory of the engine, the database, and the request."""


def _root(directory: Path, database: str) -> Path:
    """Return the directory of a database; of one that cannot exist, a directory that does not."""
    if database == DEFAULT_DATABASE:
        return directory
    return directory / "databases" / (database if _is_file_name(database) else "\N{REPLACEMENT CHARACTER}")


def _folders(root: Path) -> Iterable[str]:
    return [each.name for each in root.iterdir() if each.is_dir()] if root.is_dir() else []


def _aliases(directory: Path, database: str) -> Mapping[str, str]:
    """Return alias -> collection of a database.

    Raises:
        OSError, ValueError: they cannot be read.
    """
    file = _root(directory, database) / "aliases.json"
    if not file.is_file():
        return {}
    aliases = json.loads(file.read_bytes())
    if not (isinstance(aliases, dict) and all(isinstance(each, str) for each in aliases.values())):
        raise ValueError("aliases are names of collections")
    return aliases


def _is_file_name(name: str) -> bool:
    return name not in ("", ".", "..") and "\0" not in name and PurePath(name).name == name
