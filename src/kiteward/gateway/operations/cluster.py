"""Resource groups, replication, file resources, the state of nodes.

Cluster-level privileges are checked without a database, so no field of these requests selects an object.
"""

from typing import Final

from kiteward.gateway import ddl_intents
from kiteward.gateway.audit_details import Converted, uri_without_secrets
from kiteward.gateway.operations.declare import CONFIDENTIAL, ONE_COLLECTION, changes_catalog, defines, reads, writes
from kiteward.gateway.operations.row import RowUse

ROWS: Final = (
    *defines(
        "CreateResourceGroup",
        "CreateResourceGroup",
        rows=RowUse.NONE,
        database="",
        forwarded="resource_group config",
    ),
    *defines(
        "DropResourceGroup",
        "DropResourceGroup",
        rows=RowUse.NONE,
        database="",
        forwarded="resource_group",
    ),
    *defines(
        "UpdateResourceGroups",
        "UpdateResourceGroups",
        rows=RowUse.NONE,
        database="",
        forwarded="resource_groups",
    ),
    *defines(
        "TransferNode",
        "TransferNode",
        rows=RowUse.NONE,
        database="",
        forwarded="source_resource_group target_resource_group num_node",
    ),
    *defines(
        "TransferReplica",
        "TransferReplica",
        rows=RowUse.NONE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        forwarded="source_resource_group target_resource_group num_replica",
    ),
    *reads("ListResourceGroups", "ListResourceGroups", rows=RowUse.NONE, database=""),
    *reads(
        "DescribeResourceGroup",
        "DescribeResourceGroup",
        rows=RowUse.NONE,
        database="",
        forwarded="resource_group",
    ),
    # Milvus does not restrict these two. They describe nodes and load, as the RPCs about resource groups do.
    *reads(
        "GetMetrics",
        "DescribeResourceGroup",
        rows=RowUse.WHOLE,
        database="",
        forwarded="request",
    ),
    *reads("GetComponentStates", "DescribeResourceGroup", rows=RowUse.NONE, database=""),
    *defines(
        "AddFileResource",
        "AddFileResource",
        rows=RowUse.NONE,
        database="",
        forwarded="name",
    ),
    *defines(
        "RemoveFileResource",
        "RemoveFileResource",
        rows=RowUse.NONE,
        database="",
        forwarded="name",
    ),
    *reads("ListFileResources", "ListFileResources", rows=RowUse.NONE, database=""),
    *defines(
        "UpdateReplicateConfiguration",
        "UpdateReplicateConfiguration",
        rows=RowUse.WHOLE,
        database="",
        forwarded="replicate_configuration force_promote",
    ),
    *writes(
        "ReplicateMessage",
        "UpdateReplicateConfiguration",
        rows=RowUse.WHOLE,
        database="",
        forwarded="channel_name BeginTs EndTs Msgs StartPositions EndPositions",
    ),
    *reads(
        "GetReplicateConfiguration GetReplicateInfo",
        "GetReplicateConfiguration",
        rows=RowUse.NONE,
        database="",
        forwarded="source_cluster_id target_pchannel",
    ),
    *defines(
        "FlushAll",
        "FlushAll",
        rows=RowUse.NONE,
        forwarded="flush_targets",
    ),
    *reads(
        "GetFlushAllState",
        "FlushAll",
        rows=RowUse.NONE,
        forwarded="flush_all_ts flush_targets flush_all_tss",
    ),
    *changes_catalog(
        "RestoreExternalSnapshot",
        "RestoreExternalSnapshot",
        rows=RowUse.WHOLE,
        creates=("target_collection_name",),
        intent=ddl_intents.restore_snapshot,
        recorded={
            "target": "target_collection_name",
            "from": Converted("snapshot_metadata_uri", str, uri_without_secrets),
        },
        left_out={"external_spec": CONFIDENTIAL},
    ),
    *defines(
        "ExportSnapshot",
        "ExportSnapshot",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        forwarded="name",
    ),
    *reads(
        "GetExportSnapshotState",
        "ExportSnapshot",
        rows=RowUse.WHOLE,
        database="",
        forwarded="job_id",
    ),
    *defines(
        "PinSnapshotData",
        "PinSnapshotData",
        rows=RowUse.WHOLE,
        collections=ONE_COLLECTION,
        beside_writes=True,
        forwarded="name ttl_seconds",
    ),
    *defines(
        "UnpinSnapshotData",
        "UnpinSnapshotData",
        rows=RowUse.WHOLE,
        database="",
        forwarded="pin_id",
    ),
)
