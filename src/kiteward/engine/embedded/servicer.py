"""Milvus Lite's servicer with the answers a Milvus client expects where Milvus Lite's own are wrong."""

from collections.abc import Iterable
from contextlib import suppress

from google.protobuf.message import DecodeError, Message
from milvus_lite.adapter.grpc import errors
from milvus_lite.exceptions import CollectionNotFoundError, DatabaseNotFoundError
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from kiteward.engine.embedded import iterators
from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.filters import filled_in
from kiteward.engine.embedded.index_rpcs import IndexServicer
from kiteward.engine.embedded.indexes import search_parameters_without_tuning
from kiteward.engine.embedded.key_lists import keys_in
from kiteward.engine.embedded.metadata import milliseconds, next_timestamp
from kiteward.engine.embedded.operations import Execution, executed
from kiteward.engine.embedded.read_view import load_state_taken_for
from kiteward.engine.embedded.responses import answering, invalid_parameter, success
from kiteward.engine.embedded.segment_rpcs import SegmentServicer

CODE_DATABASE_NOT_FOUND = 800
_IDS = ("collectionID", "collection_id")
"""Fields that select a collection by its id; a request has one of them at most."""

LARGEST_WINDOW = 16_384
LARGEST_GROUPED_WINDOW = 10 * LARGEST_WINDOW
LARGEST_DIMENSION = 32_768
_SHOWN_OF_EMBEDDINGS = ("provider", "model_name", "dimensions")


