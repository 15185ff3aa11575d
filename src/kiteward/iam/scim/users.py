"""Users that SCIM manages: made, changed, renamed, deactivated and deleted by its clients."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import ProtectedObject
from kiteward.domain.identity import ROOT
from kiteward.iam.administrators import require_another_administrator
from kiteward.iam.caller import Caller
from kiteward.iam.lookup import require_user
from kiteward.iam.recorded_states import user_before
from kiteward.iam.scim import faults
from kiteward.iam.scim.documents import kept_of_user, user_document, version_of
from kiteward.iam.scim.filters import Filter
from kiteward.iam.scim.listing import Page, Query, listed
from kiteward.iam.scim.patching import Operation, patched
from kiteward.iam.scim.resources import accepted
from kiteward.iam.scim.schemas import USER
from kiteward.iam.services import Services
from kiteward.iam.users import NewUser, add_user
from kiteward.store.records import NO_PASSWORD
from kiteward.store.scim import ScimReads
from kiteward.store.scim_records import ScimSelection, ScimUserRecord
from kiteward.store.transaction import Transaction

ID: Final = re.compile(r"[0-9a-f-]{36}")
"""An id of a resource; anything else is the id of none."""

_APART: Final = frozenset({"userName", "externalId", "active"})
"""Attributes with columns of their own."""


@dataclass(frozen=True, slots=True)
class _UserDocuments:
    """The users, for `listed`."""

    reads: ScimReads

    async def count(self) -> int:
        return await self.reads.user_count()

    async def read(self, selection: ScimSelection, _found: Filter | None) -> Sequence[dict[str, Any]]:
        return [user_document(record) for record in await self.reads.users(selection)]


async def list_users(services: Services, query: Query) -> Page:
    """List the users that SCIM manages.

    Raises:
        InvalidArgument: the filter cannot be read.
        OperationRefused: SCIM is not enabled.
    """
    services.scim.require_enabled()
    return await listed(USER, _UserDocuments(services.store.scim), query)


async def get_user(services: Services, scim_id: str) -> dict[str, Any]:
    """Return a user.

    Raises:
        NotFound: SCIM manages no user of this id.
        OperationRefused: SCIM is not enabled.
    """
    services.scim.require_enabled()
    return user_document(await _found(services.store.scim, scim_id))


async def create_user(services: Services, caller: Caller, resource: Mapping[str, Any]) -> dict[str, Any]:
    """Make a user without a password, and return it.

    Raises:
        InvalidArgument: the resource is wrong, or its `userName` makes no legal user name.
        AlreadyExists: there is a user with this `userName`, or with the name that it makes.
        LimitReached: the limit of users would be exceeded.
        OperationRefused: SCIM is not enabled.
    """
    services.scim.require_enabled()
    kept = accepted(USER, resource)
    name = name_of(services, kept["userName"])
    scim_id = str(uuid.uuid4())
    active = kept.get("active", True)
    record = _record(ScimUserRecord(scim_id, name, "", None, active, {}, deactivated=not active), kept)
    async with caller.change() as transaction:
        await require_free(transaction, record)
        await add_user(services, transaction, NewUser(name, NO_PASSWORD, enabled=record.active))
        if services.scim.issuer:
            await transaction.identities.add(name, services.scim.issuer, None)
        await transaction.scim.add_user(record)
        made = user_document(await _found(transaction.scim, scim_id))
    caller.record(scimId=scim_id, userName=name)
    return made


async def replace_user(
    services: Services, caller: Caller, scim_id: str, resource: Mapping[str, Any], *, versions: Sequence[str] = ()
) -> dict[str, Any]:
    """Replace what clients can set of a user, and return it. Without `active` it stays as it is.

    Args:
        services: what services work with.
        caller: who changes it.
        scim_id: its id.
        resource: what replaces it.
        versions: it is changed only if its version is one of these; empty for any.

    Raises:
        NotFound: SCIM manages no user of this id.
        ProtectedObject: it is the last administrator, and would be disabled; or as `require_manageable`.
        InvalidArgument, AlreadyExists, OperationRefused: as of `create_user`; InvalidArgument also for another version.
    """
    kept = accepted(USER, resource)

    def change(held: Mapping[str, Any]) -> dict[str, Any]:
        return {"active": held["active"], **kept}

    return await _change(services, caller, scim_id, change, versions)


async def patch_user(
    services: Services, caller: Caller, scim_id: str, operations: Sequence[Operation], *, versions: Sequence[str] = ()
) -> dict[str, Any]:
    """Apply operations to a user, and return it. Arguments and errors as of `replace_user`."""
    return await _change(services, caller, scim_id, lambda held: patched(USER, held, operations), versions)


async def delete_user(services: Services, caller: Caller, scim_id: str, *, versions: Sequence[str] = ()) -> None:
    """Delete a user with its role bindings and API keys.

    Raises:
        NotFound, ProtectedObject, OperationRefused: as of `replace_user`.
        InvalidArgument: it has another version.
    """
    services.scim.require_enabled()
    async with caller.change() as transaction:
        record = await _found(transaction.scim, scim_id)
        require_manageable(services, record.user_name)
        require_version(user_document(record), versions)
        await require_another_administrator(services, transaction, record.user_name)
        user = await require_user(transaction, record.user_name)
        before = user_before(user, await transaction.users.remove(record.user_name))
        caller.record(userName=record.user_name, before=before)


def name_of(services: Services, login: str) -> str:
    """Return the name in Kiteward of a user with a `userName`.

    Raises:
        InvalidArgument: it is no legal name.
    """
    return services.scim.name_of(login, services.naming, reserved=services.super_users)


def require_manageable(services: Services, user_name: str) -> None:
    """Require that SCIM may manage a user, also one that it manages already.

    Raises:
        ProtectedObject: it is `root`, or one of `common.security.superUsers`.
    """
    if user_name == ROOT or user_name in services.super_users:
        raise ProtectedObject(
            f"{user_name} is never managed by SCIM", ErrorDetail(ErrorCode.SCIM_USER_PROTECTED), field="userName"
        )


def require_version(document: Mapping[str, Any], versions: Sequence[str]) -> None:
    """Require that a resource has one of some versions, if there are any.

    Raises:
        InvalidArgument: it has another one.
    """
    if versions and "*" not in versions and version_of(document) not in versions:
        raise faults.version_differs()


async def require_free(transaction: Transaction, record: ScimUserRecord) -> None:
    """Require that a `userName`, and the name that it makes, belong to nobody else.

    Raises:
        AlreadyExists: one does. A user that SCIM does not manage is never taken over.
    """
    same = await transaction.scim.user_with_login(record.login)
    if same is not None and same.scim_id != record.scim_id:
        raise faults.name_taken(f"there is a user with the userName {record.login} already")
    if await transaction.users.get(record.user_name) is not None:
        managed = await transaction.scim.user_named(record.user_name)
        if managed is None:
            raise faults.name_taken(
                f"there is a user {record.user_name} already, which SCIM does not manage: an administrator can hand it "
                "over with `kiteward scim hand-over`"
            )
        if managed.scim_id != record.scim_id:
            raise faults.name_taken(f"the userName {managed.login} makes the same name, {record.user_name}")


async def _change(
    services: Services,
    caller: Caller,
    scim_id: str,
    change: Callable[[Mapping[str, Any]], dict[str, Any]],
    versions: Sequence[str],
) -> dict[str, Any]:
    services.scim.require_enabled()
    async with caller.change() as transaction:
        before = await _found(transaction.scim, scim_id)
        require_manageable(services, before.user_name)
        require_version(user_document(before), versions)
        after = _record(before, change(kept_of_user(before)))
        if after.login != before.login:
            after = await _renamed(services, transaction, before, after)
        after = await _set_active(services, transaction, before, after)
        if after != before:
            await transaction.scim.put_user(after)
        changed = user_document(await _found(transaction.scim, scim_id))
    caller.record(userName=after.user_name, **({"renamed": before.user_name} if _is_renamed(before, after) else {}))
    return changed


async def _renamed(
    services: Services, transaction: Transaction, before: ScimUserRecord, after: ScimUserRecord
) -> ScimUserRecord:
    """Rename a user in Kiteward, if its new `userName` makes another name; who was handed over keeps the name."""
    renamed = after
    if before.user_name == services.scim.name_made_of(before.login):
        renamed = replace(after, user_name=name_of(services, after.login))
    await require_free(transaction, renamed)
    if _is_renamed(before, renamed):
        await transaction.renaming.rename(before.user_name, renamed.user_name)
    return renamed


async def _set_active(
    services: Services, transaction: Transaction, before: ScimUserRecord, after: ScimUserRecord
) -> ScimUserRecord:
    """Disable a user that is not to be active, enable one that SCIM has disabled, and return what is to be stored.

    A user whom an administrator has disabled stays so, whatever clients say of it before and afterwards.
    """
    if not after.active and before.enabled:
        await require_another_administrator(services, transaction, after.user_name)
        await transaction.users.enable(after.user_name, False)
        return replace(after, deactivated=True)
    if after.active and before.deactivated:
        await transaction.users.enable(after.user_name, True)
        return replace(after, deactivated=False)
    return after


def _record(before: ScimUserRecord, kept: Mapping[str, Any]) -> ScimUserRecord:
    return replace(
        before,
        login=kept["userName"],
        external_id=kept.get("externalId"),
        active=kept.get("active", True),
        attributes={name: value for name, value in kept.items() if name not in _APART},
    )


def _is_renamed(before: ScimUserRecord, after: ScimUserRecord) -> bool:
    return after.user_name != before.user_name


async def _found(reads: ScimReads, scim_id: str) -> ScimUserRecord:
    record = await reads.user(scim_id) if ID.fullmatch(scim_id) else None
    if record is None:
        raise faults.not_found("user", scim_id[:64])
    return record
