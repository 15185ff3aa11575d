"""Changes of many users, members of a role or API keys at once: all of them or none (decision 0079).

`root` and the caller's own user are left to the operations about one user, so that nobody selects them by accident.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kiteward.authz.model import ADMIN_ROLE
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, LimitReached, ProtectedObject, RequestRefused
from kiteward.domain.identity import ROOT
from kiteward.iam.administrators import require_another_administrator
from kiteward.iam.api_keys import managed_key, require_within
from kiteward.iam.caller import Caller
from kiteward.iam.lookup import require_role, require_user
from kiteward.iam.recorded_states import key_before, user_before
from kiteward.iam.roles import check_binding_names
from kiteward.iam.services import Services
from kiteward.store.records import KeyRecord
from kiteward.store.transaction import Transaction

MOST_AT_ONCE: Final = 1_000
"""Most users or keys that are changed in one step."""

_OF_ALL: Final = "roleName"
"""The argument that concerns the whole change, and not one of what is changed."""


class UserChange(StrEnum):
    """What is done to users."""

    DISABLE = "disable"
    ENABLE = "enable"
    DELETE = "delete"


class KeyChange(StrEnum):
    """What is done to API keys."""

    DISABLE = "disable"
    ENABLE = "enable"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class RowChange:
    """What a change does to one of many.

    Attributes:
        name: the user or API key.
        changed: whether it is changed; not where it is so already.
        refusal: why the change of this one is refused, or None.
    """

    name: str
    changed: bool
    refusal: RequestRefused | AccessDenied | None = None


async def change_users(
    services: Services, caller: Caller, names: Sequence[str], change: UserChange, *, dry_run: bool
) -> Sequence[RowChange]:
    """Disable, enable or delete users, all of them or none.

    Args:
        services: what services work with.
        caller: an administrator.
        names: the users; each counts once.
        change: what to do.
        dry_run: only examine what would happen; what is refused is then in the result.

    Returns:
        What happens to each, in the order given.

    Raises:
        LimitReached: more than `MOST_AT_ONCE`.
        UserNotFound: there is no such user.
        ProtectedObject: one is `root`, the caller or the last administrator.
    """
    gone: list[Mapping[str, Any]] = []

    async def examine(transaction: Transaction, name: str) -> bool:
        record = await require_user(transaction, name)
        if change is UserChange.ENABLE:
            return not record.enabled
        _require_other(caller, name)
        await require_another_administrator(services, transaction, name)
        return change is UserChange.DELETE or record.enabled

    async def apply(transaction: Transaction, name: str) -> None:
        if change is not UserChange.ENABLE:
            await require_another_administrator(services, transaction, name)
        if change is UserChange.DELETE:
            gone.append(await _removed_user(transaction, name))
            caller.record(before=gone)
        else:
            await transaction.users.enable(name, change is UserChange.ENABLE)

    return await _changed(caller, names, examine, apply, dry_run=dry_run)


async def change_members(
    services: Services, caller: Caller, role: str, *, add: Sequence[str], remove: Sequence[str], dry_run: bool
) -> Sequence[RowChange]:
    """Bind a role to users and unbind it from others, all of it or nothing.

    Args:
        services: what services work with.
        caller: an administrator.
        role: the role.
        add: users to bind it to.
        remove: users to unbind it from; a user named in both gets it.
        dry_run: as of `change_users`.

    Returns:
        What happens to each, those to bind it to first.

    Raises:
        LimitReached: more than `MOST_AT_ONCE`.
        InvalidArgument: a name breaks its rule.
        RoleNotFound, UserNotFound: there is no such role or user; of the role, with `dry_run` too.
        ProtectedObject: the role `admin` would be unbound from `root`, the caller or the last administrator.
    """
    added = frozenset(add)

    async def examine(transaction: Transaction, name: str) -> bool:
        check_binding_names(services, name, role)
        await require_role(transaction, role)
        held = role in (await require_user(transaction, name)).roles
        if held and name not in added and role == ADMIN_ROLE:
            _require_other(caller, name)
            await require_another_administrator(services, transaction, name)
        return held is not (name in added)

    async def apply(transaction: Transaction, name: str) -> None:
        if name not in added and role == ADMIN_ROLE:
            await require_another_administrator(services, transaction, name)
        change = transaction.roles.bind if name in added else transaction.roles.unbind
        await change(name, role)

    return await _changed(caller, [*add, *remove], examine, apply, dry_run=dry_run)


async def change_keys(
    caller: Caller, key_ids: Sequence[str], change: KeyChange, *, dry_run: bool
) -> Sequence[RowChange]:
    """Disable, enable or revoke API keys with their descendants, all of them or none.

    Args:
        caller: who changes them; each key has to be one that the caller manages.
        key_ids: the keys; each counts once.
        change: what to do.
        dry_run: as of `change_users`.

    Returns:
        What happens to each, in the order given.

    Raises:
        LimitReached: more than `MOST_AT_ONCE`.
        NotFound: there is no such key that the caller manages.
        AccessDenied: as of `enable_key`.
    """
    owners: set[str] = set()
    gone: list[Mapping[str, Any]] = []

    async def examine(transaction: Transaction, key_id: str) -> bool:
        lineage = await transaction.keys.lineage(key_id)
        record: KeyRecord = managed_key(caller, key_id, lineage)
        owners.add(record.owner)
        if change is KeyChange.ENABLE:
            require_within(caller, lineage)
        return change is KeyChange.REVOKE or record.enabled is not (change is KeyChange.ENABLE)

    async def apply(transaction: Transaction, key_id: str) -> None:
        if change is KeyChange.REVOKE:
            gone.extend(await _removed_key(transaction, key_id))
            caller.record(before=gone)
        else:
            await transaction.keys.enable(key_id, change is KeyChange.ENABLE)

    changes = await _changed(caller, key_ids, examine, apply, dry_run=dry_run)
    caller.record(userNames=sorted(owners))
    return changes


async def _removed_user(transaction: Transaction, name: str) -> Mapping[str, Any]:
    """Delete a user, and return what is recorded of it."""
    user = await require_user(transaction, name)
    ended = await transaction.users.remove(name)
    return {"userName": name, **user_before(user, ended, among_many=True)}


async def _removed_key(transaction: Transaction, key_id: str) -> Sequence[Mapping[str, Any]]:
    """Revoke a key, and return what is recorded of it; nothing if it is gone with one from which it descended."""
    lineage = await transaction.keys.lineage(key_id)
    if not lineage:
        return []
    ended = await transaction.keys.remove(key_id)
    return [{"keyId": key_id, **key_before(lineage[0], ended, among_many=True)}]


def require_not_too_many(number: int) -> None:
    """Require that no more than `MOST_AT_ONCE` are changed in one step.

    Raises:
        LimitReached: there are more.
    """
    if number > MOST_AT_ONCE:
        raise LimitReached(
            f"at most {MOST_AT_ONCE} can be changed in one step",
            ErrorDetail(ErrorCode.NAMES_LIMIT, {"limit": MOST_AT_ONCE}),
        )


async def _changed(
    caller: Caller,
    names: Sequence[str],
    examine: Callable[[Transaction, str], Awaitable[bool]],
    apply: Callable[[Transaction, str], Awaitable[None]],
    *,
    dry_run: bool,
) -> Sequence[RowChange]:
    """Examine all, then apply what changes something: nothing is changed where one is refused."""
    wanted = list(dict.fromkeys(names))
    require_not_too_many(len(wanted))
    async with caller.change() as transaction:
        changes = [await _examined(transaction, name, examine, dry_run=dry_run) for name in wanted]
        if not dry_run:
            for each in changes:
                if each.changed:
                    await apply(transaction, each.name)
    return changes


async def _examined(
    transaction: Transaction, name: str, examine: Callable[[Transaction, str], Awaitable[bool]], *, dry_run: bool
) -> RowChange:
    try:
        return RowChange(name, await examine(transaction, name))
    except (RequestRefused, AccessDenied) as refusal:
        if not dry_run or refusal.field == _OF_ALL:
            raise
        return RowChange(name, changed=False, refusal=refusal)


def _require_other(caller: Caller, name: str) -> None:
    if name in (ROOT, caller.principal.user_name):
        raise ProtectedObject(
            f"{name} is changed alone, not among others: it is root, or your own user",
            ErrorDetail(ErrorCode.CHANGED_ALONE, {"name": name}),
            field="userNames",
        )