class EngineServicer(IndexServicer, SegmentServicer):
    """The RPCs of the embedded engine."""

    def database_name(self, request: Message, context: CallContext) -> str:
        """Return the database a request means: its own field, else the metadata, else the default."""
        return str(self._database_name(request, context))

    def _get_collection(self, request: Message, context: CallContext) -> ServedCollection:
        """Return the collection of a request: the one it names, or where it names none the one of its id.

        Raises:
            CollectionNotFoundError: there is none.
        """
        database = self.database_name(request, context)
        name = str(getattr(request, "collection_name"))  # noqa: B009  every request of a collection has it
        number = next((getattr(request, field) for field in _IDS if hasattr(request, field)), 0)
        collection: ServedCollection
        if name or not number:
            collection = self._db.get_collection(name, database_name=database)
            return collection
        for each in self._db.list_collections(database_name=database):
            with suppress(CollectionNotFoundError):
                collection = self._db.get_collection(each, database_name=database)
                if collection.metadata.collection_id() == number:
                    return collection
        raise CollectionNotFoundError(f"collection not found[collection={number}]")

    @staticmethod
    def _extract_pks_from_expr(expr: str, col: ServedCollection) -> list[int | str] | None:
        """Return the keys of a filter that is a list of primary keys, None for another one."""
        keys = keys_in(expr, col.pk_field)
        if keys is None:
            keys = IndexServicer._extract_pks_from_expr(expr, col)  # noqa: SLF001  it is static, so that there is no super
        return keys

    @executed(Execution.ON_THE_LOOP)
    @answering(milvus_pb2.BoolResponse)
    def HasCollection(self, request: milvus_pb2.HasCollectionRequest, context: CallContext) -> milvus_pb2.BoolResponse:
        """Answer as Milvus Lite does, but with Milvus' code for a missing database."""
        exists = self._db.has_collection(request.collection_name, database_name=self.database_name(request, context))
        return milvus_pb2.BoolResponse(status=success(), value=exists)

    @answering(milvus_pb2.ShowCollectionsResponse)
    def ShowCollections(
        self, request: milvus_pb2.ShowCollectionsRequest, context: CallContext
    ) -> milvus_pb2.ShowCollectionsResponse:
        """List collections with ids, times and load state; one dropped meanwhile is left out and fails nothing."""
        database = self.database_name(request, context)
        wanted = set(request.collection_names)
        response = milvus_pb2.ShowCollectionsResponse(status=success())
        for name in self._db.list_collections(database_name=database):
            if not wanted or name in wanted:
                self._append_collection(response, database, name)
        return response

    def _append_collection(self, response: milvus_pb2.ShowCollectionsResponse, database: str, name: str) -> None:
        try:
            collection = self._db.get_collection(name, database_name=database)
        except CollectionNotFoundError:
            return
        loaded = collection.load_state == "loaded"
        created = collection.metadata.collection_id()
        response.collection_names.append(name)
        response.collection_ids.append(created)
        response.created_timestamps.append(created)
        response.created_utc_timestamps.append(milliseconds(created))
        response.inMemory_percentages.append(100 if loaded else 0)
        response.query_service_available.append(loaded)
        response.shards_num.append(1)

    def DescribeCollection(
        self, request: milvus_pb2.DescribeCollectionRequest, context: CallContext
    ) -> milvus_pb2.DescribeCollectionResponse:
        """Describe as Milvus Lite does, with ids, times, aliases and the database.

        Addresses and keys of providers, which v0.1 stored for callers, are left out.
        """
        response: milvus_pb2.DescribeCollectionResponse = super().DescribeCollection(request, context)
        if response.status.code:
            return response
        for function in response.schema.functions:
            if function.type == schema_pb2.FunctionType.TextEmbedding:
                shown = [pair for pair in function.params if pair.key in _SHOWN_OF_EMBEDDINGS]
                del function.params[:]
                function.params.extend(shown)
        database = self.database_name(request, context)
        created = self._get_collection(request, context).metadata.collection_id()
        response.collectionID = created
        response.db_name = database
        response.created_timestamp = created
        response.created_utc_timestamp = milliseconds(created)
        response.aliases.extend(self._db.list_aliases(response.collection_name, database_name=database))
        return response

    def ShowPartitions(
        self, request: milvus_pb2.ShowPartitionsRequest, context: CallContext
    ) -> milvus_pb2.ShowPartitionsResponse:
        """List partitions as Milvus Lite does, with ids and times."""
        response: milvus_pb2.ShowPartitionsResponse = super().ShowPartitions(request, context)
        if response.status.code:
            return response
        collection = self._get_collection(request, context)
        created = [collection.metadata.partition_id(name) for name in response.partition_names]
        response.partitionIDs.extend(created)
        response.created_timestamps.extend(created)
        response.created_utc_timestamps.extend(milliseconds(each) for each in created)
        return response

    def LoadCollection(self, request: milvus_pb2.LoadCollectionRequest, context: CallContext) -> common_pb2.Status:
        """Load as Milvus Lite does, and store that a client asked for it."""
        status: common_pb2.Status = super().LoadCollection(request, context)
        if not status.code:
            self._get_collection(request, context).metadata.set_load_requested(value=True)
        return status

    def ReleaseCollection(
        self, request: milvus_pb2.ReleaseCollectionRequest, context: CallContext
    ) -> common_pb2.Status:
        """Release as Milvus Lite does."""
        status: common_pb2.Status = super().ReleaseCollection(request, context)
        if not status.code:
            self._get_collection(request, context).metadata.set_load_requested(value=False)
        return status

    @executed(Execution.WITHOUT_EFFECT)
    def LoadPartitions(self, request: milvus_pb2.LoadPartitionsRequest, context: CallContext) -> common_pb2.Status:
        """Refuse, as Milvus Lite does."""
        status: common_pb2.Status = super().LoadPartitions(request, context)
        return status

    @executed(Execution.WITHOUT_EFFECT)
    def ReleasePartitions(
        self, request: milvus_pb2.ReleasePartitionsRequest, context: CallContext
    ) -> common_pb2.Status:
        """Refuse, as Milvus Lite does."""
        status: common_pb2.Status = super().ReleasePartitions(request, context)
        return status

    def GetLoadingProgress(
        self, request: milvus_pb2.GetLoadingProgressRequest, context: CallContext
    ) -> milvus_pb2.GetLoadingProgressResponse:
        """Return the progress of a load; that of a refresh is the same."""
        response: milvus_pb2.GetLoadingProgressResponse = super().GetLoadingProgress(request, context)
        response.refresh_progress = response.progress
        return response

    def Insert(self, request: milvus_pb2.InsertRequest, context: CallContext) -> milvus_pb2.MutationResult:
        """Insert as Milvus Lite does, and return the timestamp."""
        return _dated(super().Insert(request, context))

    def Upsert(self, request: milvus_pb2.UpsertRequest, context: CallContext) -> milvus_pb2.MutationResult:
        """Upsert as Milvus Lite does, and return the timestamp."""
        return _dated(super().Upsert(request, context))

    @answering(milvus_pb2.QueryResults)
    def Query(self, request: milvus_pb2.QueryRequest, context: CallContext) -> milvus_pb2.QueryResults:
        """Query as Milvus Lite does, with the filter's templates filled in."""
        request.expr = filled_in(request.expr, request.expr_template_values)
        response: milvus_pb2.QueryResults = super().Query(request, context)
        return response

    @answering(milvus_pb2.MutationResult)
    def Delete(self, request: milvus_pb2.DeleteRequest, context: CallContext) -> milvus_pb2.MutationResult:
        """Delete as Milvus Lite does, without marking the collection loaded for everyone meanwhile.

        The answer counts and lists nothing, as Milvus' does: clients take a list of keys for another kind of answer.
        """
        request.expr = filled_in(request.expr, request.expr_template_values)
        with load_state_taken_for("loaded"):
            response = super().Delete(request, context)
        response.ClearField("IDs")
        return _dated(response)

    def CreateCollection(self, request: milvus_pb2.CreateCollectionRequest, context: CallContext) -> common_pb2.Status:
        """Create as Milvus Lite does, with vectors no longer than Milvus allows."""
        refusal = _dimension_refusal(_fields(request.schema))
        if refusal is not None:
            return refusal
        status: common_pb2.Status = super().CreateCollection(request, context)
        return status

    @answering(milvus_pb2.SearchResults)
    def Search(self, request: milvus_pb2.SearchRequest, context: CallContext) -> milvus_pb2.SearchResults:
        """Search as Milvus Lite does, within the window that Milvus allows; for an iterator, page by page."""
        page = iterators.page_of(request, lambda: self._get_collection(request, context).num_entities)
        refusal = _window_refusal(request.search_params, "topk")
        if refusal is not None:
            return milvus_pb2.SearchResults(status=refusal)
        _prepare(request)
        if page is not None:
            iterators.narrow(request, page)
        response: milvus_pb2.SearchResults = super().Search(request, context)
        if not response.status.code:
            response.session_ts = next_timestamp()
            if page is not None:
                iterators.finish(response, page)
        return response

    @answering(milvus_pb2.SearchResults)
    def HybridSearch(self, request: milvus_pb2.HybridSearchRequest, context: CallContext) -> milvus_pb2.SearchResults:
        """Search as Milvus Lite does, within the window that Milvus allows, in each part and as a whole."""
        refusals = [_window_refusal(request.rank_params, "limit")]
        refusals += [_window_refusal(part.search_params, "topk") for part in request.requests]
        for refusal in refusals:
            if refusal is not None:
                return milvus_pb2.SearchResults(status=refusal)
        for part in request.requests:
            _prepare(part)
        response: milvus_pb2.SearchResults = super().HybridSearch(request, context)
        return response

    @executed(Execution.ON_THE_LOOP)
    def AllocTimestamp(
        self, _request: milvus_pb2.AllocTimestampRequest, _context: CallContext
    ) -> milvus_pb2.AllocTimestampResponse:
        """Return the time as Milvus counts it, which the asynchronous client asks for before it waits for an index."""
        return milvus_pb2.AllocTimestampResponse(status=success(), timestamp=next_timestamp())

    @executed(Execution.LOCKS_CATALOG)
    def TruncateCollection(
        self, request: milvus_pb2.TruncateCollectionRequest, context: CallContext
    ) -> milvus_pb2.TruncateCollectionResponse:
        """Empty a collection as Milvus Lite does."""
        response: milvus_pb2.TruncateCollectionResponse = super().TruncateCollection(request, context)
        return response

    @executed(Execution.LOCKS_CATALOG)
    def AlterDatabase(self, request: milvus_pb2.AlterDatabaseRequest, context: CallContext) -> common_pb2.Status:
        """Alter the properties of a database as Milvus Lite does."""
        status: common_pb2.Status = super().AlterDatabase(request, context)
        return status

    def RenameCollection(self, request: milvus_pb2.RenameCollectionRequest, context: CallContext) -> common_pb2.Status:
        """Rename within one database. Milvus Lite would ignore another target database and rename in place."""
        if request.newDBName and request.newDBName != self.database_name(request, context):
            return invalid_parameter("the embedded engine cannot move a collection to another database")
        status: common_pb2.Status = super().RenameCollection(request, context)
        return status


