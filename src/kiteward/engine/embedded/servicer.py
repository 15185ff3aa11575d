"""Milvus Lite's servicer with the answers a Milvus client expects where Milvus Lite's own are wrong."""

import time
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from milvus_lite.adapter.grpc import errors
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.exceptions import CollectionNotFoundError, DatabaseNotFoundError, MilvusLiteError
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from kiteward.engine.embedded.reading import ignoring_load_state

CODE_DATABASE_NOT_FOUND = 800
CODE_PARAMETER_INVALID = 1100
LARGEST_WINDOW = 16_384
LARGEST_GROUPED_WINDOW = 10 * LARGEST_WINDOW
LARGEST_DIMENSION = 32_768
_SHOWN_OF_EMBEDDINGS = ("provider", "model_name", "dimensions")
LOGICAL_BITS = 18
"""A timestamp of Milvus is milliseconds since 1970, followed by a counter of this many bits."""


class CallContext:
    """What a servicer method may learn of its call and say about it, without gRPC."""

    __slots__ = ("_metadata", "code", "details")

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata
        self.code: grpc.StatusCode | None = None
        self.details = ""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata that came with the call."""
        return self._metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """Refuse the call at the protocol level."""
        self.code = code

    def set_details(self, details: str) -> None:
        """Say why the call is refused."""
        self.details = details


class EngineServicer(MilvusServicer):  # type: ignore[misc]  # milvus_lite carries no types
    """The RPCs of the embedded engine."""

    def database_name(self, request: Any, context: CallContext) -> str:
        """Return the database a request means: its own field, else the metadata, else the default."""
        return str(self._database_name(request, context))

    def HasCollection(self, request: Any, context: CallContext) -> Any:
        """Answer as Milvus Lite does, but name a missing database by its code."""
        try:
            exists = self._db.has_collection(
                request.collection_name, database_name=self.database_name(request, context)
            )
        except MilvusLiteError as error:
            return milvus_pb2.BoolResponse(status=_status(error))
        return milvus_pb2.BoolResponse(status=_success(), value=exists)

    def ShowCollections(self, request: Any, context: CallContext) -> Any:
        """List collections with their load state; one dropped meanwhile is left out and fails nothing."""
        database = self.database_name(request, context)
        wanted = set(request.collection_names)
        response = milvus_pb2.ShowCollectionsResponse(status=_success())
        try:
            for name in self._db.list_collections(database_name=database):
                if not wanted or name in wanted:
                    self._append_collection(response, database, name)
        except MilvusLiteError as error:
            return milvus_pb2.ShowCollectionsResponse(status=_status(error))
        return response

    def _append_collection(self, response: Any, database: str, name: str) -> None:
        try:
            loaded = self._db.get_collection(name, database_name=database).load_state == "loaded"
        except CollectionNotFoundError:
            return
        response.collection_names.append(name)
        response.inMemory_percentages.append(100 if loaded else 0)
        response.query_service_available.append(loaded)
        response.shards_num.append(1)

    def Delete(self, request: Any, context: CallContext) -> Any:
        """Delete as Milvus Lite does, without marking the collection loaded for everyone meanwhile."""
        with ignoring_load_state():
            return super().Delete(request, context)

    def CreateCollection(self, request: Any, context: CallContext) -> Any:
        """Create as Milvus Lite does, with vectors no longer than Milvus allows."""
        refusal = _dimension_refusal(_fields(request.schema))
        return super().CreateCollection(request, context) if refusal is None else refusal

    def DescribeCollection(self, request: Any, context: CallContext) -> Any:
        """Describe as Milvus Lite does, without addresses and keys of providers, which v0.1 stored for callers."""
        response = super().DescribeCollection(request, context)
        for function in response.schema.functions:
            if function.type == schema_pb2.FunctionType.TextEmbedding:
                shown = [pair for pair in function.params if pair.key in _SHOWN_OF_EMBEDDINGS]
                del function.params[:]
                function.params.extend(shown)
        return response

    def Search(self, request: Any, context: CallContext) -> Any:
        """Search as Milvus Lite does, within the window that Milvus allows."""
        refusal = _window_refusal(request.search_params, "topk")
        if refusal is not None:
            return milvus_pb2.SearchResults(status=refusal)
        return super().Search(request, context)

    def HybridSearch(self, request: Any, context: CallContext) -> Any:
        """Search as Milvus Lite does, within the window that Milvus allows, in each part and as a whole."""
        refusals = [_window_refusal(request.rank_params, "limit")]
        refusals += [_window_refusal(part.search_params, "topk") for part in request.requests]
        for refusal in refusals:
            if refusal is not None:
                return milvus_pb2.SearchResults(status=refusal)
        return super().HybridSearch(request, context)

    def AllocTimestamp(self, _request: Any, _context: CallContext) -> Any:
        """Return the time as Milvus counts it, which the asynchronous client asks for before it waits for an index."""
        milliseconds = time.time_ns() // 1_000_000
        return milvus_pb2.AllocTimestampResponse(status=_success(), timestamp=milliseconds << LOGICAL_BITS)

    def DropIndex(self, request: Any, context: CallContext) -> Any:
        """Drop the index that is named. Milvus Lite drops all of a collection's when it does not know the name."""
        if request.index_name and not request.field_name:
            try:
                indexed = self._indexed_fields(request, context)
            except MilvusLiteError as error:
                return _status(error)
            request = _with_field_of_index(request, indexed)
        return super().DropIndex(request, context)

    def _indexed_fields(self, request: Any, context: CallContext) -> list[str]:
        # They are listed nowhere else.
        return list(self._get_collection(request, context)._index_specs)  # noqa: SLF001

    def RenameCollection(self, request: Any, context: CallContext) -> Any:
        """Rename within one database. Milvus Lite would ignore another target database and rename in place."""
        if request.newDBName and request.newDBName != self.database_name(request, context):
            return common_pb2.Status(
                error_code=common_pb2.ErrorCode.IllegalArgument,
                code=CODE_PARAMETER_INVALID,
                reason="the embedded engine cannot move a collection to another database",
            )
        return super().RenameCollection(request, context)


