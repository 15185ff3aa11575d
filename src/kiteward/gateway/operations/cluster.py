"""Resource groups, replication, file resources, the state of nodes.

Cluster-level privileges are checked without a database, so no field of these requests selects an object.
"""

from typing import Final

from kiteward.gateway import ddl_intents
from kiteward.gateway.audit_details import Converted, uri_without_secrets
from kiteward.gateway.operations.declare import CONFIDENTIAL, ONE_COLLECTION, changes_catalog, defines, reads, writes

ROWS: Final = (
    *defines("CreateResourceGroup", "CreateResourceGroup", database=""),
    *defines("DropResourceGroup", "DropResourceGroup", database=""),
    *defines("UpdateResourceGroups", "UpdateResourceGroups", database=""),
    *defines("TransferNode", "TransferNode", database=""),
    *defines("TransferReplica", "TransferReplica", collections=ONE_COLLECTION),
    *reads("ListResourceGroups", "ListResourceGroups", database=""),
    *reads("DescribeResourceGroup", "DescribeResourceGroup", database=""),
    # Milvus does not restrict these two. They describe nodes and load, as the RPCs about resource groups do.
    *reads("GetMetrics GetComponentStates", "DescribeResourceGroup", database=""),
    *defines("AddFileResource", "AddFileResource", database=""),
    *defines("RemoveFileResource", "RemoveFileResource", database=""),
    *reads("ListFileResources", "ListFileResources", database=""),
    *defines("UpdateReplicateConfiguration", "UpdateReplicateConfiguration", database=""),
    *writes("ReplicateMessage", "UpdateReplicateConfiguration", database=""),
    *reads("GetReplicateConfiguration GetReplicateInfo", "GetReplicateConfiguration", database=""),
    *defines("FlushAll", "FlushAll"),
    *reads("GetFlushAllState", "FlushAll"),
    *changes_catalog(
        "RestoreExternalSnapshot",
        "RestoreExternalSnapshot",
        creates=("target_collection_name",),
        intent=ddl_intents.restore_snapshot,
        recorded={
            "target": "target_collection_name",
            "from": Converted("snapshot_metadata_uri", str, uri_without_secrets),
        },
        left_out={"external_spec": CONFIDENTIAL},
    ),
    *defines("ExportSnapshot", "ExportSnapshot", collections=ONE_COLLECTION),
    *reads("GetExportSnapshotState", "ExportSnapshot", database=""),
    *defines("PinSnapshotData", "PinSnapshotData", collections=ONE_COLLECTION),
    *defines("UnpinSnapshotData", "UnpinSnapshotData", database=""),
)