def _fields(serialised: bytes) -> list[schema_pb2.FieldSchema]:
    """Return every field of a collection's schema; what cannot be read is left to Milvus Lite to refuse."""
    try:
        schema = schema_pb2.CollectionSchema.FromString(serialised)
    except DecodeError:
        return []
    return [*schema.fields, *(field for struct in schema.struct_array_fields for field in struct.fields)]


def _dimension_refusal(fields: Iterable[schema_pb2.FieldSchema]) -> common_pb2.Status | None:
    """Return why a vector is too long, or None. Milvus Lite allocates memory for any length.

    Source: Milvus' `proxy.maxDimension`.
    """
    for field in fields:
        dimension = max((_number(pair.value) for pair in field.type_params if pair.key == "dim"), default=0)
        if dimension > LARGEST_DIMENSION:
            return invalid_parameter(
                f"invalid dimension: {dimension} of field {field.name}. "
                f"float vector dimension should be in range 2 ~ {LARGEST_DIMENSION}: invalid parameter"
            )
    return None


def _window_refusal(parameters: Iterable[common_pb2.KeyValuePair], limit_key: str) -> common_pb2.Status | None:
    """Return why a search asks for too much, or None. Milvus Lite allocates memory for any number.

    Source: Milvus' `quotaAndLimits.limits.topK` and its check of `offset + limit`.
    """
    given = {pair.key: pair.value for pair in parameters}
    limit, offset, size = (_number(given.get(key)) for key in (limit_key, "offset", "group_size"))
    if limit + offset <= LARGEST_WINDOW and max(size, 1) * limit <= LARGEST_GROUPED_WINDOW:
        return None
    return invalid_parameter(
        f"{limit_key} [{limit}] with offset [{offset}] and group size [{max(size, 1)}] is invalid, "
        f"limit and offset together should be in range [1, {LARGEST_WINDOW}], "
        f"limit times group size at most {LARGEST_GROUPED_WINDOW}: invalid parameter",
    )


def _number(text: str | None) -> int:
    """Return a parameter's number, or 0 for any other text, which Milvus Lite then refuses."""
    try:
        return int(text or 0)
    except ValueError:
        return 0


def _dated(response: milvus_pb2.MutationResult) -> milvus_pb2.MutationResult:
    """Return the answer of a change with the time at which it was made."""
    if not response.status.code:
        response.timestamp = next_timestamp()
    return response


def _prepare(search: milvus_pb2.SearchRequest) -> None:
    """Fill in a search's templates, and remove parameters that tune an approximation that this engine does not make."""
    search.dsl = filled_in(search.dsl, search.expr_template_values)
    for pair in search.search_params:
        if pair.key == "params":
            pair.value = search_parameters_without_tuning(pair.value)


def use_milvus_codes() -> None:
    """Make Milvus Lite answer with Milvus's code for a missing database; its own is no Milvus code."""
    # Milvus Lite offers no other way to choose a code.
    codes = errors._EXCEPTION_TO_CODE  # noqa: SLF001
    codes[DatabaseNotFoundError] = (
        errors.LEGACY_UNEXPECTED_ERROR,
        CODE_DATABASE_NOT_FOUND,
        "DatabaseNotFound",
    )
