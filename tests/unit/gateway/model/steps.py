"""Draws the next request at random, mostly about what there is, so that most requests mean something."""

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.unit.gateway.model import catalogue, passing
from tests.unit.gateway.model.authorization import Key
from tests.unit.gateway.model.reference import Reference, Step
from tests.unit.gateway.model.subject import ROOT_PASSWORD, encoded
from tests.unit.gateway.model.workload import (
    ALIASES,
    BAD_NAMES,
    BY_LEVEL,
    COLLECTIONS,
    DATABASES,
    GROUPS,
    PASSWORDS,
    PROBED,
    ROLES,
    USERS,
    WEIGHTS,
)

from kiteward.milvus import messages


class Draw:
    """Draws steps from a seed and the state so far; equal seeds give equal steps."""

    def __init__(self, seed: int, reference: Reference) -> None:
        self._random = random.Random(seed)
        self._reference = reference
        self._operations, self._weights = zip(*WEIGHTS.items(), strict=True)

    def beginning(self) -> list[Step]:
        """Return operations that create the first objects."""
        users = [("CreateCredential", _new_user(name, self._pick(PASSWORDS))) for name in USERS[:4]]
        roles = [
            ("CreateRole", messages.CreateRoleRequest(entity=messages.RoleEntity(name=name))) for name in ROLES[:3]
        ]
        bindings = [
            ("OperateUserRole", messages.OperateUserRoleRequest(username=user, role_name=role))
            for user, role in zip(USERS[:3], ROLES, strict=False)
        ]
        databases = [("CreateDatabase", messages.CreateDatabaseRequest(db_name=name)) for name in DATABASES[1:]]
        collections = [
            ("CreateCollection", messages.CreateCollectionRequest(db_name=database, collection_name=name))
            for database in DATABASES
            for name in COLLECTIONS[:2]
        ]
        everything: list[tuple[str, Any]] = [*users, *roles, *bindings, *databases, *collections]
        return [Step("root", ROOT_PASSWORD, operation, message) for operation, message in everything]

    def operation(self) -> Step:
        """Return an operation that changes or lists something."""
        operation = self._random.choices(self._operations, self._weights)[0]
        root_share = 0.45 if operation in passing.CHANGES else 0.8
        return self._step(operation, _DRAWN[operation](self), self._caller(root_share))

    def request(self) -> Step:
        """Return a request that only asks for a decision."""
        operation = self._pick(PROBED)
        message = _DRAWN[operation](self) if operation in _DRAWN else self._message(operation)
        return self._step(operation, message, self._caller(0.05))

    def _step(self, operation: str, message: Any, caller: str) -> Step:
        user = self._reference.users.get(caller)
        password = user.password if user and not self._one_in(40) else self._pick(PASSWORDS)
        connection = self._pick(("", "", *DATABASES, "nowhere")) if self._one_in(3) else ""
        return Step(caller, password, operation, message, connection)

    def _one_in(self, number: int) -> bool:
        return self._random.randrange(number) == 0

    def _pick(self, choices: Sequence[str]) -> str:
        return self._random.choice(choices)

    def _caller(self, root_share: float) -> str:
        if self._random.random() < root_share:
            return "root"
        known = [name for name in self._reference.users if name != "root"] or ["root"]
        return self._pick(known) if not self._one_in(30) else self._pick(USERS)

    def _database(self) -> str:
        """Return the database of a body: often none, so that the connection's counts."""
        if self._one_in(4):
            return ""
        return "nowhere" if self._one_in(25) else self._pick(DATABASES)

    def _named(self, known: Sequence[str], others: Sequence[str]) -> str:
        return self._pick(known) if known and not self._one_in(6) else self._pick(others)

    def _collection(self, database: str = "") -> str:
        """Return a collection or alias, which may be missing."""
        if self._one_in(40):
            return self._pick(("", "*"))
        found = self._reference.world.databases.get(database or "default")
        known = [*found.collections, *found.aliases] if found else []
        return self._pick(known) if known and self._one_in(2) else self._pick((*COLLECTIONS, *ALIASES))

    def _alias(self, database: str) -> str:
        """Return an alias, which may be missing or a collection."""
        found = self._reference.world.databases.get(database or "default")
        known = list(found.aliases) if found else []
        if known and not self._one_in(3):
            return self._pick(known)
        return self._collection(database) if self._one_in(6) else self._pick(ALIASES)

    def _role(self) -> str:
        return self._named(list(self._reference.policy.roles), (*ROLES, "admin", "public", "ghost"))

    def _user(self) -> str:
        return self._named(list(self._reference.users), (*USERS, "ghost"))

    def _group(self) -> str:
        return self._named(list(self._reference.policy.groups), (*GROUPS, "Insert", "ReadOnly", "DatabaseAdmin"))

    def _message(self, operation: str) -> Any:
        """Return a request of an operation with its databases, collections and ids filled in."""
        request: Any = messages.METHODS[operation].request()
        fields = request.DESCRIPTOR.fields_by_name
        if "db_name" in fields:
            request.db_name = self._database()
        database = getattr(request, "db_name", "")
        for name in ("collection_name", "collectionName"):
            if name in fields and not fields[name].is_repeated:
                setattr(request, name, self._collection(database))
        if "alias" in fields:
            request.alias = self._alias(database)
        for name, value in _NAMED.get(operation, {}).items():
            setattr(request, name, value)
        fill = _FURTHER.get(operation)
        if fill is not None:
            fill(self, request)
        return request

    def by_id(self, request: Any) -> None:
        """Select by id now and then, without or with a name."""
        if self._one_in(3):
            request.collectionID = self._random.randrange(1, 8)
        if self._one_in(3):
            request.collection_name = ""

    def several_by_id(self, request: Any) -> None:
        """Select several, by name and by id."""
        request.collection_name.extend(self._collection(request.db_name) for _ in range(self._random.randrange(3)))
        if self._one_in(3):
            request.collectionID.extend((0, self._random.randrange(1, 8)))

    def alter_database(self, request: Any) -> None:
        request.db_id = self._pick(("", "", "7"))

    def list_aliases(self, request: Any) -> None:
        request.collection_name = "" if self._one_in(2) else request.collection_name

    def flush(self, request: Any) -> None:
        request.collection_names.extend(self._collection() for _ in range(self._random.randrange(4)))

    def hybrid(self, request: Any) -> None:
        for _ in range(self._random.randrange(3)):
            part = request.requests.add()
            if not self._one_in(3):
                part.collection_name = request.collection_name if not self._one_in(3) else self._collection()
            if self._one_in(3):
                part.db_name = request.db_name if not self._one_in(3) else self._database()

    def change_of_database(self) -> Any:
        """Databases come and go by a name in the body."""
        return messages.CreateDatabaseRequest(db_name=self._pick(DATABASES))

    def drop_database(self) -> Any:
        return messages.DropDatabaseRequest(db_name=self._pick(DATABASES))

    def rename(self) -> Any:
        other = self._pick(DATABASES) if self._one_in(2) else ""
        database = self._database()
        return messages.RenameCollectionRequest(
            db_name=database, oldName=self._collection(database), newName=self._pick(COLLECTIONS), newDBName=other
        )

    def create_user(self) -> Any:
        name = self._pick(BAD_NAMES) if self._one_in(12) else self._pick(USERS)
        password = "short" if self._one_in(12) else self._pick(PASSWORDS)
        return _new_user(name, password)

    def update_user(self) -> Any:
        name = self._user()
        user = self._reference.users.get(name)
        request = messages.UpdateCredentialRequest(username=name)
        # `root` keeps its password: the workload needs it.
        if name != "root" and not self._one_in(4):
            old = user.password if user and not self._one_in(5) else self._pick(PASSWORDS)
            request.oldPassword = encoded(old)
            request.newPassword = encoded("short" if self._one_in(12) else self._pick(PASSWORDS))
        if self._one_in(3):
            request.description = self._pick(("", "something else"))
        return request

    def select_user(self) -> Any:
        request = messages.SelectUserRequest(include_role_info=not self._one_in(4))
        if not self._one_in(5):
            request.user.name = "" if self._one_in(20) else self._user()
        return request

    def create_role(self) -> Any:
        name = self._pick(BAD_NAMES) if self._one_in(12) else self._pick((*ROLES, "public"))
        return messages.CreateRoleRequest(entity=messages.RoleEntity(name=name))

    def drop_role(self) -> Any:
        return messages.DropRoleRequest(role_name=self._role(), force_drop=self._one_in(2))

    def bind(self) -> Any:
        kind = messages.OperateUserRoleType.ValueType(7 if self._one_in(60) else self._one_in(3))
        role = self._role() if self._one_in(8) else self._named(list(self._reference.policy.roles)[2:], ROLES)
        return messages.OperateUserRoleRequest(username=self._user(), role_name=role, type=kind)

    def select_role(self) -> Any:
        request = messages.SelectRoleRequest(include_user_info=not self._one_in(4))
        if not self._one_in(4):
            request.role.name = "" if self._one_in(20) else self._role()
        return request

    def _privilege(self) -> str:
        kinds = ("single", "user", "built-in", "legacy", "custom", "wide", "wrong")
        kind = self._random.choices(kinds, (54, 10, 14, 8, 11, 5, 3))
        if kind == ["single"]:
            return self._pick(BY_LEVEL[self._random.choices("cdn", (20, 25, 55))[0]])
        drawn: dict[str, Sequence[str]] = {
            "user": sorted(catalogue.USER_CLUSTER),
            "built-in": sorted(catalogue.BUILT_IN),
            "legacy": sorted(catalogue.LEGACY),
            "custom": [self._group()],
            "wide": ("*", "All"),
            "wrong": ("PrivilegeInsert", "insert", "Get", "", "ghost"),
        }
        return self._pick(drawn[kind[0]])

    def _some_grant(self) -> tuple[str, Key] | None:
        held = [(role, key) for role, grants in self._reference.policy.roles.items() for key in grants]
        return self._random.choice(held) if held else None

    def _grant_database(self) -> str:
        return "*" if self._one_in(6) else self._database()

    def grant_v1(self) -> Any:
        some = self._some_grant()
        if some is not None and self._revokes():
            return self._v1(*some, kind=messages.OperatePrivilegeType.Revoke)
        privilege = self._privilege()
        types = [each for each, names in catalogue.OF_TYPE.items() if privilege in names]
        fitting = catalogue.LEGACY_TYPE.get(privilege) or (types or ["Global", "Collection", "User"])[0]
        object_type = self._pick(("Global", "Collection", "User", "Bogus")) if self._one_in(10) else fitting
        name = self._user() if object_type == "User" else self._collection()
        key = Key(object_type, self._grant_database(), "*" if self._one_in(5) else name, privilege)
        return self._v1(self._role(), key, kind=self._grant_or_odd())

    def grant_v2(self) -> Any:
        some = self._some_grant()
        if some is not None and self._revokes():
            return self._v2(*some, kind=messages.OperatePrivilegeType.Revoke)
        privilege = self._privilege()
        level = catalogue.level(privilege)
        fits = level == "Cluster" and not self._one_in(4)
        database = "*" if fits else "a-b" if self._one_in(60) else self._grant_database()
        wide = fits or (level == "Database" and not self._one_in(4)) or self._one_in(4)
        name = self._user() if privilege in catalogue.USER_CLUSTER and self._one_in(2) else self._collection()
        return self._v2(self._role(), Key("", database, "*" if wide else name, privilege), kind=self._grant_or_odd())

    def _revokes(self) -> bool:
        """Return whether to take back: more often the more is granted, so that something stays refused."""
        held = sum(len(grants) for grants in self._reference.policy.roles.values())
        return self._random.random() < held / 110

    def _grant_or_odd(self) -> messages.OperatePrivilegeType.ValueType:
        return messages.OperatePrivilegeType.ValueType(7 if self._one_in(80) else self._one_in(12))

    @staticmethod
    def _v1(role: str, key: Key, kind: messages.OperatePrivilegeType.ValueType) -> Any:
        grantor = messages.GrantorEntity(privilege=messages.PrivilegeEntity(name=key.privilege))
        entity = messages.GrantEntity(
            role=messages.RoleEntity(name=role),
            object=messages.ObjectEntity(name=key.kind),
            object_name=key.name,
            grantor=grantor,
            db_name=key.database,
        )
        return messages.OperatePrivilegeRequest(entity=entity, type=kind)

    @staticmethod
    def _v2(role: str, key: Key, kind: messages.OperatePrivilegeType.ValueType) -> Any:
        grantor = messages.GrantorEntity(privilege=messages.PrivilegeEntity(name=key.privilege))
        return messages.OperatePrivilegeV2Request(
            role=messages.RoleEntity(name=role),
            grantor=grantor,
            type=kind,
            db_name=key.database,
            collection_name=key.name,
        )

    def select_grant(self) -> Any:
        entity = messages.GrantEntity(role=messages.RoleEntity(name=self._role()), db_name=self._grant_database())
        if self._one_in(3):
            entity.object.name = self._pick(("Collection", "Global", "User", "Bogus"))
            entity.object_name = "*" if self._one_in(3) else self._collection()
        return messages.SelectGrantRequest(entity=entity)

    def group(self, operation: str) -> Any:
        name = self._pick(BAD_NAMES) if self._one_in(15) else self._group()
        return messages.METHODS[operation].request(group_name=name)

    def operate_group(self) -> Any:
        request = self.group("OperatePrivilegeGroup")
        request.type = messages.OperatePrivilegeGroupType.ValueType(7 if self._one_in(80) else self._one_in(3))
        present = self._reference.policy.groups.get(request.group_name, set()) & catalogue.SINGLE
        level = self._random.choice("cdnn")
        if present and not self._one_in(6):
            level = {"Cluster": "c", "Database": "d"}.get(catalogue.level(min(present)), "n")
        for _ in range(self._random.choice((0, 1, 1, 2, 2, 3))):
            odd = self._pick(("ghost", "g1", "CollectionAdmin", *BY_LEVEL["d"]))
            request.privileges.add(name=odd if self._one_in(15) else self._pick(BY_LEVEL[level]))
        return request


