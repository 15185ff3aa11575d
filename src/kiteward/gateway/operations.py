"""The operation table: every RPC, what it needs, which of its fields select objects, and who executes it.

Sources: contract 4.2 for annotated requests, contract 4.3 and decision 0008 for the others. A request that
    is not
in the table is unknown and refused; a test holds the table complete against the descriptors.

A row names *every* field that selects an object of access control. Names of collections are judged after aliases are
resolved; a request that selects by an id needs the privilege on `*`, because an id cannot be judged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kiteward.authz.privileges import PRIVILEGES, Privilege
from kiteward.domain.identity import CredentialReach
from kiteward.gateway import outbound
from kiteward.milvus import messages
from kiteward.milvus.field_selection import FieldSelection


class Executor(StrEnum):
    """Who does what an allowed call asks for."""

    ENGINE = "engine"
    HERE = "here"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Operation:
    """One RPC with its rules.

    Attributes:
        name: RPC name, unique over the services on the port.
        executor: who executes it; NOBODY means closed on purpose, with the sentence in `closed`.
        privilege: the privilege needed; None lets any authenticated principal call, and the answer is trimmed where it
            tells.
        database: field that names the database, or empty where the request has none.
        collections: fields that name collections, by name or alias, singly or as lists; each needs the privilege.
        new_collections: fields that name a collection to be; judged as they stand, without resolving aliases.
        aliases: fields that name an alias; judged by the collection it stands for, or as it stands where it is none.
        creates: fields that give a name to a new collection or alias; held to the naming rule.
        creates_database: field that gives a name to a new database; held to the naming rule.
        creates_partitions: fields that give a name to a new partition; held to its naming rule.
        creates_fields: fields that give a name to a new field, or to one inside it; held to its naming rule.
        creates_indexes: fields that give a name to a new index, or leave it to the engine; held to its naming rule.
        must_match: fields inside sub-requests that must name the same collection, or none.
        database_must_match: fields inside sub-requests that must name the same database, or none.
        target_database: field that names a second database; when it differs, the privilege is needed on every database.
        ids: fields that select by id; set, they need the privilege on `*`.
        user: field that names a user, for privileges of type User.
        own_role: field that names a role whose holders need no privilege.
        visibility_is_enough: whether any privilege on the collection does as well.
        if_named: whether the privilege is needed only when a collection is named.
        credential: which credentials may call it where no privilege is needed, or by an exemption: as the user or a
            holder of the role that it is about. Who holds the privilege may call it with any.
        not_by_alias: the sentence that refuses an alias in `collections`, with `{alias}`; empty where one will do.
        not_while_aliased: the sentence that refuses a collection which aliases stand for, with `{collection}` and
            `{aliases}`; empty where they do not matter.
        exists: whether the settled database must exist for the request to make sense.
        closed: for NOBODY, why.
        places: where the rules about addresses and files hold, found by `outbound`.
    """

    name: str
    executor: Executor
    privilege: Privilege | None = None
    database: str = ""
    collections: tuple[str, ...] = ()
    new_collections: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    creates: tuple[str, ...] = ()
    creates_database: str = ""
    creates_partitions: tuple[str, ...] = ()
    creates_fields: tuple[str, ...] = ()
    creates_indexes: tuple[str, ...] = ()
    must_match: tuple[str, ...] = ()
    database_must_match: tuple[str, ...] = ()
    target_database: str = ""
    ids: tuple[str, ...] = ()
    user: str = ""
    own_role: str = ""
    visibility_is_enough: bool = False
    if_named: bool = False
    credential: CredentialReach = CredentialReach.FULL
    not_by_alias: str = ""
    not_while_aliased: str = ""
    exists: bool = True
    closed: str = ""
    places: tuple[outbound.Place, ...] = field(default=(), repr=False, compare=False)
    selection: FieldSelection | None = field(default=None, repr=False, compare=False)

    def fields(self) -> tuple[str, ...]:
        """Return every field that selects or names an object."""
        single = (self.database, self.creates_database, self.target_database, self.user, self.own_role)
        judged = (
            *self.collections,
            *self.new_collections,
            *self.aliases,
            *self.must_match,
            *self.database_must_match,
            *self.ids,
        )
        return tuple(dict.fromkeys(path for path in (*single, *judged, *self.creates) if path))

    def content(self) -> tuple[str, ...]:
        """Return every field of the request's content that is looked at: it selects nothing, and may be refused."""
        named = (*self.creates_partitions, *self.creates_fields, *self.creates_indexes)
        return tuple(dict.fromkeys((*named, *(place.path for place in self.places))))


