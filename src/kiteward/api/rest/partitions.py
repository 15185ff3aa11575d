"""Partitions (contract 5.3)."""

from typing import Any, Final

from kiteward.api.rest.endpoints import Endpoint, Name, RequestContext
from kiteward.api.rest.rpc import CollectionNameReq, Has, RowCount, row_count, rpc_endpoint
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2


class PartitionReq(CollectionNameReq):
    """The name of a partition."""

    partition_name: Name


class PartitionsReq(CollectionNameReq):
    """The names of partitions."""

    partition_names: list[str]


async def list_names(context: RequestContext, body: CollectionNameReq) -> list[str]:
    """Answer `partitions/list`."""
    response = await context.call(
        milvus_pb2.ShowPartitionsRequest(db_name=context.database, collection_name=body.collection_name),
        milvus_pb2.ShowPartitionsResponse,
    )
    return list(response.partition_names)


async def has(context: RequestContext, body: PartitionReq) -> Has:
    """Answer `partitions/has`."""
    response = await context.call(
        milvus_pb2.HasPartitionRequest(
            db_name=context.database, collection_name=body.collection_name, partition_name=body.partition_name
        ),
        messages.BoolResponse,
    )
    return Has(has=response.value)


async def get_stats(context: RequestContext, body: PartitionReq) -> RowCount:
    """Answer `partitions/get_stats`."""
    response = await context.call(
        milvus_pb2.GetPartitionStatisticsRequest(
            db_name=context.database, collection_name=body.collection_name, partition_name=body.partition_name
        ),
        milvus_pb2.GetPartitionStatisticsResponse,
    )
    return row_count(response.stats)


_ONE: Final = {"collection_name": "collection_name", "partition_name": "partition_name"}
_SEVERAL: Final = {"collection_name": "collection_name", "partition_names": "partition_names"}

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint(
        "partitions/list", CollectionNameReq, list[str], list_names, "List the names of a collection's partitions."
    ),
    Endpoint("partitions/has", PartitionReq, Has, has, "Return whether a partition exists."),
    Endpoint("partitions/get_stats", PartitionReq, RowCount, get_stats, "Count the rows of a partition."),
    rpc_endpoint("partitions/create", PartitionReq, "CreatePartition", "Create a partition.", **_ONE),
    rpc_endpoint("partitions/drop", PartitionReq, "DropPartition", "Drop a partition.", **_ONE),
    rpc_endpoint("partitions/load", PartitionsReq, "LoadPartitions", "Load partitions.", **_SEVERAL),
    rpc_endpoint("partitions/release", PartitionsReq, "ReleasePartitions", "Release partitions.", **_SEVERAL),
)
