"""Which privileges and privilege groups can be granted where (contract 2.4, 4.4)."""

from collections.abc import Container

from kiteward.authz.privileges import (
    ALL,
    BUILT_IN_GROUPS,
    LEGACY_GROUP_TYPES,
    LEGACY_GROUPS,
    PRIVILEGES,
    Level,
    ObjectType,
    group_level,
)
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidGrant
from kiteward.domain.naming import ANY
from kiteward.store.transaction import Transaction


async def check_typed_privilege(transaction: Transaction, name: str, kind: ObjectType) -> None:
    """Check that a privilege can be granted on an object of a named type.

    Raises:
        InvalidGrant: there is no such privilege for this type, or it is a group.
    """
    if name == ANY or (name == ALL and kind is ObjectType.GLOBAL) or LEGACY_GROUP_TYPES.get(name) is kind:
        return
    if name in BUILT_IN_GROUPS:
        raise InvalidGrant(
            f"can not operate the built-in privilege group [{name}]",
            ErrorDetail(ErrorCode.GRANT_OF_BUILT_IN_GROUP, {"name": name}),
        )
    privilege = PRIVILEGES.get(name)
    if privilege is not None and privilege.by_v1 and privilege.object_type is kind:
        return
    if await transaction.groups.get(name) is not None:
        raise InvalidGrant(
            f"can not operate the custom privilege group [{name}]",
            ErrorDetail(ErrorCode.GRANT_OF_CUSTOM_GROUP, {"name": name}),
        )
    if not _is_built_in(name):
        raise unknown_privilege(name, field="privilege")
    raise InvalidGrant(
        f"not found the privilege name[{name}] in object[{kind}]",
        ErrorDetail(ErrorCode.OBJECT_TYPE_MISMATCH, {"name": name, "type": kind}),
    )


async def check_scoped_privilege(transaction: Transaction, name: str, database: str, collection: str) -> None:
    """Check that a privilege exists, and that a group fits the scope by its level. Single privileges fit any scope.

    Raises:
        InvalidGrant: there is no such privilege or group, or the group does not fit.
    """
    if name in (ANY, ALL) or name in PRIVILEGES or name in LEGACY_GROUP_TYPES:
        return
    level: Level | None
    if name in BUILT_IN_GROUPS:
        level = group_level(BUILT_IN_GROUPS[name])
    else:
        group = await transaction.groups.get(name)
        if group is None:
            raise unknown_privilege(name, field="privilege")
        level = group_level(group.privileges)
    if level is Level.CLUSTER and (database, collection) != (ANY, ANY):
        raise InvalidGrant(
            f"dbName and collectionName should be * for the cluster level privilege: {name}",
            ErrorDetail(ErrorCode.GRANT_CLUSTER_LEVEL, {"name": name}),
            field="privilege",
        )
    if level is Level.DATABASE and collection != ANY:
        raise InvalidGrant(
            f"collectionName should be * for the database level privilege: {name}",
            ErrorDetail(ErrorCode.GRANT_DATABASE_LEVEL, {"name": name}),
            field="privilege",
        )
    if level is Level.COLLECTION and database == ANY and collection != ANY:
        raise InvalidGrant(
            f"please specify database name for the collection level privilege: {name}",
            ErrorDetail(ErrorCode.GRANT_COLLECTION_LEVEL, {"name": name}),
            field="privilege",
        )


async def is_grantable(transaction: Transaction, name: str) -> bool:
    """Return whether there is a privilege or privilege group with a name, for any object."""
    return _is_built_in(name) or await transaction.groups.get(name) is not None


def require_grantable(name: str, groups: Container[str]) -> None:
    """Require that there is a privilege or privilege group with a name, for any object.

    Args:
        name: the privilege or group.
        groups: the names of the custom privilege groups.

    Raises:
        InvalidGrant: there is none.
    """
    if not (_is_built_in(name) or name in groups):
        raise unknown_privilege(name, field="privilege")


def _is_built_in(name: str) -> bool:
    return name in (ANY, ALL) or name in PRIVILEGES or name in BUILT_IN_GROUPS or name in LEGACY_GROUPS


def unknown_privilege(name: str, *, field: str) -> InvalidGrant:
    """Return the error about a name that is no privilege and no privilege group, with what may be meant.

    Custom groups are not offered: who may name one in a grant need not be allowed to list them.

    Args:
        name: the name.
        field: the argument that holds it.
    """
    from kiteward.domain.suggestions import no_such  # noqa: PLC0415  only where something is wrong

    known = (*PRIVILEGES, *BUILT_IN_GROUPS)
    message, details = no_such("privilege or privilege group", name, known, ErrorCode.PRIVILEGE_UNKNOWN)
    return InvalidGrant(message, *details, field=field)