class _Rows:
    """Builds the table; one method per executor, so that a row reads as a sentence."""

    def __init__(self) -> None:
        self.table: dict[str, Operation] = {}

    def engine(self, names: str, privilege: str | None, **rules: object) -> None:
        """Rows executed by the engine. The database field is `db_name` unless given."""
        for name in names.split():
            self._put(name, Executor.ENGINE, privilege, {"database": "db_name", **rules})

    def here(self, names: str, privilege: str | None, **rules: object) -> None:
        """Rows that Kiteward answers itself."""
        for name in names.split():
            self._put(name, Executor.HERE, privilege, rules)

    def closed(self, names: str, why: str) -> None:
        """Rows that nobody executes."""
        for name in names.split():
            self._put(name, Executor.NOBODY, None, {"closed": why})

    def _put(self, name: str, executor: Executor, privilege: str | None, rules: Mapping[str, object]) -> None:
        if name in self.table:
            raise ValueError(f"operation `{name}` is in the table twice")
        needed = None if privilege is None else PRIVILEGES[privilege]
        places = outbound.places(name) if executor is Executor.ENGINE else ()
        row = Operation(name, executor, needed, **rules, places=places)  # type: ignore[arg-type]  # the dataclass's own fields
        selecting, content = row.fields(), row.content()
        selection = FieldSelection.of(name, selecting, erasable=content) if selecting or content else None
        self.table[name] = replace(row, selection=selection)


def _build() -> Mapping[str, Operation]:
    rows = _Rows()
    _collection_rows(rows)
    _data_rows(rows)
    _alias_and_database_rows(rows)
    _cluster_rows(rows)
    _administration_rows(rows)
    _closed_rows(rows)
    return MappingProxyType(rows.table)


_ONE: Final = ("collection_name",)
_ANY: Final = CredentialReach.ANY
"""For what tells nothing, or is trimmed to what the credential may see."""


def _collection_rows(rows: _Rows) -> None:
    rows.engine(
        "CreateCollection",
        "CreateCollection",
        new_collections=_ONE,
        creates=_ONE,
        creates_fields=(
            "schema.fields.name",
            "schema.struct_array_fields.name",
            "schema.struct_array_fields.fields.name",
        ),
    )
    rows.engine(
        "DropCollection",
        "DropCollection",
        collections=_ONE,
        not_by_alias="cannot drop the collection via alias = {alias}",
        not_while_aliased=(
            "unable to drop the collection [{collection}] because it has associated aliases [{aliases}], "
            "please remove all aliases before dropping the collection"
        ),
    )
    rows.engine("TruncateCollection", "DropCollection", collections=_ONE)
    rows.engine("HasCollection", "DescribeCollection", collections=_ONE, visibility_is_enough=True)
    rows.engine(
        "DescribeCollection", "DescribeCollection", collections=_ONE, ids=("collectionID",), visibility_is_enough=True
    )
    rows.engine(
        "BatchDescribeCollection",
        "DescribeCollection",
        collections=_ONE,
        ids=("collectionID",),
        visibility_is_enough=True,
    )
    # Every answer is trimmed to what the caller may see, so that the list itself needs nothing.
    rows.engine("ShowCollections", None, credential=_ANY)
    rows.engine("AlterCollectionField", "CreateCollection", collections=_ONE)
    rows.engine(
        "AlterCollection AddCollectionFunction AlterCollectionFunction DropCollectionFunction",
        "CreateCollection",
        collections=_ONE,
        ids=("collectionID",),
    )
    rows.engine(
        "AddCollectionField",
        "AddCollectionField",
        collections=_ONE,
        ids=("collectionID",),
        creates_fields=("schema.name",),
    )
    rows.engine(
        "AddCollectionStructField",
        "AddCollectionField",
        collections=_ONE,
        ids=("collectionID",),
        creates_fields=("struct_array_field_schema.name", "struct_array_field_schema.fields.name"),
    )
    rows.engine(
        "AlterCollectionSchema",
        "AlterCollectionSchema",
        collections=_ONE,
        ids=("collectionID",),
        creates_fields=("action.add_request.field_infos.field_schema.name",),
        creates_indexes=("action.add_request.field_infos.index_name",),
    )
    rows.engine(
        "RenameCollection",
        "RenameCollection",
        collections=("oldName",),
        new_collections=("newName",),
        creates=("newName",),
        target_database="newDBName",
        not_by_alias="unsupported use an alias to rename collection, alias:{alias}",
    )
    rows.engine("LoadCollection LoadPartitions Prewarm", "Load", collections=_ONE)
    rows.engine("ReleaseCollection ReleasePartitions", "Release", collections=_ONE)
    rows.engine("GetLoadState GetLoadingProgress", "GetLoadState", collections=_ONE)
    rows.engine("GetCollectionStatistics GetPartitionStatistics", "GetStatistics", collections=_ONE)
    rows.engine("CreatePartition", "CreatePartition", collections=_ONE, creates_partitions=("partition_name",))
    rows.engine("CreateNamespace", "CreatePartition", collections=_ONE, creates_partitions=("namespace_name",))
    rows.engine("DropPartition DropNamespace", "DropPartition", collections=_ONE)
    rows.engine("HasPartition HasNamespace", "HasPartition", collections=_ONE)
    rows.engine("ShowPartitions", "ShowPartitions", collections=_ONE, ids=("collectionID",))
    rows.engine("DescribeNamespace ListNamespaces GetNamespaceStats", "ShowPartitions", collections=_ONE)
    rows.engine("CreateIndex", "CreateIndex", collections=_ONE, creates_indexes=("index_name",))
    rows.engine("AlterIndex", "CreateIndex", collections=_ONE)
    rows.engine("DropIndex", "DropIndex", collections=_ONE)
    rows.engine(
        "DescribeIndex GetIndexStatistics GetIndexState GetIndexBuildProgress",
        "IndexDetail",
        collections=_ONE,
        visibility_is_enough=True,
    )
    rows.engine("CreateSnapshot", "CreateSnapshot", collections=_ONE, creates=("name",))
    rows.engine("DropSnapshot", "DropSnapshot", collections=_ONE)
    rows.engine("ListSnapshots", "ListSnapshots", collections=_ONE)
    rows.engine("DescribeSnapshot", "DescribeSnapshot", collections=_ONE)
    rows.engine(
        "RestoreSnapshot",
        "RestoreSnapshot",
        collections=_ONE,
        new_collections=("target_collection_name",),
        creates=("target_collection_name",),
        target_database="target_db_name",
    )
    rows.engine("ListRestoreSnapshotJobs", "RestoreSnapshot", collections=_ONE)
    rows.engine(
        "RefreshExternalCollection ListRefreshExternalCollectionJobs", "RefreshExternalCollection", collections=_ONE
    )


