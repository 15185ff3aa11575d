"""The table of what can be undone: what each operation may change, and the operation that takes such a change back.

Any other operation offers no undo: what it deletes, ends or reveals does not come back.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, cast

from kiteward.iam.grants import fitting_type
from kiteward.iam.json_api.accounts import Named
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.json_api.grants import GrantChange, GrantNamed, GroupChange
from kiteward.iam.json_api.identities import GroupRolesChange, MappedRole, group_role
from kiteward.iam.json_api.keys import AlteredKey
from kiteward.iam.json_api.limits import LimitedNamed, LimitsGiven
from kiteward.iam.json_api.many import KeysChange, MembersChange, UsersChange
from kiteward.iam.json_api.row_policies import CollectionNamed, Enabling, PolicyGiven, PolicyNamed
from kiteward.iam.json_api.tags import TagsGiven, TagsNamed
from kiteward.iam.row_policies import ENABLED, FORCE
from kiteward.iam.undoing import Change, Difference, Kind, Noting, Scope, grant_of, group_role_of, group_role_thing
from kiteward.milvus import messages
from kiteward.store.identity_records import GroupRole

Inverse: TypeAlias = messages.ProtocolMessage | tuple[str, Arguments]
"""A request of the protocol, or an operation of our own with its arguments."""

_SWITCHES: Final = ("enable", "disable")
_HOLDERS: Final = ("user_name", "key_id", "role_name")


def _members(request: MembersChange) -> Scope | None:
    return None if request.dry_run else Scope(Kind.MEMBERS, request.role_name, (*request.add, *request.remove))


def _switched(kind: Kind, names: list[str], request: UsersChange | KeysChange) -> Scope | None:
    return None if request.dry_run or request.change not in _SWITCHES else Scope(kind, among=tuple(names))


def _held_by(request: Any, user: Kind, key: Kind, role: Kind | None = None) -> Scope | None:
    """Return the scope of a holder, of which a request has to name exactly one."""
    kinds = dict(zip(_HOLDERS, (user, key, role), strict=True))
    named = [(kinds[name], getattr(request, name, "")) for name in _HOLDERS if getattr(request, name, "")]
    return Scope(named[0][0], named[0][1]) if len(named) == 1 and named[0][0] is not None else None


def _tags(request: Any) -> Scope | None:
    return _held_by(request, Kind.USER_TAGS, Kind.KEY_TAGS)


def _limits(request: Any) -> Scope | None:
    return _held_by(request, Kind.USER_LIMITS, Kind.KEY_LIMITS, Kind.ROLE_LIMITS)


def _on_collection(request: PolicyNamed | PolicyGiven | CollectionNamed | Enabling) -> Scope:
    return Scope(Kind.ROW_POLICIES, request.collection_name, database=request.db_name)


def _group_roles(mapped: Iterable[MappedRole]) -> Scope:
    return Scope(Kind.GROUP_ROLES, among=tuple(group_role_thing(group_role(each)) for each in mapped))


def _described(request: messages.UpdateCredentialRequest) -> Scope | None:
    return None if request.newPassword else Scope(Kind.USER_DESCRIPTION, request.username)


_SCOPES: Final[Mapping[str, Callable[[Any], Scope | None]]] = {
    "ChangeGrants": lambda request: None if request.dry_run else Scope(Kind.GRANTS, request.role_name),
    "OperateUserRole": lambda request: Scope(Kind.MEMBERS, request.role_name, (request.username,)),
    "ChangeRoleMembers": _members,
    "EnableUser": lambda request: Scope(Kind.USERS_ENABLED, among=(request.user_name,)),
    "DisableUser": lambda request: Scope(Kind.USERS_ENABLED, among=(request.user_name,)),
    "ChangeUsers": lambda request: _switched(Kind.USERS_ENABLED, request.user_names, request),
    "EnableApiKey": lambda request: Scope(Kind.KEYS_ENABLED, among=(request.key_id,)),
    "DisableApiKey": lambda request: Scope(Kind.KEYS_ENABLED, among=(request.key_id,)),
    "ChangeApiKeys": lambda request: _switched(Kind.KEYS_ENABLED, request.key_ids, request),
    "ChangePrivilegeGroup": lambda request: Scope(Kind.GROUP, request.privilege_group_name),
    "AlterRole": lambda request: Scope(Kind.ROLE_DESCRIPTION, request.role_name),
    "AlterApiKey": lambda request: Scope(Kind.KEY_DESCRIPTION, request.key_id),
    "UpdateCredential": _described,
    "MakeRowPolicy": _on_collection,
    "ChangeRowPolicy": _on_collection,
    "RemoveRowPolicy": _on_collection,
    "EnableRowPolicies": _on_collection,
    "DisableRowPolicies": _on_collection,
    "GrantGroupRole": lambda request: _group_roles([request]),
    "RevokeGroupRole": lambda request: _group_roles([request]),
    "ChangeGroupRoles": lambda request: None if request.dry_run else _group_roles([*request.grant, *request.revoke]),
    "SetTags": _tags,
    "DeleteTags": _tags,
    "SetLimits": _limits,
    "DeleteLimits": _limits,
}
"""Operation -> what a request of it may change; None where it changes nothing, or what cannot be undone."""


class NotedChanges:
    """What the requests of one page change of what can be undone."""

    def __init__(self) -> None:
        self._noting: list[Noting] = []

    def watch(self, operation: str, request: object) -> Noting | None:
        """Return what notes the change of a request; None for a request that cannot be undone."""
        scope_of = _SCOPES.get(operation)
        scope = None if scope_of is None else scope_of(request)
        if scope is None:
            return None
        self._noting.append(Noting(scope))
        return self._noting[-1]

    @property
    def only_one(self) -> Change | None:
        """What was changed, if it was one change: one undo takes back all of it or nothing."""
        found = [each.change for each in self._noting if each.change is not None]
        return found[0] if len(found) == 1 else None


def inverse_of(change: Change) -> Inverse:
    """Return the request that takes a change back, as whoever made it could send it."""
    return _INVERSES[change.scope.kind](change)


def _grants_back(change: Change) -> Inverse:
    lost, gained = _named(change.held_before()), _named(change.held_after())
    return "ChangeGrants", GrantChange(role_name=change.scope.name, grant=lost, revoke=gained, exact=True)


def _named(things: Iterable[str]) -> list[GrantNamed]:
    keys = map(grant_of, things)
    return [
        GrantNamed(
            privilege=key.privilege,
            db_name=key.db_name,
            collection_name=key.object_name,
            object_type="" if key.object_type is fitting_type(key.privilege) else key.object_type.value,
        )
        for key in keys
    ]


def _members_back(change: Change) -> Inverse:
    role, unbound, bound = change.scope.name, change.held_before(), change.held_after()
    if len(change.scope.among) > 1:
        return "ChangeRoleMembers", MembersChange(role_name=role, add=unbound, remove=bound)
    kind = messages.OperateUserRoleType.AddUserToRole if unbound else messages.OperateUserRoleType.RemoveUserFromRole
    return messages.OperateUserRoleRequest(username=change.scope.among[0], role_name=role, type=kind)


def _users_back(change: Change) -> Inverse:
    names, was_enabled = [each.thing for each in change.differences], bool(change.held_before())
    if len(change.scope.among) > 1:
        return "ChangeUsers", UsersChange(user_names=names, change=_SWITCHES[not was_enabled])
    return "EnableUser" if was_enabled else "DisableUser", Named(user_name=names[0])


def _keys_back(change: Change) -> Inverse:
    names, was_enabled = [each.thing for each in change.differences], bool(change.held_before())
    return "ChangeApiKeys", KeysChange(key_ids=names, change=_SWITCHES[not was_enabled])


def _tags_back(argument: str) -> Callable[[Change], Inverse]:
    def back(change: Change) -> Inverse:
        holder: Any = {argument: change.scope.name}
        before = {each.thing: str(each.before) for each in change.differences if each.before is not None}
        if before:
            return "SetTags", TagsGiven(**holder, tags=before)
        return "DeleteTags", TagsNamed(**holder, keys=[each.thing for each in change.differences])

    return back


def _limits_back(argument: str) -> Callable[[Change], Inverse]:
    def back(change: Change) -> Inverse:
        holder: Any = {argument: change.scope.name}
        rate, burst, concurrent = cast("list[float | None]", change.differences[0].before)
        if rate is None and concurrent is None:
            return "DeleteLimits", LimitedNamed(**holder)
        return "SetLimits", LimitsGiven(
            **holder, requests_per_second=rate, burst=_whole(burst), concurrent_requests=_whole(concurrent)
        )

    return back


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _row_policies_back(change: Change) -> Inverse:
    """Return what restores one policy, or whether policies are enforced."""
    place: Any = {"db_name": change.scope.database, "collection_name": change.scope.name}
    before = {each.thing: each.before for each in change.differences}
    if not before.keys() <= {ENABLED, FORCE}:
        return _policy_back(place, change.differences[0])
    if before.get(ENABLED, True):
        return "EnableRowPolicies", Enabling(**place, force=bool(before.get(FORCE)))
    return "DisableRowPolicies", CollectionNamed(**place)


def _policy_back(place: Any, changed: Difference) -> Inverse:
    if changed.before is None:
        return "RemoveRowPolicy", PolicyNamed(**place, policy_name=changed.thing)
    held = json.loads(str(changed.before))
    policy = PolicyGiven(
        **place,
        policy_name=changed.thing,
        policy_type=held["type"],
        **{name: held[name] for name in ("actions", "roles", "using_expr", "check_expr", "description")},
    )
    return "MakeRowPolicy" if changed.after is None else "ChangeRowPolicy", policy


def _group_roles_back(change: Change) -> Inverse:
    lost, gained = map(group_role_of, change.held_before()), map(group_role_of, change.held_after())
    return "ChangeGroupRoles", GroupRolesChange(grant=list(map(_mapped, lost)), revoke=list(map(_mapped, gained)))


def _mapped(role: GroupRole) -> MappedRole:
    return MappedRole(issuer=role.issuer, group=role.group, role_name=role.role, pattern=role.is_pattern)


def _description_before(change: Change) -> str:
    return str(change.differences[0].before)


_INVERSES: Final[Mapping[Kind, Callable[[Change], Inverse]]] = {
    Kind.GRANTS: _grants_back,
    Kind.MEMBERS: _members_back,
    Kind.USERS_ENABLED: _users_back,
    Kind.GROUP: lambda change: (
        "ChangePrivilegeGroup",
        GroupChange(privilege_group_name=change.scope.name, add=change.held_before(), remove=change.held_after()),
    ),
    Kind.KEYS_ENABLED: _keys_back,
    Kind.USER_DESCRIPTION: lambda change: messages.UpdateCredentialRequest(
        username=change.scope.name, description=_description_before(change)
    ),
    Kind.ROLE_DESCRIPTION: lambda change: messages.AlterRoleRequest(
        role_name=change.scope.name, description=_description_before(change)
    ),
    Kind.KEY_DESCRIPTION: lambda change: (
        "AlterApiKey",
        AlteredKey(key_id=change.scope.name, description=_description_before(change)),
    ),
    Kind.USER_TAGS: _tags_back("user_name"),
    Kind.KEY_TAGS: _tags_back("key_id"),
    Kind.USER_LIMITS: _limits_back("user_name"),
    Kind.KEY_LIMITS: _limits_back("key_id"),
    Kind.ROLE_LIMITS: _limits_back("role_name"),
    Kind.ROW_POLICIES: _row_policies_back,
    Kind.GROUP_ROLES: _group_roles_back,
}
"""What was changed -> the request that takes it back."""
