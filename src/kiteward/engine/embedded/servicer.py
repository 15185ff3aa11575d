"""Milvus Lite's servicer with the answers a Milvus client expects where Milvus Lite's own are wrong."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from google.protobuf.message import Message
from milvus_lite.adapter.grpc import errors
from milvus_lite.exceptions import CollectionNotFoundError, DatabaseNotFoundError
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.data_rpcs import DataServicer
from kiteward.engine.embedded.index_rpcs import IndexServicer
from kiteward.engine.embedded.key_lists import keys_in
from kiteward.engine.embedded.metadata import milliseconds, next_timestamp
from kiteward.engine.embedded.operations import Execution, executed
from kiteward.engine.embedded.parameters import properties_refusal, schema_refusal
from kiteward.engine.embedded.responses import answering, invalid_parameter, status_alone, success
from kiteward.engine.embedded.segment_rpcs import SegmentServicer

CODE_DATABASE_NOT_FOUND = 800
_IDS = ("collectionID", "collection_id")
"""Fields that select a collection by its id; a request has one of them at most."""

_LOADED_ONLY = milvus_pb2.ShowType.InMemory
_SHOWN_OF_EMBEDDINGS = ("provider", "model_name", "dimensions")


class EngineServicer(DataServicer, IndexServicer, SegmentServicer):
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
        """Return the keys of a filter that is a list of primary keys, each once; None for another one."""
        keys = keys_in(expr, col.pk_field)
        if keys is None:
            keys = IndexServicer._extract_pks_from_expr(expr, col)  # noqa: SLF001  it is static, so that there is no super
        return None if keys is None else list(dict.fromkeys(keys))

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
                self._append_collection(response, database, name, loaded_only=request.type == _LOADED_ONLY)
        return response

    def _append_collection(
        self, response: milvus_pb2.ShowCollectionsResponse, database: str, name: str, *, loaded_only: bool
    ) -> None:
        try:
            collection = self._db.get_collection(name, database_name=database)
        except CollectionNotFoundError:
            return
        loaded = collection.load_state == "loaded"
        if loaded_only and not loaded:
            return
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
        metadata = self._get_collection(request, context).metadata
        created = metadata.collection_id()
        _describe(response.schema, metadata.descriptions)
        response.collectionID = created
        response.db_name = database
        response.created_timestamp = created
        response.created_utc_timestamp = milliseconds(created)
        response.aliases.extend(self._db.list_aliases(response.collection_name, database_name=database))
        return response

    def ShowPartitions(
        self, request: milvus_pb2.ShowPartitionsRequest, context: CallContext
    ) -> milvus_pb2.ShowPartitionsResponse:
        """List partitions as Milvus Lite does, with ids and times; they are loaded with their collection."""
        response: milvus_pb2.ShowPartitionsResponse = super().ShowPartitions(request, context)
        if response.status.code:
            return response
        collection = self._get_collection(request, context)
        if request.type == _LOADED_ONLY and collection.load_state != "loaded":
            return milvus_pb2.ShowPartitionsResponse(status=response.status)
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

    @answering(milvus_pb2.GetLoadStateResponse)
    def GetLoadState(
        self, request: milvus_pb2.GetLoadStateRequest, context: CallContext
    ) -> milvus_pb2.GetLoadStateResponse:
        """Return the state of a collection, which is that of each of its partitions."""
        response: milvus_pb2.GetLoadStateResponse = super().GetLoadState(request, context)
        if request.partition_names and response.state != common_pb2.LoadState.LoadStateNotExist:
            self.require_partitions(request, context)
        return response

    @answering(milvus_pb2.GetLoadingProgressResponse)
    def GetLoadingProgress(
        self, request: milvus_pb2.GetLoadingProgressRequest, context: CallContext
    ) -> milvus_pb2.GetLoadingProgressResponse:
        """Return the progress of a load; that of a refresh is the same."""
        self.require_partitions(request, context)
        response: milvus_pb2.GetLoadingProgressResponse = super().GetLoadingProgress(request, context)
        response.refresh_progress = response.progress
        return response

    def CreateCollection(self, request: milvus_pb2.CreateCollectionRequest, context: CallContext) -> common_pb2.Status:
        """Create as Milvus Lite does what can be as it is described, and keep the descriptions."""
        refusal = schema_refusal(request)
        if refusal:
            return invalid_parameter(refusal)
        status: common_pb2.Status = super().CreateCollection(request, context)
        if not status.code:
            schema = schema_pb2.CollectionSchema.FromString(request.schema)
            self._get_collection(request, context).metadata.set_descriptions(_descriptions(schema))
        return status

    @answering(status_alone)
    def AlterCollection(self, request: milvus_pb2.AlterCollectionRequest, context: CallContext) -> common_pb2.Status:
        """Alter properties as Milvus Lite does, of a collection that is named by its id as well."""
        refusal = properties_refusal(request.properties)
        if refusal:
            return invalid_parameter(refusal)
        request.collection_name = self._get_collection(request, context).name
        status: common_pb2.Status = super().AlterCollection(request, context)
        return status

    def CreateDatabase(self, request: milvus_pb2.CreateDatabaseRequest, context: CallContext) -> common_pb2.Status:
        """Create as Milvus Lite does, without properties that it would only keep."""
        refusal = properties_refusal(request.properties)
        status: common_pb2.Status = invalid_parameter(refusal) if refusal else super().CreateDatabase(request, context)
        return status

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
        """Alter the properties of a database as Milvus Lite does, without those that it would only keep."""
        refusal = properties_refusal(request.properties)
        status: common_pb2.Status = invalid_parameter(refusal) if refusal else super().AlterDatabase(request, context)
        return status

    def RenameCollection(self, request: milvus_pb2.RenameCollectionRequest, context: CallContext) -> common_pb2.Status:
        """Rename within one database. Milvus Lite would ignore another target database and rename in place."""
        if request.newDBName and request.newDBName != self.database_name(request, context):
            return invalid_parameter("the embedded engine cannot move a collection to another database")
        status: common_pb2.Status = super().RenameCollection(request, context)
        return status


def _descriptions(schema: schema_pb2.CollectionSchema) -> Mapping[str, Any]:
    """Return the descriptions of a schema that are not empty."""
    return {
        "collection": schema.description,
        "fields": {field.name: field.description for field in schema.fields if field.description},
        "functions": {function.name: function.description for function in schema.functions if function.description},
    }


def _describe(schema: schema_pb2.CollectionSchema, descriptions: Mapping[str, Any]) -> None:
    """Put descriptions into a schema."""
    schema.description = descriptions.get("collection", "")
    for field in schema.fields:
        field.description = descriptions.get("fields", {}).get(field.name, "")
    for function in schema.functions:
        function.description = descriptions.get("functions", {}).get(function.name, "")


def use_milvus_codes() -> None:
    """Make Milvus Lite answer with Milvus's code for a missing database; its own is no Milvus code."""
    # Milvus Lite offers no other way to choose a code.
    codes = errors._EXCEPTION_TO_CODE  # noqa: SLF001
    codes[DatabaseNotFoundError] = (
        errors.LEGACY_UNEXPECTED_ERROR,
        CODE_DATABASE_NOT_FOUND,
        "DatabaseNotFound",
    )