def _data_rows(rows: _Rows) -> None:
    rows.engine("Insert BatchUpdateManifest", "Insert", collections=_ONE)
    rows.engine("Upsert", "Upsert", collections=_ONE)
    rows.engine("Delete", "Delete", collections=_ONE)
    rows.engine("Query", "Query", collections=_ONE)
    rows.engine("Search", "Search", collections=_ONE)
    rows.engine(
        "HybridSearch",
        "Search",
        collections=_ONE,
        must_match=("requests.collection_name",),
        database_must_match=("requests.db_name",),
    )
    rows.engine("Flush", "Flush", collections=("collection_names",))
    rows.engine("GetFlushState", "GetFlushState", collections=_ONE, ids=("segmentIDs",), if_named=True, credential=_ANY)
    rows.engine("LoadBalance", "LoadBalance", collections=("collectionName",))
    rows.engine("ManualCompaction", "Compaction", collections=_ONE, ids=("collectionID",))
    rows.engine("GetCompactionState", "Compaction", database="", ids=("compactionID",))
    rows.engine("GetCompactionStateWithPlans", "Compaction", collections=_ONE, ids=("compactionID", "collection_id"))
    rows.engine("Import ListImportTasks", "Import", collections=_ONE)
    rows.engine("GetImportState", "Import", database="", ids=("task",))
    rows.engine(
        "GetPersistentSegmentInfo GetQuerySegmentInfo",
        "GetStatistics",
        database="dbName",
        collections=("collectionName",),
    )
    rows.engine("GetReplicas", "GetLoadState", collections=_ONE, ids=("collectionID",))
    rows.engine("ListIndexedSegment DescribeSegmentIndexData", "IndexDetail", database="", collections=_ONE)
    rows.engine("DescribePrewarmTask", "Load", database="", ids=("taskID",))
    rows.engine("GetRestoreSnapshotState", "RestoreSnapshot", database="", ids=("job_id",))
    rows.engine("GetRefreshExternalCollectionProgress", "RefreshExternalCollection", database="", ids=("job_id",))
    # An analyzer run on given text shows nothing that is stored; with a collection named it uses that collection's
    # analyzer.
    rows.engine(
        "RunAnalyzer",
        "DescribeCollection",
        collections=_ONE,
        visibility_is_enough=True,
        if_named=True,
        credential=_ANY,
    )
    rows.engine("ComputePhraseMatchSlop", None, database="", credential=_ANY)
    rows.engine("AllocTimestamp", None, database="", credential=_ANY)


