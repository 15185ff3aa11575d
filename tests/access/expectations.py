"""Who may call what: written from contract 4.2 to 4.8 and the decisions in docs/decisions, never from the code.

A row gives one mark for each principal, in the order of `PRINCIPALS`, for a request about collection `c1` of database
`db1` and the same about `c2`:
`+` both allowed; `-` both denied; `1` allowed for c1 only; `v` c1 is visible and c2 does not exist for the caller;
`x` neither exists for the caller; `U` not offered to anybody.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Holder:
    """A user with one role of its own.

    Attributes:
        name: the user; its role is called `of_<user>`.
        v1: grant by OperatePrivilege: privilege, object type, object name, database.
        v2: grant by OperatePrivilegeV2: privilege or group, database, collection.
        role: a built-in role to bind instead.
    """

    name: str
    v1: tuple[str, str, str, str] | None = None
    v2: tuple[str, str, str] | None = None
    role: str = ""


CUSTOM_GROUP: Final = ("inserters", ("Insert", "Search"))

PRINCIPALS: Final = (
    Holder("root"),
    Holder("admins", role="admin"),
    Holder("nobody"),
    Holder("reader", v2=("CollectionReadOnly", "db1", "c1")),
    Holder("old_reader", v1=("ReadOnly", "Collection", "c1", "db1")),
    Holder("old_writer", v1=("ReadWrite", "Collection", "c1", "db1")),
    Holder("old_admin", v1=("Admin", "Global", "*", "db1")),
    Holder("everything", v1=("All", "Global", "*", "db1")),
    Holder("star", v1=("*", "Global", "*", "db1")),
    Holder("database_admin", v2=("DatabaseAdmin", "db1", "*")),
    Holder("cluster_admin", v2=("ClusterAdmin", "*", "*")),
    Holder("inserter", v2=("inserters", "db1", "c1")),
    Holder("on_default", v1=("CreateOwnership", "Global", "*", "default")),
    Holder("everywhere", v1=("All", "Global", "*", "*")),
    Holder("collection_admin", v2=("CollectionAdmin", "db1", "*")),
)

_ROWS: Final = {
    # root, admins, nobody, reader, old_reader, old_writer, old_admin, everything, star, database_admin, cluster_admin,
    # inserter, on_default, everywhere, collection_admin
    "+++++++++++++++": """
        ShowCollections ListDatabases GetVersion CheckHealth AllocTimestamp ComputePhraseMatchSlop
    """,
    # A connection to a database that the caller may not see is refused as if there were none.
    "++x+++++++++x++": "Connect",
    # Any privilege on a collection shows it; Global `*` and All hold DescribeCollection on all of the database.
    "++xvvv+++xxvxx+": "HasCollection DescribeCollection",
    "++-111+++--1--+": """
        BatchDescribeCollection DescribeIndex GetIndexStatistics GetIndexState GetIndexBuildProgress RunAnalyzer
    """,
    # CollectionReadOnly, ReadOnly; type Collection, so that Global `*` does not reach them.
    "++-111++------+": """
        Query GetLoadState GetLoadingProgress HasPartition HasNamespace ShowPartitions DescribeNamespace ListNamespaces
        GetNamespaceStats GetCollectionStatistics GetPartitionStatistics GetFlushState DescribeSnapshot ListSnapshots
        GetReplicas GetPersistentSegmentInfo GetQuerySegmentInfo ListIndexedSegment DescribeSegmentIndexData
    """,
    "++-111++---1--+": "Search HybridSearch",
    # CollectionReadWrite, ReadWrite
    "++---1++------+": """
        LoadCollection LoadPartitions Prewarm ReleaseCollection ReleasePartitions Delete Upsert Import ListImportTasks
        Flush ManualCompaction LoadBalance CreateIndex AlterIndex DropIndex CreatePartition CreateNamespace
        DropPartition DropNamespace CreateSnapshot DropSnapshot RefreshExternalCollection
        ListRefreshExternalCollectionJobs
    """,
    "++---1++---1--+": "Insert BatchUpdateManifest",
    # What goes by a number needs the privilege on every collection of the database. Restoring is in CollectionAdmin and
    # Admin.
    "++----++------+": """
        GetCompactionState GetCompactionStateWithPlans GetImportState DescribePrewarmTask
        GetRefreshExternalCollectionProgress RestoreSnapshot ListRestoreSnapshotJobs GetRestoreSnapshotState
    """,
    # CollectionReadWrite, but in no legacy group
    "++-----+------+": "AddCollectionField AddCollectionStructField AlterCollectionSchema",
    # CollectionReadOnly and ReadOnly, type Global
    "++-111+++-----+": "DescribeAlias ListAliases",
    # CollectionAdmin and ReadWrite, type Global
    "++---1+++-----+": "AlterAlias DropAlias",
    # The new name is authorized too, so that nothing less than the database will do.
    "++----+++-----+": "CreateAlias",
    # DatabaseAdmin, Admin
    "++----++++-----": """
        CreateCollection AlterCollection AlterCollectionField AddCollectionFunction AlterCollectionFunction
        DropCollectionFunction DropCollection TruncateCollection RenameCollection AlterDatabase
    """,
    # Legacy groups on a collection reach the database with what looks at it as a whole.
    "++--++++++-----": "DescribeDatabase",
    # CollectionAdmin, in no legacy group
    "++-----++-----+": "CreateRowPolicy DropRowPolicy ListRowPolicies",
    # Cluster-level; on `default` only the one privilege that the grant names.
    "++--------+-++-": "CreateCredential CreateRole AlterRole",
    "++--------+--+-": """
        AddUserTags DeleteUserTags GetUserTags ListUsersWithTag
        UpdateCredential DeleteCredential ListCredUsers SelectUser DropRole SelectRole SelectGrant OperateUserRole
        OperatePrivilege OperatePrivilegeV2 BackupRBAC RestoreRBAC CreatePrivilegeGroup DropPrivilegeGroup
        ListPrivilegeGroups OperatePrivilegeGroup
        CreateResourceGroup DropResourceGroup UpdateResourceGroups TransferNode TransferReplica ListResourceGroups
        DescribeResourceGroup GetMetrics GetComponentStates
        CreateDatabase DropDatabase FlushAll GetFlushAllState
        AddFileResource RemoveFileResource ListFileResources
        UpdateReplicateConfiguration GetReplicateConfiguration GetReplicateInfo ReplicateMessage
        RestoreExternalSnapshot ExportSnapshot GetExportSnapshotState PinSnapshotData UnpinSnapshotData
    """,
    "UUUUUUUUUUUUUUU": """
        CalcDistance Dummy RegisterLink CreateReplicateStream DumpMessages
        ClientHeartbeat GetClientTelemetry PushClientCommand DeleteClientCommand
    """,
}

EXPECTED: Final = {operation: marks for marks, operations in _ROWS.items() for operation in operations.split()}
"""Operation -> marks."""
