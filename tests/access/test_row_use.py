"""What each RPC does with rows is said in its row. The expectation is written from the rules of row policies."""

from typing import Final

from kiteward.gateway.operations import OPERATIONS, RowUse

_ROWS: Final = {
    RowUse.FILTERED: "Query Search HybridSearch",
    RowUse.WRITTEN: "Insert Upsert Delete",
    RowUse.COUNTS: "DescribeIndex GetIndexStatistics GetIndexState GetIndexBuildProgress",
    RowUse.DEFINITION: """
        AlterCollectionField AlterCollectionSchema AddCollectionFunction AlterCollectionFunction DropCollectionFunction
    """,
    # Statistics and segments; what removes, copies, moves or replaces rows without looking at them.
    RowUse.WHOLE: """
        GetCollectionStatistics GetPartitionStatistics DescribeNamespace ListNamespaces GetNamespaceStats GetMetrics
        GetPersistentSegmentInfo GetQuerySegmentInfo ListIndexedSegment DescribeSegmentIndexData
        GetCompactionStateWithPlans
        TruncateCollection DropPartition DropNamespace
        Import ListImportTasks GetImportState BatchUpdateManifest ReplicateMessage UpdateReplicateConfiguration
        RefreshExternalCollection ListRefreshExternalCollectionJobs GetRefreshExternalCollectionProgress
        CreateSnapshot DropSnapshot ListSnapshots DescribeSnapshot PinSnapshotData UnpinSnapshotData
        RestoreSnapshot GetRestoreSnapshotState ListRestoreSnapshotJobs RestoreExternalSnapshot
        ExportSnapshot GetExportSnapshotState
    """,
    # Grants on the new name decide who bypasses the policies.
    RowUse.MOVED: "RenameCollection",
    # Names, definitions, loading and the cluster. To drop a collection is to drop its policies.
    RowUse.NONE: """
        CreateCollection DropCollection HasCollection DescribeCollection BatchDescribeCollection
        ShowCollections AlterCollection AddCollectionField AddCollectionStructField
        LoadCollection LoadPartitions Prewarm ReleaseCollection ReleasePartitions GetLoadState GetLoadingProgress
        DescribePrewarmTask GetReplicas
        CreatePartition HasPartition ShowPartitions CreateNamespace HasNamespace
        CreateIndex AlterIndex DropIndex
        Flush FlushAll GetFlushState GetFlushAllState ManualCompaction GetCompactionState LoadBalance
        CreateAlias AlterAlias DropAlias DescribeAlias ListAliases
        CreateDatabase DropDatabase ListDatabases AlterDatabase DescribeDatabase
        CreateResourceGroup DropResourceGroup UpdateResourceGroups ListResourceGroups DescribeResourceGroup
        TransferNode TransferReplica GetComponentStates GetReplicateConfiguration GetReplicateInfo
        AddFileResource RemoveFileResource ListFileResources RunAnalyzer ComputePhraseMatchSlop AllocTimestamp
    """,
}
EXPECTED: Final = {name: use for use, names in _ROWS.items() for name in names.split()}


def test_every_rpc_of_the_engine_says_what_it_does_with_rows() -> None:
    assert {name: row.rows for name, row in OPERATIONS.items() if row.by_engine} == EXPECTED


def test_what_no_engine_executes_touches_no_rows() -> None:
    assert {row.rows for row in OPERATIONS.values() if not row.by_engine} == {RowUse.NONE}
