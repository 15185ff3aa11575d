"""What the workload is made of: a handful of names, so that steps meet, and how often each operation is drawn."""

from typing import Final

from tests.unit.gateway.model import catalogue, passing

USERS: Final = ("ann", "bob", "cid", "dan", "admin")
ROLES: Final = ("r1", "r2", "r3", "r4", "r5")
GROUPS: Final = ("g1", "g2", "g3")
DATABASES: Final = ("default", "db1", "db2")
COLLECTIONS: Final = ("c1", "c2", "c3", "c4")
ALIASES: Final = ("a1", "a2", "c4")
"""One of them is a collection's name too: elsewhere, or refused."""
PASSWORDS: Final = ("Passw0rd-1", "Passw0rd-2", "Passw0rd-3")
BAD_NAMES: Final = ("", "1st", "a-b", " r1 ", "größe")

BY_LEVEL: Final = {
    level: sorted(names)
    for level, names in (("c", catalogue.CLUSTER), ("d", catalogue.DATABASE), ("n", catalogue.COLLECTION))
}
PROBED: Final = (
    *passing.ON_ONE_COLLECTION,
    *passing.ANY_PRIVILEGE_SUFFICES,
    *passing.ON_THE_CLUSTER,
    *("HasCollection", "DescribeCollection", "ShowCollections", "DescribeAlias", "Flush", "HybridSearch") * 3,
    *("BatchDescribeCollection", "GetReplicas") * 3,
    *("SelectUser", "SelectUser", "SelectUser", "SelectRole", "SelectGrant") * 2,
    *("ListDatabases", "ListAliases", "DescribeDatabase", "AlterDatabase", "LoadBalance", "Connect") * 2,
)

WEIGHTS: Final = {
    "OperatePrivilege": 14,
    "OperatePrivilegeV2": 18,
    "OperateUserRole": 7,
    "CreateCredential": 4,
    "UpdateCredential": 2,
    "DeleteCredential": 1,
    "CreateRole": 3,
    "DropRole": 1.5,
    "CreatePrivilegeGroup": 2.5,
    "DropPrivilegeGroup": 1,
    "OperatePrivilegeGroup": 4,
    "CreateDatabase": 2,
    "DropDatabase": 2,
    "CreateCollection": 6,
    "DropCollection": 4,
    "RenameCollection": 5,
    "CreateAlias": 4,
    "AlterAlias": 2,
    "DropAlias": 2,
    "SelectGrant": 6,
    "SelectRole": 3,
    "SelectUser": 3,
    "ListCredUsers": 1,
    "ListPrivilegeGroups": 1,
    "BackupRBAC": 1,
}
"""How often each operation is drawn."""

_ONLY_ASKING: Final = {"SelectGrant", "SelectRole", "SelectUser", "ListCredUsers", "ListPrivilegeGroups", "BackupRBAC"}

CHANGING: Final = frozenset(WEIGHTS) - _ONLY_ASKING
"""Operations that change something when they succeed."""
