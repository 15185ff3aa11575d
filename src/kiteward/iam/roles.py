"""Roles and role bindings."""

from collections.abc import Sequence
from dataclasses import dataclass

from kiteward.authz.coverage import Coverage
from kiteward.authz.model import ADMIN_ROLE, BUILT_IN_ROLES, Grant, GrantKey, Role
from kiteward.authz.policy import Condition, decide
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AlreadyExists, InUse, LimitReached, ProtectedObject
from kiteward.domain.faults import Faults
from kiteward.domain.identity import ROOT
from kiteward.iam.administrators import require_another_administrator
from kiteward.iam.caller import Caller
from kiteward.iam.lookup import known_role, require_role, require_user
from kiteward.iam.recorded_states import role_before
from kiteward.iam.services import Services
from kiteward.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class DescribedRole:
    """A role and its holders, as far as the caller may know them."""

    role: Role
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedRole:
    """A role, with the numbers of users that it is bound to and of its grants."""

    name: str
    description: str
    members: int
    grants: int


@dataclass(frozen=True, slots=True)
class ComparedGrant:
    """A grant that one of two roles holds, or both.

    Attributes:
        key: the grant.
        in_first: whether the first one holds it.
        in_second: whether the second one holds it.
        covered_by: the grants of the role that lacks it which give all of it already; empty for none.
    """

    key: GrantKey
    in_first: bool
    in_second: bool
    covered_by: Sequence[GrantKey] = ()


async def create_role(services: Services, caller: Caller, role: Role) -> None:
    """Create a role.

    Raises:
        InvalidArgument: the name or the description breaks a rule.
        AlreadyExists: there is a role of this name.
        LimitReached: the limit of roles would be exceeded.
    """
    _names_of(services, role).require_none()
    async with caller.change() as transaction:
        await add_role(services, transaction, role)


def _names_of(services: Services, role: Role) -> Faults:
    """Return what is wrong with the name and the description of a new role."""
    faults = Faults()
    with faults:
        services.naming.check_role_name(role.name)
    with faults:
        services.naming.check_role_description(role.description)
    return faults


async def copy_role(services: Services, caller: Caller, source: str, role: Role) -> int:
    """Create a role with the grants of another one: all of it or nothing. Its members and limits are not copied.

    Args:
        services: what services work with.
        caller: an administrator.
        source: the role whose grants are copied, without kept grants.
        role: the new role.

    Returns:
        How many grants it has.

    Raises:
        RoleNotFound: there is no role of the name `source`.
        ProtectedObject: the source is `admin`, which allows everything without grants.
        InvalidArgument, AlreadyExists, LimitReached: as of `create_role`.
    """
    faults = _names_of(services, role)
    with faults:
        _require_copyable(source)
    async with caller.change() as transaction:
        with faults:
            await require_role(transaction, source, field="source")
        faults.require_none()
        grants = [each for each in await transaction.grants.of_role(source) if each.kept_for is None]
        await add_role(services, transaction, role)
        await transaction.grants.add([Grant(role.name, each.key, caller.principal.user_name) for each in grants])
    caller.record(grants=len(grants))
    return len(grants)


def _require_copyable(source: str) -> None:
    if source == ADMIN_ROLE:
        raise ProtectedObject(
            f"the role {ADMIN_ROLE} allows everything without grants, so that there is nothing to copy",
            ErrorDetail(ErrorCode.ADMIN_ROLE_COPIED),
            field="source",
        )


def compare_roles(caller: Caller, first: str, second: str) -> Sequence[ComparedGrant]:
    """Return the grants of two roles side by side, sorted by place; without kept grants.

    Args:
        caller: an administrator.
        first: a role.
        second: another one.

    Raises:
        RoleNotFound: there is no such role.
        ProtectedObject: one is `admin`, which allows everything without grants.
    """
    held = [
        {grant.key for grant in known_role(caller, name, field=field).grants if grant.kept_for is None}
        for name, field in ((first, "roleName"), (second, "otherRoleName"))
    ]
    if ADMIN_ROLE in (first, second):
        raise ProtectedObject(
            f"the role {ADMIN_ROLE} allows everything without grants, so that there is nothing to compare",
            ErrorDetail(ErrorCode.ADMIN_ROLE_COMPARED),
            field="roleName" if first == ADMIN_ROLE else "otherRoleName",
        )
    lacking = [Coverage(keys, caller.snapshot.groups) for keys in held]
    keys = sorted(held[0] | held[1], key=lambda key: (key.db_name, key.object_name, key.object_type, key.privilege))
    return [
        ComparedGrant(
            key,
            in_first=key in held[0],
            in_second=key in held[1],
            covered_by=() if key in held[0] & held[1] else tuple(lacking[key in held[0]].of(key)),
        )
        for key in keys
    ]


async def add_role(services: Services, transaction: Transaction, role: Role) -> None:
    """Add a role whose name and description were checked.

    Raises:
        AlreadyExists: there is a role of this name.
        LimitReached: the limit of roles would be exceeded.
    """
    if await transaction.roles.get(role.name) is not None:
        raise AlreadyExists(
            f'role [name:"{role.name}"] already exists',
            ErrorDetail(ErrorCode.ROLE_EXISTS, {"name": role.name}),
            field="roleName",
        )
    if await transaction.roles.count() >= services.limits.roles:
        raise LimitReached(
            "unable to create role because the number of roles has reached the limit",
            ErrorDetail(ErrorCode.ROLES_LIMIT),
        )
    await transaction.roles.put(role)


