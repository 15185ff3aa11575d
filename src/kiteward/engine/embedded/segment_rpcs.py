"""RPCs about segments, flushing, compaction and replicas, answered truthfully for an engine that does each at once.

A flush has ended when it is answered. Milvus Lite compacts by itself after a flush, so that a requested compaction has
nothing left to do and data files count as sorted and compacted: clients wait for both. One process serves one replica
of everything that is loaded.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.exceptions import CollectionNotFoundError
from milvus_lite.storage.segment import Segment
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.metadata import next_timestamp
from kiteward.engine.embedded.operations import Execution, executed
from kiteward.engine.embedded.responses import answering, success

_NODE: Final = 1
"""The id of the one node that serves everything."""


class SegmentServicer(MilvusServicer):  # type: ignore[misc]  # milvus_lite carries no types
    """Segments are Milvus Lite's data files."""

    @answering(milvus_pb2.FlushResponse)
    def Flush(self, request: milvus_pb2.FlushRequest, context: CallContext) -> milvus_pb2.FlushResponse:
        """Write the named collections' rows into data files."""
        database = self._database_name(request, context)
        collections = [self._db.get_collection(name, database_name=database) for name in request.collection_names]
        response = milvus_pb2.FlushResponse(status=success(), db_name=database)
        for name, collection in zip(request.collection_names, collections, strict=True):
            collection.flush()
            segments = schema_pb2.LongArray(data=[_segment_id(each) for each in collection.segments()])
            timestamp = next_timestamp()
            response.coll_segIDs[name].CopyFrom(segments)
            response.flush_coll_segIDs[name].CopyFrom(segments)
            response.coll_seal_times[name] = timestamp >> 18
            response.coll_flush_ts[name] = timestamp
        return response

    @answering(milvus_pb2.GetFlushStateResponse)
    def GetFlushState(
        self, request: milvus_pb2.GetFlushStateRequest, context: CallContext
    ) -> milvus_pb2.GetFlushStateResponse:
        """Return that the flush is complete; a collection that the request names must exist."""
        if request.collection_name:
            self._get_collection(request, context)
        return milvus_pb2.GetFlushStateResponse(status=success(), flushed=True)

    @executed(Execution.LOCKS_DATABASE)
    @answering(milvus_pb2.FlushAllResponse)
    def FlushAll(self, request: milvus_pb2.FlushAllRequest, context: CallContext) -> milvus_pb2.FlushAllResponse:
        """Flush every collection of the database."""
        for collection in self._all_collections(self._database_name(request, context)):
            collection.flush()
        return milvus_pb2.FlushAllResponse(status=success(), flush_all_ts=next_timestamp())

    def GetFlushAllState(
        self, _request: milvus_pb2.GetFlushAllStateRequest, _context: CallContext
    ) -> milvus_pb2.GetFlushAllStateResponse:
        """Return that everything is flushed: FlushAll returns only after that."""
        return milvus_pb2.GetFlushAllStateResponse(status=success(), flushed=True)

    @executed(Execution.WITHOUT_EFFECT)
    @answering(milvus_pb2.ManualCompactionResponse)
    def ManualCompaction(
        self, request: milvus_pb2.ManualCompactionRequest, context: CallContext
    ) -> milvus_pb2.ManualCompactionResponse:
        """Return the id of a compaction that has nothing left to do."""
        self._get_collection(request, context)
        return milvus_pb2.ManualCompactionResponse(status=success(), compactionID=next_timestamp())

    def GetCompactionState(
        self, _request: milvus_pb2.GetCompactionStateRequest, _context: CallContext
    ) -> milvus_pb2.GetCompactionStateResponse:
        """Return that a compaction is completed."""
        state = common_pb2.CompactionState.Completed
        return milvus_pb2.GetCompactionStateResponse(status=success(), state=state)

    def GetCompactionStateWithPlans(
        self, _request: milvus_pb2.GetCompactionPlansRequest, _context: CallContext
    ) -> milvus_pb2.GetCompactionPlansResponse:
        """Return that a compaction is completed, without plans."""
        state = common_pb2.CompactionState.Completed
        return milvus_pb2.GetCompactionPlansResponse(status=success(), state=state)

    @answering(milvus_pb2.GetPersistentSegmentInfoResponse)
    def GetPersistentSegmentInfo(
        self, request: milvus_pb2.GetPersistentSegmentInfoRequest, context: CallContext
    ) -> milvus_pb2.GetPersistentSegmentInfoResponse:
        """List a collection's data files."""
        collection = self._collection_of(request, context)
        infos = [
            milvus_pb2.PersistentSegmentInfo(
                segmentID=_segment_id(segment),
                collectionID=collection.metadata.collection_id(),
                partitionID=collection.metadata.partition_id(segment.partition),
                num_rows=segment.num_rows,
                state=common_pb2.SegmentState.Flushed,
                level=common_pb2.SegmentLevel.L2,
                is_sorted=True,
            )
            for segment in collection.segments()
            if not request.states or common_pb2.SegmentState.Flushed in request.states
        ]
        return milvus_pb2.GetPersistentSegmentInfoResponse(status=success(), infos=infos)

    @answering(milvus_pb2.GetQuerySegmentInfoResponse)
    def GetQuerySegmentInfo(
        self, request: milvus_pb2.GetQuerySegmentInfoRequest, context: CallContext
    ) -> milvus_pb2.GetQuerySegmentInfoResponse:
        """List the data files of a collection that is loaded."""
        collection = self._collection_of(request, context)
        infos = [
            milvus_pb2.QuerySegmentInfo(
                segmentID=_segment_id(segment),
                collectionID=collection.metadata.collection_id(),
                partitionID=collection.metadata.partition_id(segment.partition),
                num_rows=segment.num_rows,
                nodeID=_NODE,
                nodeIds=[_NODE],
                state=common_pb2.SegmentState.Sealed,
                level=common_pb2.SegmentLevel.L2,
                is_sorted=True,
            )
            for segment in collection.segments()
            if collection.load_state == "loaded"
        ]
        return milvus_pb2.GetQuerySegmentInfoResponse(status=success(), infos=infos)

    @answering(milvus_pb2.GetReplicasResponse)
    def GetReplicas(
        self, request: milvus_pb2.GetReplicasRequest, context: CallContext
    ) -> milvus_pb2.GetReplicasResponse:
        """Describe the one replica of a loaded collection."""
        collection = self._get_collection(request, context)
        replica = milvus_pb2.ReplicaInfo(
            replicaID=collection.metadata.collection_id(),
            collectionID=collection.metadata.collection_id(),
            partition_ids=[collection.metadata.partition_id(name) for name in collection.list_partitions()],
            node_ids=[_NODE],
            resource_group_name="__default_resource_group",
            shard_replicas=[milvus_pb2.ShardReplica(leaderID=_NODE, node_ids=[_NODE])],
        )
        replicas = [replica] if collection.load_state == "loaded" else []
        return milvus_pb2.GetReplicasResponse(status=success(), replicas=replicas)

    def _collection_of(
        self,
        request: milvus_pb2.GetPersistentSegmentInfoRequest | milvus_pb2.GetQuerySegmentInfoRequest,
        context: CallContext,
    ) -> ServedCollection:
        """Return the collection of a request whose fields are spelt `dbName` and `collectionName`."""
        database = request.dbName or self._database_name(request, context)
        collection: ServedCollection = self._db.get_collection(request.collectionName, database_name=database)
        return collection

    def _all_collections(self, database: str) -> Iterator[ServedCollection]:
        for name in self._db.list_collections(database_name=database):
            try:
                yield self._db.get_collection(name, database_name=database)
            except CollectionNotFoundError:
                continue  # dropped meanwhile


def _segment_id(segment: Segment) -> int:
    """Return a number for a data file that stays the same as long as the file does."""
    name = f"{segment.partition}/{Path(segment.file_path).name}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1
