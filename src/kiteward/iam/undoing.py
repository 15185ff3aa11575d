"""What a change has changed, so that it can be undone: read from the store in the transaction of the change (0083).

A scope is what a change may touch: the grants of a role, the bindings of some users to it, the tags of a user. It is
read when the transaction begins and when it ends. What differs is what the change has really changed. An undo is
another change, which is refused where the store holds anything else now, or would hold anything else afterwards.
What row policies allow depends on all those of a collection, so that there the whole collection is compared (0084).
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import astuple, dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from kiteward.authz.model import GrantKey
from kiteward.authz.privileges import ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import RequestRefused
from kiteward.domain.request_limits import RequestLimits
from kiteward.iam.recorded_states import recorded_policy
from kiteward.iam.row_policies import ENABLED, FORCE
from kiteward.store.identity_records import GroupRole
from kiteward.store.records import Subject
from kiteward.store.tags import Tags
from kiteward.store.transaction import Transaction

Value: TypeAlias = bool | str | list[float | None] | None
"""What the store holds of one thing; None where there is no such thing."""

_SEPARATOR: Final = "\n"
"""Between the parts of a grant's key; no name has it."""


class Kind(StrEnum):
    """What kind of scope a change may touch."""

    GRANTS = "grants"
    MEMBERS = "members"
    USERS_ENABLED = "users_enabled"
    KEYS_ENABLED = "keys_enabled"
    GROUP = "group"
    USER_DESCRIPTION = "user_description"
    ROLE_DESCRIPTION = "role_description"
    KEY_DESCRIPTION = "key_description"
    USER_TAGS = "user_tags"
    KEY_TAGS = "key_tags"
    USER_LIMITS = "user_limits"
    KEY_LIMITS = "key_limits"
    ROLE_LIMITS = "role_limits"
    ROW_POLICIES = "row_policies"
    GROUP_ROLES = "group_roles"


_COMBINED: Final = frozenset({Kind.ROW_POLICIES})
"""The kinds of which one thing means something together with the others."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a change may touch.

    Attributes:
        kind: what kind it is.
        name: the role, privilege group, user, API key or collection; empty where `among` says all.
        among: the users, API keys or roles of groups, where there may be several.
        database: that of a collection.
    """

    kind: Kind
    name: str = ""
    among: tuple[str, ...] = ()
    database: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What the store holds of a scope.

    Attributes:
        owners: who has it -> when it was created, or 0 for what has no such time. Whoever is created again under the
            same name is somebody else.
        values: thing -> what is held of it. A thing that there is not is left out.
        created: thing -> when it was created, of things that are not the same when they are created again.
    """

    owners: Mapping[str, float]
    values: Mapping[str, Value]
    created: Mapping[str, float] = field(default_factory=dict, compare=False)

    def digest(self, changed: Collection[str]) -> str:
        """Return a digest of all that is held, but for the values of what was changed."""
        rest = {thing: value for thing, value in self.values.items() if thing not in changed}
        return hashlib.sha256(json.dumps([rest, dict(self.created)], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a change has changed: what was held of it before, and what after."""

    thing: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class Change:
    """What a change has really changed.

    Attributes:
        scope: what it may have touched.
        owners: as of `Held`.
        differences: what it has changed, at least one thing.
        others: the digest of what else is held, if that is needed to say what the differences mean, else empty.
    """

    scope: Scope
    owners: Mapping[str, float]
    differences: tuple[Difference, ...]
    others: str = ""

    def others_in(self, now: Held) -> str:
        """Return what `others` would be by what is held now."""
        return now.digest([each.thing for each in self.differences]) if self.scope.kind in _COMBINED else ""

    def held_before(self, value: Value = True) -> list[str]:
        """Return the things of which a value was held before, in their order."""
        return [each.thing for each in self.differences if each.before == value]

    def held_after(self, value: Value = True) -> list[str]:
        """Return the things of which a value was held after it, in their order."""
        return [each.thing for each in self.differences if each.after == value]


