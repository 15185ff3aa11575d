"""The engine of a gateway that serves no vectors: the command line's."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineUnavailable
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.engine.base import EngineHealth
from kiteward.milvus import messages

_REASON: Final = "there is no engine here"
_ABSENT: Final = ErrorDetail(ErrorCode.ENGINE_ABSENT)


class OfflineEngine:
    """Implements `kiteward.engine.base.Engine`. `HasCollection` is answered from the files; every other call fails."""

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
        if method != "HasCollection" or self._directory is None:
            raise EngineUnavailable(_REASON, _ABSENT)
        name = messages.HasCollectionRequest.FromString(payload).collection_name
        found = _has(self._directory, metadata.get("dbname") or DEFAULT_DATABASE, name)
        return bytes(messages.BoolResponse(status=messages.Status(), value=found).SerializeToString())

    def health(self) -> EngineHealth:
        return EngineHealth(ready=False, reason=_REASON, detail=_ABSENT)

    async def close(self) -> None:
        """Do nothing: no resources are held."""


def _has(directory: Path, database: str, name: str) -> bool:
    """Return whether the files of Milvus Lite hold a collection or an alias of this name.

    Raises:
        EngineUnavailable: they cannot be read.
    """
    if not (_is_file_name(database) and _is_file_name(name)):
        return False
    root = directory if database == DEFAULT_DATABASE else directory / "databases" / database
    try:
        if (root / "collections" / name / "schema.json").is_file():
            return True
        aliases = root / "aliases.json"
        return aliases.is_file() and name in json.loads(aliases.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineUnavailable("the files of the engine cannot be read") from error


def _is_file_name(name: str) -> bool:
    return name not in ("", ".", "..") and "\0" not in name and PurePath(name).name == name