_NAMED: Final[dict[str, dict[str, Any]]] = {
    "AddCollectionField": {"schema": b"\x12\x05field"},
    "CreatePartition": {"partition_name": "part"},
    "CreateSnapshot": {"name": "shot"},
}
"""What requests call the new thing inside a collection; a field is named in the bytes of its schema."""

_FURTHER: Final[dict[str, Callable[[Draw, Any], None]]] = {
    "DescribeCollection": Draw.by_id,
    "ShowPartitions": Draw.by_id,
    "GetReplicas": Draw.by_id,
    "BatchDescribeCollection": Draw.several_by_id,
    "ManualCompaction": Draw.by_id,
    "AlterDatabase": Draw.alter_database,
    "ListAliases": Draw.list_aliases,
    "Flush": Draw.flush,
    "HybridSearch": Draw.hybrid,
}
"""What further fields of requests are drawn."""


def _new_user(name: str, password: str) -> Any:
    return messages.CreateCredentialRequest(username=name, password=encoded(password), description=f"of {name}")


def _plain(operation: str) -> Callable[[Draw], Any]:
    return lambda draw: draw._message(operation)


def _deletion(draw: Draw) -> Any:
    return messages.DeleteCredentialRequest(username=draw._user())


_DRAWN: Final[dict[str, Callable[[Draw], Any]]] = {
    **{each: _plain(each) for each in passing.CHANGES | {"ListCredUsers", "ListPrivilegeGroups", "BackupRBAC"}},
    "CreateDatabase": Draw.change_of_database,
    "DropDatabase": Draw.drop_database,
    "RenameCollection": Draw.rename,
    "CreateCredential": Draw.create_user,
    "UpdateCredential": Draw.update_user,
    "DeleteCredential": _deletion,
    "SelectUser": Draw.select_user,
    "CreateRole": Draw.create_role,
    "DropRole": Draw.drop_role,
    "OperateUserRole": Draw.bind,
    "SelectRole": Draw.select_role,
    "OperatePrivilege": Draw.grant_v1,
    "OperatePrivilegeV2": Draw.grant_v2,
    "SelectGrant": Draw.select_grant,
    "CreatePrivilegeGroup": lambda draw: draw.group("CreatePrivilegeGroup"),
    "DropPrivilegeGroup": lambda draw: draw.group("DropPrivilegeGroup"),
    "OperatePrivilegeGroup": Draw.operate_group,
}
