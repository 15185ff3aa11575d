"""The collections of the engine, held and described for changes of what belongs to them."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import CollectionNotFound, EngineUnavailable
from kiteward.engine.base import Engine
from kiteward.gateway.ddl import DdlExecutor
from kiteward.iam.services import CollectionField
from kiteward.milvus import messages

_TIMEOUT: Final = 30.0
"""Seconds within which the engine must describe a collection."""

_NO_SUCH_COLLECTION: Final = frozenset({messages.COLLECTION_NOT_FOUND, 800, 1100, 1101})
"""Codes of a collection or a database that does not exist, and of an illegal name (contract appendix A)."""


class CollectionDefinitions:
    """Implements `kiteward.iam.services.Collections`, which documents the contract."""

    def __init__(self, engine: Engine, ddl: DdlExecutor, *, shared: bool) -> None:
        """Take the engine, and what changes its collections.

        Args:
            engine: the engine.
            ddl: makes all changes of collections and aliases, one at a time.
            shared: whether others than Kiteward can change collections.
        """
        self._engine = engine
        self._ddl = ddl
        self.shared = shared

    def held(self) -> AbstractAsyncContextManager[None]:
        return self._ddl.held()

    async def fields(self, database: str, name: str) -> Mapping[str, CollectionField]:
        request = messages.DescribeCollectionRequest(db_name=database, collection_name=name).SerializeToString()
        answer = await self._engine.call("DescribeCollection", request, metadata={"dbname": database}, timeout=_TIMEOUT)
        status = messages.status_code("DescribeCollection", answer)
        if status in _NO_SUCH_COLLECTION:
            raise CollectionNotFound(f"collection not found[database={database}][collection={name}]")
        if status:
            detail = ErrorDetail(
                ErrorCode.ENGINE_RESPONSE_FAILED, {"operation": "DescribeCollection", "status": status}
            )
            raise EngineUnavailable("the engine refused DescribeCollection", detail)
        described = messages.read_response(messages.DescribeCollectionResponse, answer)
        if name in described.aliases:
            raise EngineUnavailable(
                f"{name} was just made an alias: send the request again",
                ErrorDetail(ErrorCode.ENGINE_CATALOG_CHANGING),
            )
        return {field.name: _field(field) for field in described.schema.fields if not field.is_dynamic}


def _field(field: messages.schema_pb2.FieldSchema) -> CollectionField:
    kind = messages.schema_pb2.DataType.Name(field.data_type)
    element = messages.schema_pb2.DataType.Name(field.element_type) if field.element_type else ""
    return CollectionField(field.name, kind, element, nullable=bool(field.nullable), generated=bool(field.autoID))
