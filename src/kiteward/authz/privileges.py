"""The privilege catalogue: every privilege of Milvus 3.0 with its object type and level, and the built-in groups.

CallProvider, ProvisionUsers and ExchangeToken are of this product alone (decisions 0050, 0065 and 0066).

Source: contract 4.4 (privileges, levels), contract 4.5 (groups). API names are case-sensitive and carry no `Privilege`
prefix. Each privilege owns one bit, so that a set of privileges is an integer and a decision is an `&`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ObjectType(StrEnum):
    """The kind of object that a privilege acts on: given in v1 grants, derived in V2 grants (contract 4.1)."""

    COLLECTION = "Collection"
    GLOBAL = "Global"
    USER = "User"


class Level(StrEnum):
    """The level at which a privilege applies (contract 4.1). The levels do not cascade."""

    CLUSTER = "Cluster"
    DATABASE = "Database"
    COLLECTION = "Collection"


@dataclass(frozen=True, slots=True)
class Privilege:
    """A right in Milvus' spelling.

    Attributes:
        name: API name, for example `Insert`.
        object_type: the object type it is granted and stored under.
        level: the level at which it applies.
        by_v1: whether `OperatePrivilege` accepts it; the others are grantable by `OperatePrivilegeV2` and groups only.
        bit: the integer with only this privilege's bit set.
    """

    name: str
    object_type: ObjectType
    level: Level
    by_v1: bool
    bit: int


_ROWS: Final = (
    # smallest built-in group, object type, grantable by v1, names
    (
        "ClusterReadOnly",
        "Global",
        True,
        ("SelectOwnership DescribeResourceGroup ListResourceGroups ListDatabases ListPrivilegeGroups"),
    ),
    ("ClusterReadOnly", "User", True, "SelectUser"),
    ("ClusterReadOnly", "Global", False, "ListFileResources GetReplicateConfiguration"),
    (
        "ClusterReadWrite",
        "Global",
        True,
        ("TransferNode TransferReplica FlushAll UpdateResourceGroups PinSnapshotData UnpinSnapshotData"),
    ),
    ("ClusterReadWrite", "Global", False, "AddFileResource RemoveFileResource"),
    (
        "ClusterAdmin",
        "Global",
        True,
        (
            "CreateOwnership DropOwnership ManageOwnership CreateResourceGroup DropResourceGroup CreateDatabase "
            "DropDatabase BackupRBAC RestoreRBAC CreatePrivilegeGroup DropPrivilegeGroup OperatePrivilegeGroup "
            "UpdateReplicateConfiguration RestoreExternalSnapshot ExportSnapshot Expr"
        ),
    ),
    ("ClusterAdmin", "User", True, "UpdateUser"),
    ("DatabaseReadOnly", "Global", True, "ShowCollections DescribeDatabase"),
    ("DatabaseReadWrite", "Global", True, "AlterDatabase"),
    ("DatabaseAdmin", "Global", True, "CreateCollection DropCollection RenameCollection"),
    ("CollectionReadOnly", "Global", True, "DescribeCollection DescribeAlias ListAliases"),
    (
        "CollectionReadOnly",
        "Collection",
        True,
        (
            "GetStatistics IndexDetail Search Query GetLoadingProgress GetLoadState ShowPartitions HasPartition "
            "GetFlushState GetImportProgress ListImport DescribeSnapshot ListSnapshots"
        ),
    ),
    (
        "CollectionReadWrite",
        "Collection",
        True,
        (
            "Load Release Compaction Insert Delete CreateIndex DropIndex Flush LoadBalance Import Upsert "
            "CreatePartition DropPartition AddCollectionField CreateSnapshot DropSnapshot AlterCollectionSchema "
            "RefreshExternalCollection"
        ),
    ),
    ("CollectionAdmin", "Global", True, "CreateAlias DropAlias"),
    ("CollectionAdmin", "Collection", True, "RestoreSnapshot"),
    ("CollectionAdmin", "Global", False, "ManageRLS ViewRLS"),
    # In no group.
    ("Collection", "Global", False, "SkipRLS CallProvider"),
    ("Cluster", "Global", False, "ProvisionUsers ExchangeToken"),
)

_GROUP_RANKS: Final = ("ReadOnly", "ReadWrite", "Admin")


def _catalogue() -> dict[str, Privilege]:
    found: dict[str, Privilege] = {}
    for group, object_type, by_v1, names in _ROWS:
        level = next(level for level in Level if group.startswith(level))
        for name in names.split():
            found[name] = Privilege(name, ObjectType(object_type), level, by_v1, 1 << len(found))
    return found


PRIVILEGES: Final[Mapping[str, Privilege]] = MappingProxyType(_catalogue())
"""Every single privilege by its API name; `All`, `*` and the groups are not in it."""


def mask_of(names: Iterable[str]) -> int:
    """Return the mask of the named privileges.

    Names that are not a single privilege are ignored (nested groups, contract 2.5).
    """
    mask = 0
    for name in names:
        privilege = PRIVILEGES.get(name)
        if privilege is not None:
            mask |= privilege.bit
    return mask


CLUSTER_BY_NAME: Final = mask_of(("ProvisionUsers", "ExchangeToken"))
COLLECTION_BY_NAME: Final = mask_of(("SkipRLS", "CallProvider"))
BY_NAME_ONLY: Final = CLUSTER_BY_NAME | COLLECTION_BY_NAME
"""Privileges that `All` and `*` do not stand for: they are granted by their names, or in a custom group."""


def _mask_where(*, object_type: ObjectType | None = None, level: Level | None = None) -> int:
    return ~BY_NAME_ONLY & mask_of(
        p.name for p in PRIVILEGES.values() if object_type in (None, p.object_type) and level in (None, p.level)
    )


COLLECTION_TYPED: Final = _mask_where(object_type=ObjectType.COLLECTION)
GLOBAL_TYPED: Final = _mask_where(object_type=ObjectType.GLOBAL)
USER_TYPED: Final = _mask_where(object_type=ObjectType.USER)
CLUSTER_LEVEL: Final = _mask_where(level=Level.CLUSTER)
COLLECTION_LEVEL: Final = _mask_where(level=Level.COLLECTION)
SHOWS_COLLECTION: Final = COLLECTION_LEVEL | COLLECTION_BY_NAME
"""Privileges of which any one makes a collection visible (decision 0002)."""
DATABASE_READS: Final = mask_of(("ShowCollections", "DescribeDatabase"))
"""Privileges to read about a database as a whole. Legacy groups grant them, though on a collection (contract 4.5)."""

ALL: Final = "All"
"""The privilege that stands for every privilege of every object type inside one database (contract 4.7)."""


def _built_in_groups() -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for level in Level:
        members: tuple[str, ...] = ()
        for rank in _GROUP_RANKS:
            members += tuple(name for group, _, _, names in _ROWS if group == level + rank for name in names.split())
            groups[level + rank] = members
    return groups


BUILT_IN_GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(_built_in_groups())
"""The nine groups that ListPrivilegeGroups shows, in its order, with their members (contract 4.5, of Milvus 3.0)."""


_LEGACY_ROWS: Final = (
    # name, what it adds to the one before it
    (
        "ReadOnly",
        (
            "Query Search IndexDetail GetFlushState GetLoadState GetLoadingProgress HasPartition ShowPartitions "
            "ShowCollections ListAliases ListDatabases DescribeCollection DescribeDatabase DescribeAlias GetStatistics "
            "DescribeSnapshot ListSnapshots"
        ),
    ),
    (
        "ReadWrite",
        (
            "CreateIndex DropIndex CreatePartition DropPartition Load Release Insert Delete Upsert Import Flush "
            "Compaction LoadBalance CreateAlias DropAlias CreateSnapshot DropSnapshot RefreshExternalCollection"
        ),
    ),
    (
        "Admin",
        (
            "CreateCollection DropCollection RenameCollection CreateOwnership DropOwnership SelectOwnership "
            "ManageOwnership SelectUser UpdateUser BackupRBAC RestoreRBAC CreateResourceGroup DropResourceGroup "
            "DescribeResourceGroup ListResourceGroups UpdateResourceGroups TransferReplica TransferNode CreateDatabase "
            "DropDatabase AlterDatabase UpdateReplicateConfiguration RestoreSnapshot PinSnapshotData UnpinSnapshotData "
            "RestoreExternalSnapshot ExportSnapshot"
        ),
    ),
)


def _legacy_groups() -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    members: tuple[str, ...] = ()
    for name, added in _LEGACY_ROWS:
        members += tuple(added.split())
        groups[name] = members
    return groups


LEGACY_GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(_legacy_groups())
"""The three groups of v1 grants (contract 4.5); never listed by ListPrivilegeGroups."""

LEGACY_GROUP_TYPES: Final[Mapping[str, ObjectType]] = MappingProxyType(
    {"ReadOnly": ObjectType.COLLECTION, "ReadWrite": ObjectType.COLLECTION, "Admin": ObjectType.GLOBAL}
)

GRANTED_ALONG: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"Load": ("GetLoadState", "GetLoadingProgress"), "Flush": ("GetFlushState",)}
)
"""Privileges that are granted and revoked together with another, as separate grants (contract 2.4)."""


def group_level(members: Iterable[str]) -> Level | None:
    """Return the level of a custom group, derived from its members; None for a group without any single privilege."""
    return next((PRIVILEGES[name].level for name in members if name in PRIVILEGES), None)
