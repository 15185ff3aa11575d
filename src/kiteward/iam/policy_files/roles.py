"""Privilege groups, roles, grants and the roles of groups of a file, by the services that change them one by one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import UnsetType

from kiteward.audit.events import Event
from kiteward.authz.model import BUILT_IN_ROLES, GrantKey, PrivilegeGroup, Role
from kiteward.iam.grants import PrivilegeScope, fitting_type, keys_to_hold, replace_grants
from kiteward.iam.identities import grant_group_role, revoke_group_role
from kiteward.iam.policy_files.document import PolicyGroup, PolicyGroupRole, PolicyLimits, PolicyRole, given
from kiteward.iam.policy_files.exporting import held_grants, limits_of
from kiteward.iam.policy_files.limits import set_limits_of
from kiteward.iam.policy_files.work import Action, Difference, Kind, Work, of_sets, of_values
from kiteward.iam.privilege_groups import add_privileges, create_group, drop_group, remove_privileges
from kiteward.iam.request_limits import LimitHolder
from kiteward.iam.roles import create_role, describe_role, drop_role
from kiteward.store.identity_records import GroupRole


async def put_groups(work: Work, wanted: Mapping[str, PolicyGroup], held: Mapping[str, PrivilegeGroup]) -> None:
    """Create the privilege groups that are missing, and give each group its privileges."""
    for name in sorted(wanted.keys() - held.keys()):
        with work.at("privilegeGroups", name):
            async with work.recorded(Event.GROUP_CHANGE, "CreatePrivilegeGroup", group=name):
                await create_group(work.services, work.caller, name)
            work.object(Kind.PRIVILEGE_GROUP, name).action = Action.ADD
    for name, group in sorted(wanted.items()):
        if await work.transaction.groups.get(name) is not None:
            await _fill(work, name, group.privileges, held.get(name, PrivilegeGroup(name)).privileges)


async def _fill(work: Work, name: str, wanted: Sequence[str], held: Sequence[str]) -> None:
    lost, new = sorted(set(held) - set(wanted)), sorted(set(wanted) - set(held))
    work.object(Kind.PRIVILEGE_GROUP, name).differences += of_sets("privilege", held, wanted)
    if lost:  # at first: it may be of another level than what is added
        with work.at("privilegeGroups", name):
            told = {"group": name, "privileges": lost, "removed": 1}
            async with work.recorded(Event.GROUP_CHANGE, "OperatePrivilegeGroup", **told):
                await remove_privileges(work.services, work.caller, name, lost)
    if new:
        async with work.recorded(Event.GROUP_CHANGE, "OperatePrivilegeGroup", group=name, privileges=new):
            for privilege in new:
                with work.at("privilegeGroups", name, "privileges", wanted.index(privilege)):
                    await add_privileges(work.services, work.caller, name, [privilege])


async def remove_groups(work: Work, wanted: Iterable[str], held: Mapping[str, PrivilegeGroup]) -> None:
    """Drop the privilege groups that a file does not name. Grants of them were revoked before."""
    for name in sorted(held.keys() - set(wanted)):
        with work.at("privilegeGroups"):
            async with work.recorded(Event.GROUP_CHANGE, "DropPrivilegeGroup", group=name):
                await drop_group(work.services, work.caller, name)
            gone = work.object(Kind.PRIVILEGE_GROUP, name)
            gone.action, gone.deletion = Action.REMOVE, True
            gone.differences += of_sets("privilege", held[name].privileges, ())


async def put_roles(work: Work, wanted: Mapping[str, PolicyRole]) -> None:
    """Create the roles that are missing, and set descriptions and limits."""
    held = work.caller.snapshot.roles
    for name, role in sorted(wanted.items()):
        before = held[name].role if name in held else None
        description = given(role.description, "" if before is None else before.description)
        with work.at("roles", name):
            if before is None:
                async with work.recorded(Event.ROLE_CHANGE, "CreateRole", role=name, description=description):
                    await create_role(work.services, work.caller, Role(name, description))
                work.object(Kind.ROLE, name).action = Action.ADD
            elif description != before.description:
                async with work.recorded(Event.ROLE_CHANGE, "AlterRole", role=name, description=description):
                    await describe_role(work.services, work.caller, Role(name, description))
            different = of_values("description", "" if before is None else before.description, description)
            work.object(Kind.ROLE, name).differences += different
            limits = PolicyLimits() if before is None else limits_of(before.limits)
            await set_limits_of(work, LimitHolder(role_name=name), limits, role.limits)


async def put_grants(work: Work, wanted: Mapping[str, PolicyRole]) -> None:
    """Give the roles of a file its grants, and no others."""
    for name, role in sorted(wanted.items()):
        if isinstance(role.grants, UnsetType) or await work.transaction.roles.get(name) is None:
            continue
        held = {grant.key for grant in held_grants(work.caller.snapshot.roles.get(name))}
        keys: set[GrantKey] = set()
        known = len(work.faults)
        for position, grant in enumerate(role.grants):
            kind = None if isinstance(grant.object_type, UnsetType) else grant.object_type
            scope = PrivilegeScope(grant.privilege, grant.database, grant.collection, kind)
            with work.at("roles", name, "grants", position):
                stored = await keys_to_hold(work.services, work.caller, held, role=name, scope=scope)
                if stored[0] != scope.key:
                    work.aliased[scope.key] = stored[0]
                keys.update(stored)
        if len(work.faults) == known:
            await _replace(work, name, keys)


async def _replace(work: Work, role: str, keys: set[GrantKey]) -> None:
    granted, revoked = await replace_grants(work.caller, role, keys)
    if not (granted or revoked):
        return
    shown = work.object(Kind.ROLE, role).differences
    shown += [Difference(Action.REMOVE, f"grant {_shown(key)}") for key in revoked]
    shown += [Difference(Action.ADD, f"grant {_shown(key)}") for key in granted]
    async with work.recorded(Event.GRANT_CHANGE, "ChangeGrants", roleName=role, **_recorded(granted, revoked)):
        pass


async def remove_roles(work: Work, wanted: Iterable[str]) -> None:
    """Drop the roles that a file does not name, but built-in ones, with their grants and bindings."""
    gone = work.caller.snapshot.roles.keys() - set(wanted) - set(BUILT_IN_ROLES)
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for record in work.draft.users if gone else ():
        for role in record.roles:
            holders[role].append(record.name)
    for name in sorted(gone):
        with work.at("roles"):
            dropped = work.object(Kind.ROLE, name)
            dropped.action, dropped.deletion = Action.REMOVE, True
            dropped.differences += of_sets("holder", holders.get(name, ()), ())
            await _replace(work, name, set())
            async with work.recorded(Event.ROLE_CHANGE, "DropRole", role=name, force=False):
                await drop_role(work.services, work.caller, name, force=False)


async def put_group_roles(work: Work, wanted: Sequence[PolicyGroupRole]) -> None:
    """Let groups of identity providers give the roles of a file, and no others that are stored."""
    held = set(work.draft.group_roles)
    listed = [GroupRole(each.issuer, each.group, each.pattern, each.role) for each in wanted]
    for mapping in sorted(held - set(listed)):
        async with work.recorded(Event.GRANT_CHANGE, "RevokeGroupRole", **_mapped(mapping)):
            await revoke_group_role(work.caller, mapping)
        work.object(Kind.GROUP_ROLE, _name_of(mapping)).action = Action.REMOVE
    for mapping in sorted(set(listed) - held):
        with work.at("groupRoles", listed.index(mapping)):
            async with work.recorded(Event.GRANT_CHANGE, "GrantGroupRole", **_mapped(mapping)):
                await grant_group_role(work.services, work.caller, mapping)
            work.object(Kind.GROUP_ROLE, _name_of(mapping)).action = Action.ADD


def _shown(key: GrantKey) -> str:
    kind = "" if key.object_type is fitting_type(key.privilege) else f" (object type {key.object_type})"
    return f"{key.privilege} on {key.db_name}.{key.object_name}{kind}"


def _recorded(granted: Sequence[GrantKey], revoked: Sequence[GrantKey]) -> dict[str, object]:
    named = {"grant": granted, "revoke": revoked}
    return {
        word: [
            {
                "privilege": key.privilege,
                "dbName": key.db_name,
                "collectionName": key.object_name,
                "objectType": key.object_type.value,
            }
            for key in keys
        ]
        for word, keys in named.items()
        if keys
    }


def _mapped(mapping: GroupRole) -> dict[str, object]:
    return {
        "issuer": mapping.issuer,
        "group": mapping.group,
        "pattern": mapping.is_pattern,
        "roleName": mapping.role,
    }


def _name_of(mapping: GroupRole) -> str:
    word = "pattern" if mapping.is_pattern else "group"
    return f"{mapping.role} for {word} {mapping.group} of {mapping.issuer}"
