"""The import: reads users, roles, bindings, grants and groups from a running Milvus, and adds those that are new here.

It uses BackupRBAC where the source has it, which includes password hashes. Milvus before 2.5 lacks it, so that the
listing RPCs are used; they do not return passwords, and users get new ones.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from kiteward.authn.hashing import PasswordHasher
from kiteward.authz.model import BUILT_IN_ROLES
from kiteward.authz.privileges import ALL, BUILT_IN_GROUPS, LEGACY_GROUPS, PRIVILEGES
from kiteward.domain.errors import (
    ConfigurationError,
    EngineAccessDenied,
    EngineAccountRejected,
    EngineError,
    EngineLacksOperation,
    EngineRejected,
)
from kiteward.domain.identity import ROOT, Secret
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.engine.channel import EngineChannel as Channel
from kiteward.gateway.client import GatewayClient
from kiteward.iam.milvus_rpc.user_states import BackedUpPassword
from kiteward.iam.passwords import generated_password
from kiteward.milvus import messages

_TIMEOUT: Final = 60.0

_Response = TypeVar(
    "_Response",
    messages.BackupRBACMetaResponse,
    messages.ListCredUsersResponse,
    messages.ListDatabasesResponse,
    messages.SelectGrantResponse,
    messages.SelectRoleResponse,
)
_Named = TypeVar("_Named")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported, or would be.

    Attributes:
        users, roles, groups: names that are new here.
        grants: new grants, a line each.
        left: what is not imported, a line each with the reason.
        passwords: user name -> new password, for users whose own could not be imported.
    """

    users: tuple[str, ...]
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    grants: tuple[str, ...]
    left: tuple[str, ...]
    passwords: Mapping[str, Secret] = field(repr=False)


Progress = Callable[[str, int, int], None]
"""Takes a part of the work, how much of it is done, and how much there is."""