class Watch(Protocol):
    """Looks at the store in the transaction of a change."""

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What the audit trail says about the change besides its own result."""
        ...

    async def begin(self, transaction: Transaction) -> None:
        """Look at the store when the transaction has begun; a refusal changes nothing."""
        ...

    async def end(self, transaction: Transaction) -> None:
        """Look at the store before the transaction is committed; a refusal changes nothing."""
        ...


class Noting:
    """Notes what a change really changes. Implements `Watch`."""

    recorded: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._before: Held | None = None
        self.change: Change | None = None

    async def begin(self, transaction: Transaction) -> None:
        self._before = await held(transaction, self._scope)

    async def end(self, transaction: Transaction) -> None:
        before, after = self._before, await held(transaction, self._scope)
        if before is None or before.owners != after.owners:
            return
        things = sorted({*before.values, *after.values})
        pairs = ((thing, before.values.get(thing), after.values.get(thing)) for thing in things)
        found = tuple(Difference(*each) for each in pairs if each[1] != each[2])
        if found:
            change = Change(self._scope, after.owners, found)
            self.change = replace(change, others=change.others_in(after))


class Undoing:
    """Requires of a change that it undoes another one exactly. Implements `Watch`."""

    def __init__(self, change: Change, request_id: str) -> None:
        """Take what is undone.

        Args:
            change: what was changed.
            request_id: the request that has changed it.
        """
        self._undone = change
        self._wanted: Held | None = None
        self.recorded: Mapping[str, Any] = {"undoes": request_id}

    async def begin(self, transaction: Transaction) -> None:
        """Require that the store holds what the change has left, wherever it changed something.

        Raises:
            RequestRefused: it holds something else.
        """
        now = await held(transaction, self._undone.scope)
        different = [each.thing for each in self._undone.differences if now.values.get(each.thing) != each.after]
        if different or now.owners != self._undone.owners:
            raise RequestRefused(
                "what was changed has been changed again since then, so that it cannot be undone: nothing is changed",
                ErrorDetail(ErrorCode.UNDO_CHANGED_SINCE),
            )
        if self._undone.others_in(now) != self._undone.others:
            raise RequestRefused(
                "something else has been changed since then that decides what it means: nothing is changed",
                ErrorDetail(ErrorCode.UNDO_OTHERS_CHANGED),
            )
        undone = {each.thing: each.before for each in self._undone.differences}
        wanted = {thing: value for thing, value in {**now.values, **undone}.items() if value is not None}
        self._wanted = Held(now.owners, wanted)

    async def end(self, transaction: Transaction) -> None:
        """Require that the store holds what it held before the change, and otherwise what it holds now.

        Raises:
            RequestRefused: it would hold something else.
        """
        if await held(transaction, self._undone.scope) != self._wanted:
            raise RequestRefused(
                "it cannot be made exactly as it was before, so that it is not undone: nothing is changed",
                ErrorDetail(ErrorCode.UNDO_INEXACT),
            )


async def held(transaction: Transaction, scope: Scope) -> Held:
    """Return what the store holds of a scope."""
    return await _READERS[scope.kind](transaction, scope)


def grant_of(thing: str) -> GrantKey:
    """Return the grant that a thing of `Kind.GRANTS` stands for."""
    kind, db_name, object_name, privilege = thing.split(_SEPARATOR)
    return GrantKey(ObjectType(kind), db_name, object_name, privilege)


def group_role_thing(mapping: GroupRole) -> str:
    """Return the thing of `Kind.GROUP_ROLES` that stands for a role of a group."""
    return json.dumps(astuple(mapping))


def group_role_of(thing: str) -> GroupRole:
    """Return the role of a group that a thing of `Kind.GROUP_ROLES` stands for."""
    return GroupRole(*json.loads(thing))


async def _grants(transaction: Transaction, scope: Scope) -> Held:
    role = await transaction.roles.get(scope.name)
    keys = [each.key for each in await transaction.grants.of_role(scope.name) if each.kept_for is None]
    things = (
        _SEPARATOR.join((key.object_type.value, key.db_name, key.object_name, key.privilege)) for key in sorted(keys)
    )
    return Held({} if role is None else {scope.name: 0.0}, dict.fromkeys(things, True))


async def _members(transaction: Transaction, scope: Scope) -> Held:
    owners, values = {}, {}
    if await transaction.roles.get(scope.name) is not None:
        for name in scope.among:
            user = await transaction.users.get(name)
            if user is not None:
                owners[name], values[name] = user.created_at, scope.name in user.roles
    return Held(owners, values)


async def _users_enabled(transaction: Transaction, scope: Scope) -> Held:
    users = [user for name in scope.among if (user := await transaction.users.get(name)) is not None]
    return Held({user.name: user.created_at for user in users}, {user.name: user.enabled for user in users})


async def _keys_enabled(transaction: Transaction, scope: Scope) -> Held:
    keys = [lineage[0] for name in scope.among if (lineage := await transaction.keys.lineage(name))]
    return Held({key.key_id: key.created_at for key in keys}, {key.key_id: key.enabled for key in keys})


async def _group(transaction: Transaction, scope: Scope) -> Held:
    group = await transaction.groups.get(scope.name)
    return Held({}, {}) if group is None else Held({scope.name: 0.0}, dict.fromkeys(group.privileges, True))


async def _user(transaction: Transaction, name: str) -> tuple[dict[str, float], str]:
    user = await transaction.users.get(name)
    return ({}, "") if user is None else ({name: user.created_at}, user.description)


async def _role(transaction: Transaction, name: str) -> tuple[dict[str, float], str]:
    role = await transaction.roles.get(name)
    return ({}, "") if role is None else ({name: 0.0}, role.description)


async def _key(transaction: Transaction, name: str) -> tuple[dict[str, float], str]:
    lineage = await transaction.keys.lineage(name)
    return ({name: lineage[0].created_at}, lineage[0].description) if lineage else ({}, "")


Owner = Callable[[Transaction, str], Awaitable[tuple[dict[str, float], str]]]
"""Returns who a name is, as `Held.owners`, and the description."""


def _description(owner: Owner) -> "Reader":
    async def read(transaction: Transaction, scope: Scope) -> Held:
        owners, description = await owner(transaction, scope.name)
        return Held(owners, {"": description})

    return read


def _tags(owner: Owner, of: Callable[[Transaction], Tags]) -> "Reader":
    async def read(transaction: Transaction, scope: Scope) -> Held:
        owners, _ = await owner(transaction, scope.name)
        return Held(owners, dict(await of(transaction).of(scope.name)))

    return read


def _limits(owner: Owner, subject: Subject) -> "Reader":
    async def read(transaction: Transaction, scope: Scope) -> Held:
        owners, _ = await owner(transaction, scope.name)
        limits = await transaction.limits.of(subject, scope.name) or RequestLimits()
        return Held(owners, {"": [limits.rate, limits.burst, limits.concurrent]})

    return read


async def _row_policies(transaction: Transaction, scope: Scope) -> Held:
    """Read the policies of a collection, and whether they are enforced; without either, there is nothing."""
    collection = await transaction.row_policies.get(scope.database, scope.name)
    if collection is None:
        return Held({}, {})
    values: dict[str, Value] = {policy.name: json.dumps(recorded_policy(policy)) for policy in collection.policies}
    values |= {name: True for name, on in ((ENABLED, collection.enabled), (FORCE, collection.force)) if on}
    # That there is an entry at all goes with the collection: one that is created again has none.
    created = {"": 0.0, **{policy.name: policy.created_at for policy in collection.policies}}
    return Held({}, values, created)


async def _group_roles(transaction: Transaction, scope: Scope) -> Held:
    owners, values = {}, {}
    for thing in scope.among:
        mapping = group_role_of(thing)
        if await transaction.roles.get(mapping.role) is not None:
            owners[mapping.role] = 0.0
            if await transaction.identities.gives_role(mapping):
                values[thing] = True
    return Held(owners, values)


Reader = Callable[[Transaction, Scope], Awaitable[Held]]

_READERS: Final[Mapping[Kind, Reader]] = {
    Kind.GRANTS: _grants,
    Kind.MEMBERS: _members,
    Kind.USERS_ENABLED: _users_enabled,
    Kind.KEYS_ENABLED: _keys_enabled,
    Kind.GROUP: _group,
    Kind.USER_DESCRIPTION: _description(_user),
    Kind.ROLE_DESCRIPTION: _description(_role),
    Kind.KEY_DESCRIPTION: _description(_key),
    Kind.USER_TAGS: _tags(_user, lambda transaction: transaction.user_tags),
    Kind.KEY_TAGS: _tags(_key, lambda transaction: transaction.key_tags),
    Kind.USER_LIMITS: _limits(_user, Subject.USER),
    Kind.KEY_LIMITS: _limits(_key, Subject.KEY),
    Kind.ROLE_LIMITS: _limits(_role, Subject.ROLE),
    Kind.ROW_POLICIES: _row_policies,
    Kind.GROUP_ROLES: _group_roles,
}