async def describe_role(services: Services, caller: Caller, role: Role) -> None:
    """Replace the description of a role; an empty one clears it.

    Raises:
        InvalidArgument: the name or the description breaks a rule.
        ProtectedObject: it is a built-in role.
        RoleNotFound: there is no such role.
    """
    services.naming.check_role_name(role.name)
    services.naming.check_role_description(role.description)
    _require_custom(role.name, "altered")
    async with caller.change() as transaction:
        await require_role(transaction, role.name)
        await transaction.roles.put(role)


async def drop_role(services: Services, caller: Caller, name: str, *, force: bool) -> None:
    """Drop a role with its bindings and grants.

    Args:
        services: what services work with.
        caller: who drops it.
        name: the role.
        force: whether it is dropped even if it holds grants, or row policies name it; kept grants do not count.

    Raises:
        InvalidArgument: the name breaks the naming rule.
        ProtectedObject: it is a built-in role.
        RoleNotFound: there is no such role.
        InUse: it holds grants, or row policies name it.
    """
    services.naming.check_role_name(name)
    _require_custom(name, "dropped")
    async with caller.change() as transaction:
        await require_role(transaction, name)
        grants = await transaction.grants.of_role(name)
        # A kept grant is on a collection that does not exist (decision 0030), and is dropped with the role.
        if not force and any(grant.kept_for is None for grant in grants):
            raise InUse(
                "failed to check if drop role: "
                "fail to drop the role that it has privileges. Use REVOKE API to revoke privileges",
                ErrorDetail(ErrorCode.ROLE_HAS_GRANTS, {"name": name}),
            )
        naming = await transaction.row_policies.naming_role(name)
        if naming and not force:
            database, collection, policy = naming[0]
            raise InUse(
                f"the row policy {policy} of {database}.{collection} names the role {name}: drop or change it first",
                ErrorDetail(ErrorCode.ROLE_IN_ROW_POLICIES, {"name": name}),
            )
        caller.record(row_policies=["/".join(each) for each in naming], before=await role_before(transaction, name))
        await transaction.roles.remove(name)


async def bind_role(services: Services, caller: Caller, *, user: str, role: str) -> None:
    """Bind a role to a user. Binding it again changes nothing.

    Raises:
        InvalidArgument: one of the names breaks the naming rule.
        RoleNotFound, UserNotFound: there is no such role or user.
    """
    check_binding_names(services, user, role)
    async with caller.change() as transaction:
        await require_role(transaction, role)
        await require_user(transaction, user)
        await transaction.roles.bind(user, role)


async def unbind_role(services: Services, caller: Caller, *, user: str, role: str) -> None:
    """Unbind a role from a user. If it is not bound, or there is no such user, nothing changes.

    Raises:
        InvalidArgument: one of the names breaks the naming rule.
        RoleNotFound: there is no such role.
        ProtectedObject: it is the role `admin` of the last administrator.
    """
    check_binding_names(services, user, role)
    async with caller.change() as transaction:
        await require_role(transaction, role)
        record = await transaction.users.get(user)
        if record is None:
            return
        needs_no_role = user == ROOT and services.root_bypass
        if role == ADMIN_ROLE and ADMIN_ROLE in record.roles and not needs_no_role:
            await require_another_administrator(services, transaction, user)
        await transaction.roles.unbind(user, role)


def sees_role_holders(caller: Caller) -> bool:
    """Return whether the caller may see all holders of a role; if not, it sees only itself."""
    return decide(caller.principal, (Condition(PRIVILEGES["SelectOwnership"]),), caller.snapshot).allowed


async def describe_roles(
    services: Services, caller: Caller, name: str | None, *, with_users: bool
) -> Sequence[DescribedRole]:
    """Return all roles by name, or the one with a name if it exists.

    Raises:
        InvalidArgument: the name breaks the naming rule.
    """
    roles = caller.snapshot.roles
    if name is not None:
        services.naming.check_role_name(name)
    names = sorted(roles) if name is None else [name] if name in roles else []
    bound = await services.store.bindings(name) if with_users else {}
    if not sees_role_holders(caller):
        own = caller.principal.user_name
        bound = {role: tuple(user for user in users if user == own) for role, users in bound.items()}
    return [DescribedRole(roles[each].role, bound.get(each, ())) for each in names]


async def list_roles(services: Services, caller: Caller) -> Sequence[ListedRole]:
    """Return all roles by name, for an administrator. Kept grants do not count: they allow nothing now."""
    members, roles = await services.store.member_counts(), caller.snapshot.roles
    return [
        ListedRole(
            name,
            roles[name].role.description,
            members.get(name, 0),
            sum(1 for grant in roles[name].grants if grant.kept_for is None),
        )
        for name in sorted(roles)
    ]


def check_binding_names(services: Services, user: str, role: str) -> None:
    """Check the names of a user and of a role.

    Raises:
        InvalidArgument: a name breaks its rule.
    """
    services.naming.check_user_name(user)
    services.naming.check_role_name(role)


def _require_custom(name: str, done: str) -> None:
    if name in BUILT_IN_ROLES:
        raise ProtectedObject(
            f"the role[{name}] is a default role, which can't be {done}",
            ErrorDetail(ErrorCode.ROLE_BUILT_IN, {"name": name}),
            field="roleName",
        )
