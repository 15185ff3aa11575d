"""The rules of operations that Kiteward answers itself: contract 2.2 to 2.6 and 4.12."""

import base64
import re
from typing import Any, Final

from tests.unit.gateway.model import catalogue
from tests.unit.gateway.model.authorization import ANY, Authorizer, Key
from tests.unit.gateway.model.reference import DENIED, DONE, Outcome, Reference, Rule, Step, User, refused
from tests.unit.gateway.model.world import DATABASE_NOT_FOUND

INVALID: Final = refused(1100, 5)
PROTECTED: Final = refused(1401, 1)
NO_DATABASE: Final = refused(DATABASE_NOT_FOUND, 1)

_USER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,254}")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def _is_name(text: str) -> bool:
    return text == ANY or bool(_NAME.fullmatch(text))


def _decoded(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


def _is_password(text: str) -> bool:
    """Return whether the standard policy takes it: 8 to 64 characters, three of four classes."""
    classes = (str.isupper, str.islower, str.isdigit, lambda c: not c.isalnum())
    return 8 <= len(text) <= 64 and sum(any(of(c) for c in text) for of in classes) >= 3


def _create_user(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    message = step.message
    if not authorizer.may("CreateOwnership"):
        return DENIED
    if not _USER_NAME.fullmatch(message.username) or not _is_password(_decoded(message.password)):
        return INVALID
    if message.username in reference.users:
        return refused(1100, 29)
    reference.users[message.username] = User(_decoded(message.password), message.description)
    return DONE


def _update_user(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    message = step.message
    described = message.HasField("description")
    if not authorizer.may("UpdateUser", ANY, [message.username or ANY]):
        return DENIED
    user = reference.users.get(message.username)
    if not message.newPassword:
        if not described:
            return INVALID
        if user is None:
            return refused(1100, 30)
    else:
        if not _is_password(_decoded(message.newPassword)):
            return INVALID
        if user is None or user.password != _decoded(message.oldPassword):
            return refused(1400, 1)
        user.password = _decoded(message.newPassword)
    if described:
        user.description = message.description
    return DONE


def _delete_user(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    if not authorizer.may("DropOwnership"):
        return DENIED
    if step.message.username == "root":
        return PROTECTED
    reference.users.pop(step.message.username, None)
    for (role, key), user in [*reference.policy.kept.items()]:
        if user == step.message.username:
            reference.policy.take(role, key)
    return DONE


def _list_users(reference: Reference, _step: Step, authorizer: Authorizer) -> Outcome:
    return Outcome("ok", content=sorted(reference.users)) if authorizer.may("SelectOwnership") else DENIED


def _select_user(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    message = step.message
    name = message.user.name
    if not authorizer.may("SelectUser", ANY, [name or ANY]):
        return DENIED
    if message.HasField("user") and not _USER_NAME.fullmatch(name):
        return INVALID
    names = sorted(reference.users) if not message.HasField("user") else [name] if name in reference.users else []
    found = [
        (each, user.description, sorted(user.roles) if message.include_role_info else [])
        for each, user in ((each, reference.users[each]) for each in names)
    ]
    return Outcome("ok", content=found)


def _create_role(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    name = step.message.entity.name
    if not authorizer.may("CreateOwnership"):
        return DENIED
    if not _NAME.fullmatch(name):
        return INVALID
    if name in reference.policy.roles:
        return refused(1100, 35)
    reference.policy.roles[name] = {}
    return DONE


def _drop_role(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    name = step.message.role_name
    if not authorizer.may("DropOwnership"):
        return DENIED
    if not _NAME.fullmatch(name):
        return INVALID
    if name in ("admin", "public"):
        return PROTECTED
    grants = reference.policy.roles.get(name)
    plain = [key for key in grants or () if (name, key) not in reference.policy.kept]
    if grants is None or (plain and not step.message.force_drop):
        return refused(1100, 36)
    reference.policy.drop_role(name)
    for user in reference.users.values():
        user.roles.discard(name)
    return DONE


def _operate_binding(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    message = step.message
    if not authorizer.may("ManageOwnership"):
        return DENIED
    if not _USER_NAME.fullmatch(message.username) or not _NAME.fullmatch(message.role_name):
        return INVALID
    user = reference.users.get(message.username)
    if message.type not in (0, 1) or message.role_name not in reference.policy.roles:
        return refused(1100, 37)
    if message.type == 1:
        if user is not None:
            user.roles.discard(message.role_name)
        return DONE
    if user is None:
        return refused(1100, 37)
    user.roles.add(message.role_name)
    return DONE


def _may_look_at(authorizer: Authorizer, role: str) -> bool:
    """Return whether a caller may read a role: its own and `public` always [contract 4.6 rule 7, decision 0004]."""
    return role in authorizer.bound | {"public"} or authorizer.may("SelectOwnership")


def _select_role(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    message = step.message
    name = message.role.name
    if not _may_look_at(authorizer, name):
        return DENIED
    if message.HasField("role") and not _NAME.fullmatch(name):
        return INVALID
    roles = sorted(reference.policy.roles)
    names = roles if not message.HasField("role") else [name] if name in roles else []
    found = []
    for each in names:
        holders = sorted(user for user, record in reference.users.items() if each in record.roles)
        if not authorizer.may("SelectOwnership"):
            holders = [user for user in holders if user == authorizer.user]
        found.append((each, holders if message.include_user_info else []))
    return Outcome("ok", content=found)


def _reports_missing(reference: Reference, authorizer: Authorizer, database: str, name: str) -> bool:
    """Return whether a named collection is refused because its database is missing [contract 4.10, decision 0027]."""
    return (
        ANY not in (database, name)
        and database not in reference.world.databases
        and authorizer.lists_database(database)
    )


def _operate_v1(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    entity = step.message.entity
    privilege, kind, name = entity.grantor.privilege.name, entity.object.name, entity.object_name
    database = entity.db_name or step.database or "default"
    if not authorizer.may("ManageOwnership"):
        return DENIED
    if not all(map(_is_name, (privilege, name))) or not all(map(_NAME.fullmatch, (kind, entity.role.name))):
        return INVALID
    if step.message.type not in (0, 1) or kind not in catalogue.OF_TYPE:
        return refused(1100, 41)
    if kind == "Global":
        name = ANY
    key = Key(kind, database, name, privilege)
    if step.message.type == 0 and kind == "Collection" and _reports_missing(reference, authorizer, database, name):
        return NO_DATABASE
    if entity.role.name not in reference.policy.roles or not _fits_v1(privilege, kind):
        return refused(1100, 41)
    return _operate(reference, step, authorizer, entity.role.name, key)


def _fits_v1(privilege: str, kind: str) -> bool:
    if privilege == ANY or (privilege == "All" and kind == "Global"):
        return True
    if privilege in catalogue.LEGACY_TYPE:
        return catalogue.LEGACY_TYPE[privilege] == kind
    return privilege in catalogue.OF_TYPE[kind] - catalogue.NOT_BY_V1


def _operate_v2(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    message = step.message
    privilege, role = message.grantor.privilege.name, message.role.name
    database = message.db_name or step.database or "default"
    if not authorizer.may("ManageOwnership"):
        return DENIED
    if not _NAME.fullmatch(role) or not _is_name(privilege) or message.type not in (0, 1):
        return INVALID
    if database != ANY and not _PLAIN.fullmatch(database):
        return refused(802, 1)
    if not _is_name(message.collection_name):
        return INVALID
    kind = catalogue.object_type(privilege)
    name = message.collection_name
    if message.type == 0 and kind != "User" and _reports_missing(reference, authorizer, database, name):
        return NO_DATABASE
    if role not in reference.policy.roles or not _fits_v2(reference, privilege, database, name):
        return refused(1100, 41)
    return _operate(reference, step, authorizer, role, Key(kind, database, name, privilege))


def _fits_v2(reference: Reference, privilege: str, database: str, name: str) -> bool:
    if privilege in (ANY, "All", *catalogue.LEGACY) or privilege in catalogue.SINGLE:
        return True
    if privilege in catalogue.BUILT_IN:
        level = catalogue.level(privilege)
    elif privilege in reference.policy.groups:
        level = next((catalogue.level(m) for m in reference.policy.groups[privilege] & catalogue.SINGLE), "")
    else:
        return False
    if level == "Cluster":
        return database == name == ANY
    if level == "Database":
        return name == ANY
    return level == "" or database != ANY or name == ANY


def _operate(reference: Reference, step: Step, authorizer: Authorizer, role: str, key: Key) -> Outcome:
    privileges = (key.privilege, *catalogue.ALONG.get(key.privilege, ()))
    behind = key.name if key.kind == "User" else reference.world.resolve(key.database, key.name)
    if step.message.type == 0:
        for privilege in privileges:
            reference.policy.give(role, key._replace(name=behind, privilege=privilege), step.caller)
        return DONE
    # [decision 0027] what is revoked is what stands under the name, and under what it stands for; V2's `*` is of both
    both = step.operation == "OperatePrivilegeV2" and key.privilege == ANY
    gone = [
        reference.policy.take(role, key._replace(kind=kind, name=name, privilege=privilege))
        for kind in (("Global", "Collection") if both else (key.kind,))
        for name in {key.name, behind}
        for privilege in privileges
    ]
    missing = key.kind != "User" and _reports_missing(reference, authorizer, key.database, key.name)
    return NO_DATABASE if missing and not any(gone) else DONE


def _select_grant(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    entity = step.message.entity
    role = entity.role.name
    database = entity.db_name or step.database or "default"
    if not _may_look_at(authorizer, role):
        return DENIED
    kind, name = entity.object.name, entity.object_name
    by_object = entity.HasField("object")
    if not _NAME.fullmatch(role) or (by_object and not _is_name(name)):
        return INVALID
    if by_object and kind not in catalogue.OF_TYPE:
        return refused(1100, 42)
    of_collection = by_object and kind == "Collection"
    if of_collection and _reports_missing(reference, authorizer, database, name):
        return NO_DATABASE
    names = {name, reference.world.resolve(database, name) if of_collection else name}
    if role not in reference.policy.roles:
        return refused(1100, 42)
    listed = [
        (role, *key, grantor)
        for key, grantor in sorted(reference.policy.roles[role].items())
        if database == ANY or key.database in (ANY, database)
        if not by_object or (key.kind == kind and key.name in names)
    ]
    return Outcome("ok", content=listed)


def _create_group(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    name = step.message.group_name
    if not authorizer.may("CreatePrivilegeGroup"):
        return DENIED
    if refusal := _bad_group_name(name):
        return refusal
    reserved = {"All", *catalogue.SINGLE, *catalogue.BUILT_IN, *catalogue.LEGACY}
    if name in reserved or name in reference.policy.groups:
        return refused(1100, 58)
    reference.policy.groups[name] = set()
    return DONE


def _bad_group_name(name: str) -> Outcome | None:
    if not name or not re.match(r"[A-Za-z_]", name):
        return refused(1402, 1)
    return None if _PLAIN.fullmatch(name) else INVALID


def _drop_group(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    name = step.message.group_name
    if not authorizer.may("DropPrivilegeGroup"):
        return DENIED
    if refusal := _bad_group_name(name):
        return refusal
    if name in reference.policy.groups:
        if any(key.privilege == name for grants in reference.policy.roles.values() for key in grants):
            return refused(1100, 59)
        del reference.policy.groups[name]
    return DONE


def _operate_group(reference: Reference, step: Step, authorizer: Authorizer) -> Outcome:
    message = step.message
    names = {entity.name for entity in message.privileges}
    if not authorizer.may("OperatePrivilegeGroup"):
        return DENIED
    if refusal := _bad_group_name(message.group_name):
        return refusal
    if not all(map(_is_name, names)):
        return INVALID
    group = reference.policy.groups.get(message.group_name)
    known = catalogue.SINGLE | set(catalogue.BUILT_IN) | set(reference.policy.groups)
    if message.type not in (0, 1) or group is None or not names or not names <= known:
        return refused(1100, 61)
    if message.type == 1:
        group -= names
    elif len({catalogue.level(name) for name in group | names} - {""}) > 1:
        return refused(1100, 61)
    else:
        group |= names
    return DONE


def _list_groups(reference: Reference, _step: Step, authorizer: Authorizer) -> Outcome:
    if not authorizer.may("ListPrivilegeGroups"):
        return DENIED
    listed = [*sorted(reference.policy.groups.items()), *catalogue.BUILT_IN.items()]
    return Outcome("ok", content=[(name, frozenset(members)) for name, members in listed])


def _backup(reference: Reference, _step: Step, authorizer: Authorizer) -> Outcome:
    if not authorizer.may("BackupRBAC"):
        return DENIED
    policy = reference.policy
    roles = sorted(set(policy.roles) - {"admin", "public"})
    content: dict[str, Any] = {
        "users": [(name, sorted(user.roles)) for name, user in sorted(reference.users.items()) if name != "root"],
        "roles": roles,
        "grants": [
            (role, *key, grantor)
            for role in roles
            for key, grantor in sorted(policy.roles[role].items())
            if (role, key) not in policy.kept  # [decision 0030]
        ],
        "groups": [(name, frozenset(members)) for name, members in sorted(policy.groups.items())],
    }
    return Outcome("ok", content=content)


RULES: Final[dict[str, Rule]] = {
    "CreateCredential": _create_user,
    "UpdateCredential": _update_user,
    "DeleteCredential": _delete_user,
    "ListCredUsers": _list_users,
    "SelectUser": _select_user,
    "CreateRole": _create_role,
    "DropRole": _drop_role,
    "OperateUserRole": _operate_binding,
    "SelectRole": _select_role,
    "OperatePrivilege": _operate_v1,
    "OperatePrivilegeV2": _operate_v2,
    "SelectGrant": _select_grant,
    "CreatePrivilegeGroup": _create_group,
    "DropPrivilegeGroup": _drop_group,
    "OperatePrivilegeGroup": _operate_group,
    "ListPrivilegeGroups": _list_groups,
    "BackupRBAC": _backup,
}
