"""A model of what one client has made of users, roles, grants, groups and collections, and random changes to it.

Each client owns names that begin with its letter, so that its changes happen one after another and the model is exact.
"""

import base64
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from google.protobuf.message import Message
from tests.unit.engine import samples

from kiteward.milvus import messages

_V = TypeVar("_V")

GrantRow = tuple[str, str, str, str]
"""Object type, database, object name, privilege."""

ALONG: Final = {"Load": ("GetLoadState", "GetLoadingProgress"), "Flush": ("GetFlushState",)}
GRANT, REVOKE = messages.OperatePrivilegeType.Grant, messages.OperatePrivilegeType.Revoke
BIND, UNBIND = messages.OperateUserRoleType.AddUserToRole, messages.OperateUserRoleType.RemoveUserFromRole
ADD, REMOVE = (
    messages.OperatePrivilegeGroupType.AddPrivilegesToGroup,
    messages.OperatePrivilegeGroupType.RemovePrivilegesFromGroup,
)


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the model knows it."""

    password: str
    description: str = ""
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role as the model knows it."""

    description: str = ""
    grants: frozenset[GrantRow] = frozenset()


@dataclass(frozen=True, slots=True)
class World:
    """Everything one client owns."""

    people: Mapping[str, Person] = field(default_factory=dict)
    roles: Mapping[str, HeldRole] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    collections: frozenset[str] = frozenset()

    def with_person(self, name: str, person: Person | None) -> "World":
        """Return the world with this user, or without it."""
        return replace(self, people=_with(self.people, name, person))

    def with_role(self, name: str, role: HeldRole | None) -> "World":
        """Return the world with this role, or without it and its bindings."""
        if role is not None:
            return replace(self, roles=_with(self.roles, name, role))
        people = {each: replace(person, roles=person.roles - {name}) for each, person in self.people.items()}
        return replace(self, roles=_with(self.roles, name, None), people=people)

    def with_group(self, name: str, members: frozenset[str] | None) -> "World":
        """Return the world with this group, or without it."""
        return replace(self, groups=_with(self.groups, name, members))

    def moved(self, source: str, target: str | None) -> "World":
        """Return the world after a collection was renamed, or dropped for None: its grants follow."""

        def follow(row: GrantRow) -> GrantRow | None:
            if row[2] != source:
                return row
            return None if target is None else (row[0], row[1], target, row[3])

        roles = {
            name: replace(role, grants=frozenset(new for row in role.grants if (new := follow(row)) is not None))
            for name, role in self.roles.items()
        }
        kept = self.collections - {source}
        return replace(self, roles=roles, collections=kept if target is None else kept | {target})


def _with(mapping: Mapping[str, _V], name: str, value: _V | None) -> Mapping[str, _V]:
    others = {each: held for each, held in mapping.items() if each != name}
    return others if value is None else {**others, name: value}


@dataclass(frozen=True, slots=True)
class Change:
    """One request and what the world is like once it has been carried out."""

    method: str
    request: Message
    after: World


