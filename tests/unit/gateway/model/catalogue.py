"""The privileges and groups of the contract, stated independently: nothing here comes from the code under test.

Sources: contract 4.4 (object types, levels, what v1 accepts), contract 4.5 (groups), contract 2.4 (granted along).
"""

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


GLOBAL_CLUSTER: Final = _names(
    """
    CreateOwnership DropOwnership SelectOwnership ManageOwnership CreateResourceGroup DropResourceGroup
    DescribeResourceGroup ListResourceGroups TransferNode TransferReplica CreateDatabase DropDatabase ListDatabases
    FlushAll UpdateResourceGroups BackupRBAC RestoreRBAC CreatePrivilegeGroup DropPrivilegeGroup ListPrivilegeGroups
    OperatePrivilegeGroup AddFileResource RemoveFileResource ListFileResources UpdateReplicateConfiguration
    GetReplicateConfiguration PinSnapshotData UnpinSnapshotData RestoreExternalSnapshot ExportSnapshot Expr
    ProvisionUsers ExchangeToken
    """
)
USER_CLUSTER: Final = frozenset({"UpdateUser", "SelectUser"})
GLOBAL_DATABASE: Final = frozenset(
    {"CreateCollection", "DropCollection", "RenameCollection", "ShowCollections", "DescribeDatabase", "AlterDatabase"}
)
GLOBAL_COLLECTION: Final = _names(
    "DescribeCollection CreateAlias DropAlias DescribeAlias ListAliases ManageRLS ViewRLS SkipRLS CallProvider"
)
COLLECTION_COLLECTION: Final = _names(
    """
    Load Release Compaction Insert Delete GetStatistics CreateIndex IndexDetail DropIndex Search Flush Query LoadBalance
    Import Upsert GetLoadingProgress GetLoadState CreatePartition DropPartition ShowPartitions HasPartition
    GetFlushState GetImportProgress ListImport AddCollectionField CreateSnapshot DropSnapshot DescribeSnapshot
    ListSnapshots RestoreSnapshot AlterCollectionSchema RefreshExternalCollection
    """
)

CLUSTER: Final = GLOBAL_CLUSTER | USER_CLUSTER
DATABASE: Final = GLOBAL_DATABASE
COLLECTION: Final = GLOBAL_COLLECTION | COLLECTION_COLLECTION
SINGLE: Final = CLUSTER | DATABASE | COLLECTION

OF_TYPE: Final = {
    "Global": GLOBAL_CLUSTER | GLOBAL_DATABASE | GLOBAL_COLLECTION,
    "Collection": COLLECTION_COLLECTION,
    "User": USER_CLUSTER,
}
NOT_BY_V1: Final = frozenset(
    {
        *("AddFileResource", "RemoveFileResource", "ListFileResources", "GetReplicateConfiguration"),
        *("ManageRLS", "ViewRLS", "SkipRLS", "CallProvider", "ProvisionUsers", "ExchangeToken"),
    }
)

ALONG: Final = {"Load": ("GetLoadState", "GetLoadingProgress"), "Flush": ("GetFlushState",)}


def _cumulative(*parts: str) -> tuple[frozenset[str], ...]:
    return tuple(_names(" ".join(parts[: end + 1])) for end in range(len(parts)))


