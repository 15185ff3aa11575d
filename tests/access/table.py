"""What the operation table is held against, written by hand: a change of the protocol or the table fails a test."""

from typing import Final

CLOSED: Final = "closed"
OPEN: Final = "open"

UNANNOTATED: Final = {
    "HasCollection": "DescribeCollection",
    "ShowCollections": OPEN,
    "CalcDistance": CLOSED,
    "GetFlushAllState": "FlushAll",
    "GetPersistentSegmentInfo": "GetStatistics",
    "GetQuerySegmentInfo": "GetStatistics",
    "GetReplicas": "GetLoadState",
    "Dummy": CLOSED,
    "RegisterLink": CLOSED,
    "GetMetrics": "DescribeResourceGroup",
    "GetComponentStates": "DescribeResourceGroup",
    "GetCompactionState": "Compaction",
    "GetCompactionStateWithPlans": "Compaction",
    "GetImportState": "Import",
    "ListImportTasks": "Import",
    "GetVersion": OPEN,
    "CheckHealth": OPEN,
    "ListIndexedSegment": "IndexDetail",
    "DescribeSegmentIndexData": "IndexDetail",
    "Connect": OPEN,
    "AllocTimestamp": OPEN,
    "ListDatabases": OPEN,
    "ReplicateMessage": "UpdateReplicateConfiguration",
    "RunAnalyzer": "DescribeCollection",
    "GetReplicateInfo": "GetReplicateConfiguration",
    "CreateReplicateStream": CLOSED,
    "DumpMessages": CLOSED,
    "DescribePrewarmTask": "Load",
    "ComputePhraseMatchSlop": OPEN,
    "GetRestoreSnapshotState": "RestoreSnapshot",
    "GetRefreshExternalCollectionProgress": "RefreshExternalCollection",
    "ListRefreshExternalCollectionJobs": "RefreshExternalCollection",
    "ClientHeartbeat": CLOSED,
    "GetClientTelemetry": CLOSED,
    "PushClientCommand": CLOSED,
    "DeleteClientCommand": CLOSED,
}
"""Contract 4.3, with what we decided for each (decision 0008)."""

NOT_AS_ANNOTATED: Final = dict.fromkeys(
    ("CreateRowPolicy", "DropRowPolicy", "ListRowPolicies"),
    "they need ManageRLS and ViewRLS on the collection, as in later protocols; the pinned one has no such privileges",
)
"""Annotated operations whose row does not need the privilege that the protocol names, with the reason."""

_CLUSTER = "a cluster-level privilege is authorized without an object; the handler or the engine reads the name"
_WITHIN = "it narrows the request down inside the collection that is authorized"
_CLOSED = "the operation is closed"
_NOBODY = "it is the caller's own word about itself, which nothing relies on"

_FIELDS_BY_REASON: Final = {
    _CLUSTER: """
        CreateCredential.username DeleteCredential.username
        CreateRole.entity.name AlterRole.role_name DropRole.role_name
        OperateUserRole.username OperateUserRole.role_name
        OperatePrivilege.entity.role OperatePrivilege.entity.role.name OperatePrivilege.entity.db_name
        OperatePrivilege.entity.object.name OperatePrivilege.entity.object_name OperatePrivilege.entity.grantor.user
        OperatePrivilegeV2.role OperatePrivilegeV2.role.name OperatePrivilegeV2.grantor.user
        OperatePrivilegeV2.grantor.user.name OperatePrivilegeV2.db_name OperatePrivilegeV2.collection_name
        RestoreRBAC.RBAC_meta.users RestoreRBAC.RBAC_meta.users.user RestoreRBAC.RBAC_meta.users.roles
        RestoreRBAC.RBAC_meta.roles RestoreRBAC.RBAC_meta.roles.name RestoreRBAC.RBAC_meta.grants.role
        RestoreRBAC.RBAC_meta.grants.db_name RestoreRBAC.RBAC_meta.grants.object_name
        FlushAll.flush_targets.db_name FlushAll.flush_targets.collection_names
        GetFlushAllState.flush_targets.db_name GetFlushAllState.flush_targets.collection_names
        GetExportSnapshotState.job_id UnpinSnapshotData.pin_id
        ReplicateMessage.StartPositions.msgID ReplicateMessage.EndPositions.msgID
        UpdateReplicateConfiguration.replicate_configuration.clusters.cluster_id
        UpdateReplicateConfiguration.replicate_configuration.cross_cluster_topology.source_cluster_id
        UpdateReplicateConfiguration.replicate_configuration.cross_cluster_topology.target_cluster_id
        GetReplicateInfo.source_cluster_id
    """,
    "it is a message, of which the row reads the name": """
        SelectRole.role SelectUser.user SelectGrant.entity.role
    """,
    "one's own roles are open as a whole, all others need a cluster-level privilege": """
        SelectGrant.entity.db_name SelectGrant.entity.object.name SelectGrant.entity.object_name
        SelectGrant.entity.grantor.user
    """,
    _WITHIN: """
        AddCollectionFunction.functionSchema.id AddCollectionFunction.functionSchema.input_field_ids
        AddCollectionFunction.functionSchema.output_field_ids
        AlterCollectionFunction.functionSchema.id AlterCollectionFunction.functionSchema.input_field_ids
        AlterCollectionFunction.functionSchema.output_field_ids
        AddCollectionStructField.struct_array_field_schema.fieldID
        AddCollectionStructField.struct_array_field_schema.fields.fieldID
        AddCollectionStructField.struct_array_field_schema.fields.autoID
        AlterCollectionSchema.action.drop_request.field_id
        BatchUpdateManifest.items.segment_id
        Insert.fields_data.field_id Upsert.fields_data.field_id
        Search.ids Search.ids.int_id Search.ids.str_id
        Search.function_score.functions.id Search.function_score.functions.input_field_ids
        Search.function_score.functions.output_field_ids
        HybridSearch.requests.ids HybridSearch.requests.ids.int_id HybridSearch.requests.ids.str_id
        HybridSearch.function_score.functions.id HybridSearch.function_score.functions.input_field_ids
        HybridSearch.function_score.functions.output_field_ids
        ManualCompaction.partition_id ManualCompaction.segment_ids
        LoadBalance.src_nodeID LoadBalance.dst_nodeIDs LoadBalance.sealed_segmentIDs
        DescribeSegmentIndexData.segmentsIDs
    """,
    "the answer is trimmed to what the caller may see": "ShowCollections.collection_names",
    "it is who a policy applies to, which needs the privilege on the collection alone": "CreateRowPolicy.roles",
    _NOBODY: "Connect.client_info.user",
    _CLOSED: """
        CalcDistance.op_left.id_array.collection_name CalcDistance.op_right.id_array.collection_name
        CreateReplicateStream.replicate_message.source_cluster_id CreateReplicateStream.replicate_message.message.id
        DumpMessages.start_message_id DumpMessages.start_message_id.id
        ClientHeartbeat.client_info.user ClientHeartbeat.command_replies.command_id
        GetClientTelemetry.client_id PushClientCommand.target_client_id DeleteClientCommand.command_id
    """,
}

NOT_SELECTING: Final = {field: reason for reason, fields in _FIELDS_BY_REASON.items() for field in fields.split()}
"""Fields whose names say that they may select an object of access control, and why no row reads them."""