class Changes:
    """Draws changes that are allowed in a world."""

    def __init__(self, letter: str, random_source: random.Random, *, ddl: bool = False) -> None:
        self._random = random_source
        self._kinds = _KINDS + _LIFECYCLE * 4 if ddl else _KINDS + _LIFECYCLE
        self._passwords = 0
        self.users = [f"{letter}_user_{number}" for number in range(4)]
        self.roles = [f"{letter}_role_{number}" for number in range(3)]
        self.groups = [f"{letter}_group_{number}" for number in range(2)]
        self.collections = [f"{letter}_docs_{number}" for number in range(3)]

    def draw(self, world: World) -> Change:
        """Return a change that the server carries out if it gets to it."""
        while True:
            change = self._random.choice(self._kinds)(self, world)
            if change is not None:
                return change

    def _one(self, names: "Mapping[str, object] | list[str] | frozenset[str]") -> str | None:
        return self._random.choice(sorted(names)) if names else None

    def _password(self) -> str:
        self._passwords += 1
        return f"Password-{self._passwords}"

    def _text(self) -> str:
        return self._random.choice(["", "first", "second", "third"])

    def create_user(self, world: World) -> Change | None:
        name = self._one([name for name in self.users if name not in world.people])
        if name is None:
            return None
        password, description = self._password(), self._text()
        request = messages.CreateCredentialRequest(username=name, password=_encoded(password), description=description)
        return Change("CreateCredential", request, world.with_person(name, Person(password, description)))

    def delete_user(self, world: World) -> Change | None:
        name = self._one(world.people)
        if name is None:
            return None
        request = messages.DeleteCredentialRequest(username=name)
        return Change("DeleteCredential", request, world.with_person(name, None))

    def update_user(self, world: World) -> Change | None:
        name = self._one(world.people)
        if name is None:
            return None
        person, password, description = world.people[name], self._password(), self._text()
        request = messages.UpdateCredentialRequest(
            username=name,
            oldPassword=_encoded(person.password),
            newPassword=_encoded(password),
            description=description,
        )
        changed = replace(person, password=password, description=description)
        return Change("UpdateCredential", request, world.with_person(name, changed))

    def create_role(self, world: World) -> Change | None:
        name = self._one([name for name in self.roles if name not in world.roles])
        if name is None:
            return None
        entity = messages.RoleEntity(name=name, description=self._text())
        request = messages.CreateRoleRequest(entity=entity)
        return Change("CreateRole", request, world.with_role(name, HeldRole(entity.description)))

    def alter_role(self, world: World) -> Change | None:
        name = self._one(world.roles)
        if name is None:
            return None
        request = messages.AlterRoleRequest(role_name=name, description=self._text())
        changed = replace(world.roles[name], description=request.description)
        return Change("AlterRole", request, world.with_role(name, changed))

    def drop_role(self, world: World) -> Change | None:
        name = self._one(world.roles)
        if name is None:
            return None
        request = messages.method_of("DropRole").request(role_name=name, force_drop=True)
        return Change("DropRole", request, world.with_role(name, None))

    def bind(self, world: World) -> Change | None:
        user, role = self._one(world.people), self._one(world.roles)
        if user is None or role is None:
            return None
        person = world.people[user]
        kind = UNBIND if role in person.roles else BIND
        request = messages.OperateUserRoleRequest(username=user, role_name=role, type=kind)
        return Change("OperateUserRole", request, world.with_person(user, replace(person, roles=person.roles ^ {role})))

    def grant_v1(self, world: World) -> Change | None:
        """Load is three grants, Flush two: all of them or none."""
        role = self._one(world.roles)
        if role is None:
            return None
        privilege = self._random.choice(["Load", "Load", "Flush", "Query"])
        name = self._random.choice([*self.collections, "*"])
        row = ("Collection", "default", name, privilege)
        kind = REVOKE if row in world.roles[role].grants else GRANT
        entity = messages.GrantEntity(
            role=messages.RoleEntity(name=role),
            object=messages.ObjectEntity(name="Collection"),
            object_name=name,
            grantor=messages.GrantorEntity(privilege=messages.PrivilegeEntity(name=privilege)),
        )
        request = messages.OperatePrivilegeRequest(entity=entity, type=kind)
        return Change("OperatePrivilege", request, _granted(world, role, row, kind))

    def grant_v2(self, world: World) -> Change | None:
        role = self._one(world.roles)
        if role is None:
            return None
        privilege = self._random.choice(["Insert", "Load", "CollectionReadOnly", "ClusterAdmin", *sorted(world.groups)])
        cluster = privilege == "ClusterAdmin"
        name = "*" if cluster else self._random.choice(self.collections)
        kind_of_object = "Collection" if privilege in ("Insert", "Load") else "Global"
        row = (kind_of_object, "*" if cluster else "default", name, privilege)
        kind = REVOKE if row in world.roles[role].grants else GRANT
        request = messages.OperatePrivilegeV2Request(
            role=messages.RoleEntity(name=role),
            grantor=messages.GrantorEntity(privilege=messages.PrivilegeEntity(name=privilege)),
            type=kind,
            db_name=row[1],
            collection_name=name,
        )
        return Change("OperatePrivilegeV2", request, _granted(world, role, row, kind))

    def create_group(self, world: World) -> Change | None:
        name = self._one([name for name in self.groups if name not in world.groups])
        if name is None:
            return None
        request = messages.CreatePrivilegeGroupRequest(group_name=name)
        return Change("CreatePrivilegeGroup", request, world.with_group(name, frozenset()))

    def operate_group(self, world: World) -> Change | None:
        name = self._one(world.groups)
        if name is None:
            return None
        members = world.groups[name]
        chosen = self._random.sample(["Query", "Search", "Insert", "Delete", "Upsert"], 3)
        kind = REMOVE if members & set(chosen) else ADD
        request = messages.OperatePrivilegeGroupRequest(
            group_name=name, privileges=[messages.PrivilegeEntity(name=each) for each in chosen], type=kind
        )
        after = members - set(chosen) if kind == REMOVE else members | set(chosen)
        return Change("OperatePrivilegeGroup", request, world.with_group(name, after))

    def drop_group(self, world: World) -> Change | None:
        held = {row[3] for role in world.roles.values() for row in role.grants}
        name = self._one([name for name in world.groups if name not in held])
        if name is None:
            return None
        request = messages.DropPrivilegeGroupRequest(group_name=name)
        return Change("DropPrivilegeGroup", request, world.with_group(name, None))

    def create_collection(self, world: World) -> Change | None:
        name = self._one([name for name in self.collections if name not in world.collections])
        if name is None:
            return None
        request = messages.CreateCollectionRequest(collection_name=name, schema=samples.schema(name))
        return Change("CreateCollection", request, replace(world, collections=world.collections | {name}))

    def drop_collection(self, world: World) -> Change | None:
        name = self._one(world.collections)
        if name is None:
            return None
        request = messages.DropCollectionRequest(collection_name=name)
        return Change("DropCollection", request, world.moved(name, None))

    def rename_collection(self, world: World) -> Change | None:
        source = self._one(world.collections)
        target = self._one([name for name in self.collections if name not in world.collections])
        if source is None or target is None:
            return None
        request = messages.RenameCollectionRequest(oldName=source, newName=target)
        return Change("RenameCollection", request, world.moved(source, target))


def _granted(world: World, role: str, row: GrantRow, kind: int) -> World:
    rows = {(*row[:3], privilege) for privilege in (row[3], *ALONG.get(row[3], ()))}
    held = world.roles[role]
    grants = held.grants | rows if kind == GRANT else held.grants - rows
    return world.with_role(role, replace(held, grants=grants))


def _encoded(password: str) -> str:
    return base64.b64encode(password.encode()).decode()


_KINDS: Final[tuple[Callable[[Changes, World], Change | None], ...]] = (
    Changes.create_user,
    Changes.create_user,
    Changes.delete_user,
    Changes.update_user,
    Changes.create_role,
    Changes.create_role,
    Changes.alter_role,
    Changes.drop_role,
    Changes.bind,
    Changes.bind,
    Changes.grant_v1,
    Changes.grant_v1,
    Changes.grant_v2,
    Changes.grant_v2,
    Changes.create_group,
    Changes.operate_group,
    Changes.drop_group,
)
_LIFECYCLE: Final[tuple[Callable[[Changes, World], Change | None], ...]] = (
    Changes.create_collection,
    Changes.create_collection,
    Changes.drop_collection,
    Changes.rename_collection,
)