def _silent(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""


class Source:
    """A running Milvus, called as its administrator."""

    def __init__(self, channel: Channel, authorization: Secret, progress: Progress) -> None:
        """Set up a source.

        Args:
            channel: the connection to it.
            authorization: the value of the metadata `authorization`: base64 of `user:password`.
            progress: takes how far the reading is.
        """
        self._progress = progress
        self._channel = channel
        self._authorization = authorization

    async def policy(self) -> tuple[messages.RBACMeta, bool]:
        """Return the whole policy of the source, and whether it has password hashes.

        Raises:
            ConfigurationError: the source cannot be reached, or refuses to show its policy to this user.
        """
        try:
            answer = await self._ask(messages.BackupRBACMetaRequest(), messages.BackupRBACMetaResponse)
        except EngineLacksOperation:
            return await self._listed(), False
        return answer.RBAC_meta, True

    async def _listed(self) -> messages.RBACMeta:
        names = (await self._ask(messages.ListCredUsersRequest(), messages.ListCredUsersResponse)).usernames
        asked = messages.SelectRoleRequest(include_user_info=True)
        roles = (await self._ask(asked, messages.SelectRoleResponse)).results
        there = await self._ask(messages.ListDatabasesRequest(), messages.ListDatabasesResponse)
        databases = [ANY, *there.db_names]
        held: dict[str, list[str]] = {name: [] for name in names}
        for role in roles:
            for user in role.users:
                held.setdefault(user.name, []).append(role.role.name)
        grants: dict[bytes, messages.GrantEntity] = {}
        for number, role in enumerate(roles):
            self._progress("roles read", number, len(roles))
            for database in databases:
                entity = messages.GrantEntity(role=messages.RoleEntity(name=role.role.name), db_name=database)
                found = await self._ask(messages.SelectGrantRequest(entity=entity), messages.SelectGrantResponse)
                grants.update((each.SerializeToString(deterministic=True), each) for each in found.entities)
        return messages.RBACMeta(
            users=[
                messages.UserInfo(user=name, roles=[messages.RoleEntity(name=role) for role in sorted(bound)])
                for name, bound in sorted(held.items())
            ],
            roles=[messages.RoleEntity(name=role.role.name) for role in roles],
            grants=list(grants.values()),
        )

    async def _ask(self, request: messages.ProtocolMessage, response_type: type[_Response]) -> _Response:
        operation = messages.rpc_of(type(request)).name
        metadata = {"authorization": self._authorization.reveal()}
        try:
            answer = await self._channel.call(
                operation, request.SerializeToString(), metadata=metadata, timeout=_TIMEOUT
            )
        except EngineLacksOperation:
            raise
        except (EngineAccountRejected, EngineAccessDenied, EngineRejected) as error:
            raise ConfigurationError(
                f"the source refuses {operation}: give the credential of an administrator of it"
            ) from error
        except EngineError as error:
            raise ConfigurationError(f"the source cannot be reached: {error}") from error
        response = response_type.FromString(answer)
        if response.status.code or response.status.error_code:
            raise ConfigurationError(f"the source refuses {operation}: {response.status.reason}")
        return response


async def run_import(
    source: Source, client: GatewayClient, hasher: PasswordHasher, *, dry_run: bool, progress: Progress = _silent
) -> ImportReport:
    """Import what is new here, all of it or nothing. What exists here already is not changed.

    Args:
        source: the Milvus to import from.
        client: sends the requests to this server, as an administrator.
        hasher: hashes new passwords.
        dry_run: whether only to report what would be done.
        progress: takes how far it is.

    Raises:
        ConfigurationError: as of `Source.policy`.
        RequestRefused: part of it is not acceptable here; nothing was imported.
    """
    found, hashed = await source.policy()
    here = await client.call(messages.BackupRBACMetaRequest(), messages.BackupRBACMetaResponse)
    meta, left = _new(found, here.RBAC_meta)
    passwords: dict[str, Secret] = {}
    for number, user in enumerate(meta.users):
        progress("passwords", number, len(meta.users))
        held = BackedUpPassword.parse(user.password, user_name=user.user)
        if hashed and hasher.recognises(held.stored):
            continue
        if hashed:
            left.append(f"password of user {user.user}: of an unknown kind")
        made = passwords[user.user] = generated_password()
        if not dry_run:
            user.password = replace(held, stored=await hasher.hash(made), one_time=True).text()
    if not dry_run:
        await client.call(messages.RestoreRBACMetaRequest(RBAC_meta=meta))
    return ImportReport(
        tuple(user.user for user in meta.users),
        tuple(role.name for role in meta.roles),
        tuple(group.group_name for group in meta.privilege_groups),
        tuple(map(_grant_line, meta.grants)),
        tuple(left),
        passwords,
    )


def _new(found: messages.RBACMeta, here: messages.RBACMeta) -> tuple[messages.RBACMeta, list[str]]:
    """Return what is new here, and lines about what is not imported.

    INVARIANT: no user gets more than the source gives. A name that exists here already is used only where it allows
    no more here than there.
    """
    left: list[str] = []
    roles = _unless_here("role", ((role.name, role) for role in found.roles), {r.name for r in here.roles}, left)
    users = _unless_here("user", ((user.user, user) for user in found.users), {u.user for u in here.users}, left)
    no_wider_groups = _no_wider(_members(here), _members(found))
    groups = []
    for group in _unless_here(
        "privilege group", ((group.group_name, group) for group in found.privilege_groups), set(_members(here)), left
    ):
        if {member.name for member in group.privileges} & (set(_members(here)) - no_wider_groups):
            left.append(f"privilege group {group.group_name}: contains a group that allows more here")
        else:
            groups.append(group)
    known = {*PRIVILEGES, *BUILT_IN_GROUPS, *LEGACY_GROUPS, ALL, ANY, *no_wider_groups}
    known |= {group.group_name for group in groups}
    new_roles = {role.name for role in roles}
    grants = []
    for grant in found.grants:
        if grant.role.name not in new_roles:
            left.append(f"grant {_grant_line(grant)}: its role is not imported")
        elif grant.grantor.privilege.name not in known:
            left.append(f"grant {_grant_line(grant)}: no such privilege here, or a group that allows more")
        else:
            grants.append(grant)
    no_wider_roles = _no_wider(_held(here), _held(found))
    no_wider_roles -= {grant.role.name for grant in here.grants if grant.grantor.privilege.name not in known}
    _keep_roles(users, new_roles | no_wider_roles | set(BUILT_IN_ROLES), left)
    return messages.RBACMeta(users=users, roles=roles, grants=grants, privilege_groups=groups), left


def _keep_roles(users: Iterable[messages.UserInfo], bindable: set[str], left: list[str]) -> None:
    """Remove the roles from users that cannot be bound here, and add lines about them to `left`."""
    for user in users:
        bound = [role for role in user.roles if role.name in bindable]
        left += [
            f"role {role.name} of user {user.user}: no such role here, or one that allows more"
            for role in user.roles
            if role not in bound
        ]
        del user.roles[:]
        user.roles.extend(bound)


Content = Mapping[str, Set[object]]
"""Name -> what it allows."""


def _members(meta: messages.RBACMeta) -> Content:
    return {group.group_name: {member.name for member in group.privileges} for group in meta.privilege_groups}


def _held(meta: messages.RBACMeta) -> Content:
    held: dict[str, set[object]] = {role.name: set() for role in meta.roles}
    for grant in meta.grants:
        key = (grant.object.name, grant.db_name or DEFAULT_DATABASE, grant.object_name, grant.grantor.privilege.name)
        held.setdefault(grant.role.name, set()).add(key)
    return held


def _no_wider(here: Content, found: Content) -> set[str]:
    """Return the names that exist on both sides and allow nothing here that they do not allow there."""
    return {name for name, content in here.items() if name in found and content <= found[name]}


def _unless_here(kind: str, named: Iterable[tuple[str, _Named]], here: set[str], left: list[str]) -> list[_Named]:
    fresh = []
    for name, each in named:
        if name in (ROOT, *BUILT_IN_ROLES):
            continue  # each server has its own
        if name in here:
            left.append(f"{kind} {name}: already exists here")
        else:
            fresh.append(each)
    return fresh


def _grant_line(grant: messages.GrantEntity) -> str:
    where = f"{grant.db_name or 'default'}.{grant.object_name}"
    return f"{grant.grantor.privilege.name} on {grant.object.name} {where} to {grant.role.name}"