def _fields(serialised: bytes) -> list[Any]:
    """Return every field of a collection's schema; what cannot be read is left to Milvus Lite to refuse."""
    try:
        schema = schema_pb2.CollectionSchema.FromString(serialised)
    except DecodeError:
        return []
    return [*schema.fields, *(field for struct in schema.struct_array_fields for field in struct.fields)]


def _dimension_refusal(fields: list[Any]) -> Any:
    """Return why a vector is too long, or None. Milvus Lite makes room for whatever length a field is given.

    Source: Milvus' `proxy.maxDimension`.
    """
    for field in fields:
        dimension = max((_number(pair.value) for pair in field.type_params if pair.key == "dim"), default=0)
        if dimension > LARGEST_DIMENSION:
            return common_pb2.Status(
                error_code=common_pb2.ErrorCode.IllegalArgument,
                code=CODE_PARAMETER_INVALID,
                reason=f"invalid dimension: {dimension} of field {field.name}. "
                f"float vector dimension should be in range 2 ~ {LARGEST_DIMENSION}: invalid parameter",
            )
    return None


def _window_refusal(parameters: Any, limit_key: str) -> Any:
    """Return why a search asks for too much, or None. Milvus Lite makes room for whatever number is asked for.

    Source: Milvus' `quotaAndLimits.limits.topK` and its check of `offset + limit`.
    """
    given = {pair.key: pair.value for pair in parameters}
    limit, offset, size = (_number(given.get(key)) for key in (limit_key, "offset", "group_size"))
    if limit + offset <= LARGEST_WINDOW and max(size, 1) * limit <= LARGEST_GROUPED_WINDOW:
        return None
    return common_pb2.Status(
        error_code=common_pb2.ErrorCode.IllegalArgument,
        code=CODE_PARAMETER_INVALID,
        reason=f"{limit_key} [{limit}] with offset [{offset}] and group size [{max(size, 1)}] is invalid, "
        f"limit and offset together should be in range [1, {LARGEST_WINDOW}], "
        f"limit times group size at most {LARGEST_GROUPED_WINDOW}: invalid parameter",
    )


def _number(text: str | None) -> int:
    """Return a parameter's number; what is none is left to Milvus Lite to refuse."""
    try:
        return int(text or 0)
    except ValueError:
        return 0


def _with_field_of_index(request: Any, indexed: list[str]) -> Any:
    """Return the request with the field in it. An index is listed under its field's name; any other name was not kept.

    The only index is meant by whatever name; among several an unknown name is left to be refused.
    """
    name = request.index_name
    known = [field for field in indexed if name in (field, f"{field}_idx")] or (
        indexed if len(indexed) == 1 else [name]
    )
    settled = milvus_pb2.DropIndexRequest()
    settled.CopyFrom(request)
    settled.field_name = known[0]
    return settled


def use_milvus_codes() -> None:
    """Make Milvus Lite answer with Milvus's code for a missing database; its own is no Milvus code."""
    # Milvus Lite offers no other way to choose a code.
    codes = errors._EXCEPTION_TO_CODE  # noqa: SLF001
    codes[DatabaseNotFoundError] = (
        errors.LEGACY_UNEXPECTED_ERROR,
        CODE_DATABASE_NOT_FOUND,
        "DatabaseNotFound",
    )


def _success() -> Any:
    return common_pb2.Status(**errors.success_status_kwargs())


def _status(error: MilvusLiteError) -> Any:
    return common_pb2.Status(**errors.to_status_kwargs(error))
