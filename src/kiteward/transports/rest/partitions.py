"""Partitions (contract 5.3)."""

from typing import Any, Final

from kiteward.transports.rest.asking import CollectionNameReq, Has, RowCount, ask, change, row_count
from kiteward.transports.rest.endpoints import Conversation, Endpoint, Name


class PartitionReq(CollectionNameReq):
    """Names a partition."""

    partition_name: Name


class PartitionsReq(CollectionNameReq):
    """Names partitions."""

    partition_names: list[str]


async def list_names(talk: Conversation, body: CollectionNameReq) -> list[str]:
    """Answer `partitions/list`."""
    response = await ask(talk, "ShowPartitions", collection_name=body.collection_name)
    return list(response.partition_names)


async def has(talk: Conversation, body: PartitionReq) -> Has:
    """Answer `partitions/has`."""
    response = await ask(talk, "HasPartition", collection_name=body.collection_name, partition_name=body.partition_name)
    return Has(has=response.value)


async def get_stats(talk: Conversation, body: PartitionReq) -> RowCount:
    """Answer `partitions/get_stats`."""
    response = await ask(
        talk, "GetPartitionStatistics", collection_name=body.collection_name, partition_name=body.partition_name
    )
    return row_count(response.stats)


_ONE: Final = {"collection_name": "collection_name", "partition_name": "partition_name"}
_SEVERAL: Final = {"collection_name": "collection_name", "partition_names": "partition_names"}

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint(
        "partitions/list", CollectionNameReq, list[str], list_names, "List the names of a collection's partitions."
    ),
    Endpoint("partitions/has", PartitionReq, Has, has, "Tell whether a partition exists."),
    Endpoint("partitions/get_stats", PartitionReq, RowCount, get_stats, "Count the rows of a partition."),
    change("partitions/create", PartitionReq, "CreatePartition", "Create a partition.", **_ONE),
    change("partitions/drop", PartitionReq, "DropPartition", "Drop a partition.", **_ONE),
    change("partitions/load", PartitionsReq, "LoadPartitions", "Load partitions.", **_SEVERAL),
    change("partitions/release", PartitionsReq, "ReleasePartitions", "Release partitions.", **_SEVERAL),
)
