"""RPCs about indexes, answered from the records of the requested indexes."""

from collections.abc import Sequence
from typing import TypeAlias

from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.exceptions import IndexNotFoundError, SchemaValidationError
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.indexes import IndexRecord, find
from kiteward.engine.embedded.responses import answering, invalid_parameter, status_alone, success

_IndexRequest: TypeAlias = (
    milvus_pb2.DescribeIndexRequest
    | milvus_pb2.GetIndexStateRequest
    | milvus_pb2.GetIndexBuildProgressRequest
    | milvus_pb2.GetIndexStatisticsRequest
)


class IndexServicer(MilvusServicer):  # type: ignore[misc]  # milvus_lite carries no types
    """Creating, describing and dropping indexes. An index is ready when its request is answered."""

    @answering(status_alone)
    def CreateIndex(self, request: milvus_pb2.CreateIndexRequest, context: CallContext) -> common_pb2.Status:
        """Create an index; missing parameters are filled in as Milvus does."""
        collection = self._get_collection(request, context)
        parameters = {pair.key: pair.value for pair in request.extra_params}
        try:
            collection.make_index(request.field_name, request.index_name, parameters)
        except SchemaValidationError as error:
            return invalid_parameter(str(error))
        return success()

    @answering(status_alone)
    def DropIndex(self, request: milvus_pb2.DropIndexRequest, context: CallContext) -> common_pb2.Status:
        """Drop the index that the request names, or all where it names none; any name selects the only one."""
        collection = self._get_collection(request, context)
        records = collection.index_records()
        found = find(records, field_name=request.field_name, name=request.index_name)
        if not found and len(records) == 1 and not request.field_name:
            found = records
        if not found:
            raise IndexNotFoundError(f"index not found[index={request.index_name or request.field_name}]")
        for record in found:
            collection.remove_index(record)
        return success()

    @answering(milvus_pb2.DescribeIndexResponse)
    def DescribeIndex(
        self, request: milvus_pb2.DescribeIndexRequest, context: CallContext
    ) -> milvus_pb2.DescribeIndexResponse:
        """Describe the index that the request names, or all."""
        rows, records = self._indexes(request, context)
        descriptions = [
            milvus_pb2.IndexDescription(
                index_name=record.name,
                field_name=record.field_name,
                params=[common_pb2.KeyValuePair(key=key, value=value) for key, value in record.parameters.items()],
                state=common_pb2.IndexState.Finished,
                indexed_rows=rows,
                total_rows=rows,
            )
            for record in records
        ]
        return milvus_pb2.DescribeIndexResponse(status=success(), index_descriptions=descriptions)

    @answering(milvus_pb2.GetIndexStateResponse)
    def GetIndexState(
        self, request: milvus_pb2.GetIndexStateRequest, context: CallContext
    ) -> milvus_pb2.GetIndexStateResponse:
        """Return that an index is finished."""
        self._indexes(request, context)
        return milvus_pb2.GetIndexStateResponse(status=success(), state=common_pb2.IndexState.Finished)

    @answering(milvus_pb2.GetIndexBuildProgressResponse)
    def GetIndexBuildProgress(
        self, request: milvus_pb2.GetIndexBuildProgressRequest, context: CallContext
    ) -> milvus_pb2.GetIndexBuildProgressResponse:
        """Return that every row is indexed."""
        rows, _ = self._indexes(request, context)
        return milvus_pb2.GetIndexBuildProgressResponse(status=success(), indexed_rows=rows, total_rows=rows)

    @answering(milvus_pb2.GetIndexStatisticsResponse)
    def GetIndexStatistics(
        self, request: milvus_pb2.GetIndexStatisticsRequest, context: CallContext
    ) -> milvus_pb2.GetIndexStatisticsResponse:
        """Describe indexes; Milvus answers the same in another message."""
        asked = milvus_pb2.DescribeIndexRequest(
            db_name=request.db_name, collection_name=request.collection_name, index_name=request.index_name
        )
        described = self.DescribeIndex(asked, context)
        return milvus_pb2.GetIndexStatisticsResponse(
            status=described.status, index_descriptions=described.index_descriptions
        )

    def _indexes(self, request: _IndexRequest, context: CallContext) -> tuple[int, Sequence[IndexRecord]]:
        """Return how many rows there are, and the indexes that a request names.

        Raises:
            IndexNotFoundError: there is none.
        """
        collection = self._get_collection(request, context)
        field = "" if isinstance(request, milvus_pb2.GetIndexStatisticsRequest) else request.field_name
        found = find(collection.index_records(), field_name=field, name=request.index_name)
        if not found:
            raise IndexNotFoundError(
                f"index not found[collection={request.collection_name}][index={request.index_name or field}]"
            )
        return collection.num_entities, found