def _alias_and_database_rows(rows: _Rows) -> None:
    # A name that is free is judged as it stands: whoever may use only some names learns of no other that it is taken.
    rows.engine("CreateAlias", "CreateAlias", collections=_ONE, aliases=("alias",), creates=("alias",))
    rows.engine("AlterAlias", "CreateAlias", collections=_ONE, aliases=("alias",))
    rows.engine("DropAlias", "DropAlias", aliases=("alias",))
    rows.engine("DescribeAlias", "DescribeAlias", aliases=("alias",))
    # Without a collection the answer is trimmed to aliases of collections the caller may see.
    rows.engine("ListAliases", "ListAliases", collections=_ONE, if_named=True, credential=_ANY)
    rows.engine("CreateDatabase", "CreateDatabase", creates_database="db_name", exists=False)
    # Dropping what is not there succeeds, as from Milvus 3.0 on.
    rows.engine("DropDatabase", "DropDatabase", exists=False)
    rows.engine("ListDatabases", None, database="", credential=_ANY)
    rows.engine("AlterDatabase", "AlterDatabase", ids=("db_id",))
    rows.engine("DescribeDatabase", "DescribeDatabase")


def _cluster_rows(rows: _Rows) -> None:
    """Cluster-level privileges are checked without a database, so that no field of these requests selects anything."""
    for names, privilege in (
        ("CreateResourceGroup", "CreateResourceGroup"),
        ("DropResourceGroup", "DropResourceGroup"),
        ("UpdateResourceGroups", "UpdateResourceGroups"),
        ("TransferNode", "TransferNode"),
        ("ListResourceGroups", "ListResourceGroups"),
        ("DescribeResourceGroup", "DescribeResourceGroup"),
        ("AddFileResource", "AddFileResource"),
        ("RemoveFileResource", "RemoveFileResource"),
        ("ListFileResources", "ListFileResources"),
        ("UpdateReplicateConfiguration ReplicateMessage", "UpdateReplicateConfiguration"),
        ("GetReplicateConfiguration GetReplicateInfo", "GetReplicateConfiguration"),
        ("UnpinSnapshotData", "UnpinSnapshotData"),
        ("GetExportSnapshotState", "ExportSnapshot"),
        # Nothing in Milvus guards these two; they tell of nodes and load, which is what resource groups are about.
        ("GetMetrics GetComponentStates", "DescribeResourceGroup"),
    ):
        rows.engine(names, privilege, database="")
    rows.engine("TransferReplica", "TransferReplica", collections=_ONE)
    rows.engine("FlushAll", "FlushAll")
    rows.engine("GetFlushAllState", "FlushAll")
    rows.engine("RestoreExternalSnapshot", "RestoreExternalSnapshot", creates=("target_collection_name",))
    rows.engine("ExportSnapshot", "ExportSnapshot", collections=_ONE)
    rows.engine("PinSnapshotData", "PinSnapshotData", collections=_ONE)


def _administration_rows(rows: _Rows) -> None:
    rows.here("Connect GetVersion CheckHealth", None, credential=_ANY)
    rows.here("CreateCredential CreateRole AlterRole", "CreateOwnership")
    rows.here("UpdateCredential", "UpdateUser", user="username")
    rows.here("DeleteCredential DropRole", "DropOwnership")
    rows.here("ListCredUsers", "SelectOwnership")
    rows.here("SelectUser", "SelectUser", user="user.name")
    rows.here("SelectRole", "SelectOwnership", own_role="role.name")
    rows.here("SelectGrant", "SelectOwnership", own_role="entity.role.name")
    rows.here("OperateUserRole OperatePrivilege OperatePrivilegeV2", "ManageOwnership")
    rows.here("BackupRBAC", "BackupRBAC")
    rows.here("RestoreRBAC", "RestoreRBAC")
    rows.here("CreatePrivilegeGroup", "CreatePrivilegeGroup")
    rows.here("DropPrivilegeGroup", "DropPrivilegeGroup")
    rows.here("ListPrivilegeGroups", "ListPrivilegeGroups")
    rows.here("OperatePrivilegeGroup", "OperatePrivilegeGroup")


def _closed_rows(rows: _Rows) -> None:
    rows.closed("Dummy RegisterLink", "it is an obsolete part of the protocol that no client needs")
    rows.closed("CalcDistance", "Milvus no longer offers it, and it selects stored vectors by id")
    rows.closed("CreateReplicateStream DumpMessages", "streaming calls are not authorized")
    rows.closed(
        "AddUserTags DeleteUserTags GetUserTags ListUsersWithTag CreateRowPolicy DropRowPolicy ListRowPolicies",
        "row-level security is not implemented",
    )
    rows.closed(
        "ClientHeartbeat GetClientTelemetry PushClientCommand DeleteClientCommand",
        "client telemetry lets one user command the clients of others",
    )


OPERATIONS: Final[Mapping[str, Operation]] = _build()
"""Every operation by RPC name."""


def missing_operations(table: Iterable[str] = OPERATIONS) -> frozenset[str]:
    """Return the RPCs of the protocol that the table lacks; a test demands none."""
    return frozenset(messages.METHODS) - frozenset(table)