_CLUSTER_RO, _CLUSTER_RW, _CLUSTER_ADMIN = _cumulative(
    "ListDatabases SelectOwnership SelectUser DescribeResourceGroup ListResourceGroups ListPrivilegeGroups "
    "GetReplicateConfiguration ListFileResources",
    "FlushAll TransferNode TransferReplica UpdateResourceGroups AddFileResource RemoveFileResource PinSnapshotData "
    "UnpinSnapshotData",
    "BackupRBAC RestoreRBAC CreateDatabase DropDatabase CreateOwnership DropOwnership ManageOwnership "
    "CreateResourceGroup DropResourceGroup UpdateUser CreatePrivilegeGroup DropPrivilegeGroup OperatePrivilegeGroup "
    "UpdateReplicateConfiguration Expr RestoreExternalSnapshot ExportSnapshot",
)
_DATABASE_RO, _DATABASE_RW, _DATABASE_ADMIN = _cumulative(
    "ShowCollections DescribeDatabase", "AlterDatabase", "CreateCollection DropCollection RenameCollection"
)
_COLLECTION_RO, _COLLECTION_RW, _COLLECTION_ADMIN = _cumulative(
    "Query Search IndexDetail GetFlushState GetLoadState GetLoadingProgress HasPartition ShowPartitions "
    "DescribeCollection DescribeAlias GetStatistics ListAliases GetImportProgress ListImport DescribeSnapshot "
    "ListSnapshots",
    "Load Release Insert Delete Upsert Import Flush Compaction LoadBalance CreateIndex DropIndex CreatePartition "
    "DropPartition AddCollectionField AlterCollectionSchema RefreshExternalCollection CreateSnapshot DropSnapshot",
    "CreateAlias DropAlias RestoreSnapshot ManageRLS ViewRLS",
)

BUILT_IN: Final = {
    "ClusterReadOnly": _CLUSTER_RO,
    "ClusterReadWrite": _CLUSTER_RW,
    "ClusterAdmin": _CLUSTER_ADMIN,
    "DatabaseReadOnly": _DATABASE_RO,
    "DatabaseReadWrite": _DATABASE_RW,
    "DatabaseAdmin": _DATABASE_ADMIN,
    "CollectionReadOnly": _COLLECTION_RO,
    "CollectionReadWrite": _COLLECTION_RW,
    "CollectionAdmin": _COLLECTION_ADMIN,
}

_READ_ONLY, _READ_WRITE, _ADMIN = _cumulative(
    "Query Search IndexDetail GetFlushState GetLoadState GetLoadingProgress HasPartition ShowPartitions "
    "ShowCollections ListAliases ListDatabases DescribeCollection DescribeDatabase DescribeAlias GetStatistics "
    "DescribeSnapshot ListSnapshots",
    "CreateIndex DropIndex CreatePartition DropPartition Load Release Insert Delete Upsert Import Flush Compaction "
    "LoadBalance CreateAlias DropAlias CreateSnapshot DropSnapshot RefreshExternalCollection",
    "CreateCollection DropCollection RenameCollection CreateOwnership DropOwnership SelectOwnership ManageOwnership "
    "SelectUser UpdateUser BackupRBAC RestoreRBAC CreateResourceGroup DropResourceGroup DescribeResourceGroup "
    "ListResourceGroups UpdateResourceGroups TransferReplica TransferNode CreateDatabase DropDatabase AlterDatabase "
    "UpdateReplicateConfiguration RestoreSnapshot PinSnapshotData UnpinSnapshotData RestoreExternalSnapshot "
    "ExportSnapshot",
)
LEGACY: Final = {"ReadOnly": _READ_ONLY, "ReadWrite": _READ_WRITE, "Admin": _ADMIN}
LEGACY_TYPE: Final = {"ReadOnly": "Collection", "ReadWrite": "Collection", "Admin": "Global"}


def level(name: str) -> str:
    """Return the level of a single privilege or a built-in group; empty for everything else."""
    if name in BUILT_IN:
        return next(each for each in ("Cluster", "Database", "Collection") if name.startswith(each))
    if name in CLUSTER:
        return "Cluster"
    if name in DATABASE:
        return "Database"
    return "Collection" if name in COLLECTION else ""


def object_type(name: str) -> str:
    """Return the object type under which V2 stores a privilege, group or `*`."""
    if name in LEGACY_TYPE:
        return LEGACY_TYPE[name]
    return next((kind for kind in ("Collection", "User") if name in OF_TYPE[kind]), "Global")
