"""What one grant allows, as masks of privileges."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup
from kiteward.authz.privileges import (
    ALL,
    BUILT_IN_GROUPS,
    CLUSTER_BY_NAME,
    CLUSTER_LEVEL,
    COLLECTION_LEVEL,
    COLLECTION_TYPED,
    DATABASE_READS,
    GLOBAL_TYPED,
    LEGACY_GROUPS,
    PRIVILEGES,
    USER_TYPED,
    ObjectType,
    mask_of,
)
from kiteward.domain.naming import ANY, DEFAULT_DATABASE

_BUILT_IN_MASKS: Final[Mapping[str, int]] = {name: mask_of(members) for name, members in BUILT_IN_GROUPS.items()}
_LEGACY_MASKS: Final[Mapping[str, int]] = {name: mask_of(members) for name, members in LEGACY_GROUPS.items()}


@dataclass(frozen=True, slots=True)
class GrantedMasks:
    """What one grant adds to its role.

    Attributes:
        rows: pairs of (database, collection), either of which may be `*`, and the mask of privileges there.
        cluster: mask of cluster-level privileges of type Global.
        users: mask of privileges of type User, on the user that the grant names or on all.
    """

    rows: tuple[tuple[tuple[str, str], int], ...] = ()
    cluster: int = 0
    users: int = 0


def granted_masks(grant: Grant, groups: Mapping[str, PrivilegeGroup]) -> GrantedMasks:
    """Return what a grant allows.

    Contract 4.6, 4.7 and 4.8; decision 0003 on cluster-level privileges and decision 0007 on named collections.

    Args:
        grant: a grant as it is stored.
        groups: the custom privilege groups in force, by name.
    """
    key = grant.key
    everywhere = key.db_name == ANY
    row = (key.db_name, key.object_name)
    if key.privilege in _LEGACY_MASKS:
        return _legacy_group(key.privilege, row)
    if key.privilege == ALL:
        # Milvus compares by equality: `All` on `*` grants every cluster-level privilege and nothing inside databases
        # (contract 4.7).
        if everywhere:
            return _without_database(CLUSTER_LEVEL, row)
        return GrantedMasks(rows=((row, (GLOBAL_TYPED | COLLECTION_TYPED) & ~CLUSTER_LEVEL),))
    single = PRIVILEGES.get(key.privilege)
    mask = single.bit if single else _mask(grant, groups)
    unnamed = key.object_name == ANY
    cluster_counts = everywhere or (single is not None and key.db_name == DEFAULT_DATABASE)
    if key.object_type is ObjectType.USER:
        counts = everywhere or key.db_name == DEFAULT_DATABASE
        return GrantedMasks(users=mask & USER_TYPED if counts else 0)
    below = mask & ~(CLUSTER_LEVEL | CLUSTER_BY_NAME)
    return GrantedMasks(
        rows=((row, below),) if below else (),
        cluster=mask & (CLUSTER_LEVEL & GLOBAL_TYPED | CLUSTER_BY_NAME) if cluster_counts and unnamed else 0,
        users=mask & USER_TYPED if everywhere and unnamed else 0,
    )


def allows_nothing(key: GrantKey) -> bool:
    """Return whether a grant of a single privilege, of `All` or of a legacy group allows nothing where it is.

    Milvus accepts such grants: of a cluster-level privilege on one collection, for example.
    """
    if key.privilege not in PRIVILEGES and key.privilege not in _LEGACY_MASKS and key.privilege != ALL:
        return False
    masks = granted_masks(Grant("", key, ""), {})
    return not (masks.cluster or masks.users or any(mask for _, mask in masks.rows))


def _mask(grant: Grant, groups: Mapping[str, PrivilegeGroup]) -> int:
    name = grant.key.privilege
    if name == ANY and grant.key.object_type is ObjectType.GLOBAL and grant.key.object_name != ANY:
        # Only V2 gives such a grant. On a named collection it grants all privileges of that level (decision 0007).
        return COLLECTION_LEVEL
    if name == ANY:
        return {ObjectType.COLLECTION: COLLECTION_TYPED, ObjectType.GLOBAL: GLOBAL_TYPED, ObjectType.USER: USER_TYPED}[
            grant.key.object_type
        ]
    if name in _BUILT_IN_MASKS:
        return _BUILT_IN_MASKS[name]
    group = groups.get(name)
    return mask_of(group.privileges) if group else 0


def _legacy_group(name: str, row: tuple[str, str]) -> GrantedMasks:
    """Return what a legacy group grants. It compares the database by equality.

    On `*` it grants only what is checked without a database (contract 4.5).
    """
    mask = _LEGACY_MASKS[name]
    if row[0] == ANY:
        return _without_database(mask, row)
    below = mask & ~CLUSTER_LEVEL
    return GrantedMasks(rows=((row, below), ((row[0], ANY), mask & DATABASE_READS)))


def _without_database(mask: int, row: tuple[str, str]) -> GrantedMasks:
    """Return what a grant on database `*` allows that compares the database by equality: cluster-level privileges.

    On a named collection it allows nothing, because such a grant applies to the collection alone.
    """
    if row[1] != ANY:
        return GrantedMasks()
    return GrantedMasks(cluster=mask & CLUSTER_LEVEL & GLOBAL_TYPED, users=mask & USER_TYPED)
