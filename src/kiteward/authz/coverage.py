"""What the grants of a role cover: which of them give what another would give, and groups that sum privileges up."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from kiteward.authz.granted_masks import GrantedMasks, granted_masks
from kiteward.authz.model import Grant, GrantKey, PrivilegeGroup
from kiteward.authz.privileges import BUILT_IN_GROUPS, PRIVILEGES, ObjectType
from kiteward.domain.naming import ANY

_CLUSTER: Final = "cluster"
_USERS: Final = "users"

_Part = tuple[str, str] | str
"""Where privileges are held: a pair of database and collection, the cluster, or users."""


class Coverage:
    """The grants of one role, to be asked what they give already."""

    def __init__(self, held: Iterable[GrantKey], groups: Mapping[str, PrivilegeGroup]) -> None:
        """Prepare the answers.

        Args:
            held: the grants of the role.
            groups: the custom privilege groups in force, by name.
        """
        self._groups = groups
        self._held = [(key, self._masks(key)) for key in held]
        self._nearby: dict[tuple[str, str], list[tuple[GrantKey, GrantedMasks]]] = {}

    def of(self, wanted: GrantKey) -> Sequence[GrantKey]:
        """Return the grants besides it that give all that a grant gives.

        Returns:
            One that does so alone, else all that have a share; empty where something is missing, or it gives nothing.
        """
        needed = _parts(self._masks(wanted))
        missing, shares = dict(needed), []
        for key, masks in self._near(wanted):
            if key == wanted:
                continue
            given = {part: mask & _on(part, key, masks, wanted) for part, mask in needed.items()}
            if any(needed.values()) and given == needed:
                return (key,)
            if any(given.values()):
                shares.append(key)
                missing = {part: mask & ~given[part] for part, mask in missing.items()}
        return shares if shares and not any(missing.values()) else ()

    def _near(self, wanted: GrantKey) -> list[tuple[GrantKey, GrantedMasks]]:
        """Return the grants that may give something where another one does."""
        scope = (wanted.db_name, wanted.object_name)
        if scope not in self._nearby:
            self._nearby[scope] = [
                (key, masks)
                for key, masks in self._held
                if masks.cluster or masks.users or any(_reaches(row, scope) for row, _ in masks.rows)
            ]
        return self._nearby[scope]

    def _masks(self, key: GrantKey) -> GrantedMasks:
        return granted_masks(Grant("", key, ""), self._groups)


def _parts(masks: GrantedMasks) -> dict[_Part, int]:
    return {**dict(masks.rows), _CLUSTER: masks.cluster, _USERS: masks.users}


def _on(part: _Part, key: GrantKey, masks: GrantedMasks, wanted: GrantKey) -> int:
    """Return the mask of what a grant gives where another would give something."""
    if part == _CLUSTER:
        return masks.cluster
    if part == _USERS:
        everybody = key.object_type is not ObjectType.USER or key.object_name == ANY
        return masks.users if everybody or key.object_name == wanted.object_name else 0
    mask = 0
    for row, given in masks.rows:
        if _reaches(row, (part[0], part[1])):
            mask |= given
    return mask


def _reaches(row: tuple[str, str], scope: tuple[str, str]) -> bool:
    """Return whether what is held on one pair of database and collection is held on another."""
    return row[0] in (ANY, scope[0]) and row[1] in (ANY, scope[1])


def summed_up(privileges: Sequence[str], groups: Iterable[PrivilegeGroup]) -> list[str]:
    """Return privileges in few names: a group in the place of its members where all of them are held.

    Args:
        privileges: the names of the privileges.
        groups: the custom privilege groups in force; the built-in ones are preferred to them.
    """
    known = [*BUILT_IN_GROUPS.items(), *((group.name, group.privileges) for group in groups)]
    left, found = set(privileges), []
    for name, members in sorted(known, key=lambda group: -len(group[1])):
        single = {member for member in members if member in PRIVILEGES}
        if len(single) > 1 and single <= left:
            found.append(name)
            left -= single
    return [*found, *(name for name in privileges if name in left)]
