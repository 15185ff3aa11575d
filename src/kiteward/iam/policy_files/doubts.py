"""What a file says that has no effect: it is applied, and returned beside the changes."""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import UnsetType

from kiteward.authz.granted_masks import allows_nothing
from kiteward.authz.model import BUILT_IN_ROLES, GrantKey
from kiteward.domain.identity import ROOT
from kiteward.iam.grants import PrivilegeScope
from kiteward.iam.missing_collections import existing, names_collection
from kiteward.iam.policy_files.checking import text_of
from kiteward.iam.policy_files.document import PolicyDocument, given
from kiteward.iam.services import Services


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something in a file that has no effect.

    Attributes:
        path: the place in the file, such as `roles.reader.grants[2]`.
        message: what has no effect, and why.
    """

    path: str
    message: str


async def doubts_of(services: Services, document: PolicyDocument) -> list[Doubt]:
    """Return what a file says that has no effect: grants that allow nothing, and roles with grants that nobody holds.

    What the engine does not tell is not doubted, nor are roles that tokens of an identity provider may give.
    """
    named = list(_grants(document))
    there = await existing(
        services.catalog, {(key.db_name, key.object_name) for _, key in named if names_collection(key)}
    )
    found = []
    for path, key in named:
        where = f"{key.db_name}.{key.object_name}"
        if allows_nothing(key):
            told = f"{key.privilege} on {where} allows nothing: it applies to the whole instance, so grant it on *.*"
            found.append(Doubt(path, told))
        elif names_collection(key) and there[key.db_name, key.object_name] is False:
            found.append(Doubt(path, f"{key.privilege} allows nothing yet: the collection {where} does not exist"))
    if not services.issuers:
        holding = await _held(services, document)
        for name, role in sorted(given(document.roles, {}).items()):
            if given(role.grants, []) and name not in holding:
                found.append(Doubt(text_of(("roles", name)), f"nobody holds the role {name}: its grants allow nothing"))
    return found


def _grants(document: PolicyDocument) -> Iterator[tuple[str, GrantKey]]:
    for name, role in sorted(given(document.roles, {}).items()):
        for position, each in enumerate(given(role.grants, [])):
            kind = None if isinstance(each.object_type, UnsetType) else each.object_type
            key = PrivilegeScope(each.privilege, each.database, each.collection, kind).key
            yield text_of(("roles", name, "grants", position)), key


async def _held(services: Services, document: PolicyDocument) -> set[str]:
    """Return the roles that somebody holds, or that a group may give, once the file has been applied."""
    users = given(document.users, {})
    held = {*BUILT_IN_ROLES}
    for record in await services.store.users():
        wanted = users.get(record.name)
        if wanted is None and record.name != ROOT and not isinstance(document.users, UnsetType):
            continue  # the user is deleted, as all but root are that a file does not name
        held.update(record.group_roles)
        if wanted is None or isinstance(wanted.roles, UnsetType):
            held.update(record.roles)
    for user in users.values():
        held.update(given(user.roles, []))
    if isinstance(document.group_roles, UnsetType):
        held.update(each.role for each in await services.store.group_roles(None))
    else:
        held.update(each.role for each in document.group_roles)
    return held
