"""Users: create, change, delete, list, describe (contract 2.2)."""

from collections.abc import Iterable, Mapping
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import (
    AccessDenied,
    AlreadyExists,
    InvalidArgument,
    LimitReached,
    NotFound,
    OldPasswordWrong,
    PasswordRejected,
    ProtectedObject,
)
from kiteward.domain.identity import ROOT, PasswordCredential, Secret
from kiteward.gateway.administration.administrators import require_another_administrator
from kiteward.gateway.administration.base import Handler, Request, Services, decode_password
from kiteward.milvus import messages
from kiteward.store.base import UserRecord


async def create(services: Services, request: Request) -> bytes:
    """Create a user without roles. The password is hashed before the store is touched."""
    message = messages.CreateCredentialRequest.FromString(request.call.payload)
    services.naming.check_user_name(message.username)
    services.naming.check_user_description(message.description)
    password = decode_password(message.password, "password")
    services.passwords.check(password, user_name=message.username)
    hashed = await services.hasher.hash(password)
    async with request.change() as transaction:
        if await transaction.users.get(message.username) is not None:
            raise AlreadyExists(
                f"user already exists: {message.username}",
                ErrorDetail(ErrorCode.USER_EXISTS, {"name": message.username}),
                field="userName",
            )
        if await transaction.users.count() >= services.limits.users:
            raise LimitReached(
                "failed to check if add credential: quota exceeded"
                "[reason=unable to add user because the number of users has reached the limit]",
                ErrorDetail(ErrorCode.USERS_LIMIT),
            )
        await transaction.users.add(message.username, hashed, description=message.description)
    return messages.success("CreateCredential")


async def update(services: Services, request: Request) -> bytes:
    """Change a password, a description, or both. The username is not held to the naming rule, as in Milvus."""
    message = messages.UpdateCredentialRequest.FromString(request.call.payload)
    if request.principal.one_time and message.username != request.principal.user_name:
        raise AccessDenied("a password that is good once sets another one of the same user, and of nobody else")
    description = message.description if message.HasField("description") else None
    if not message.newPassword:
        await _describe(services, request, message.username, description)
    else:
        old = decode_password(message.oldPassword, "old password")
        new = decode_password(message.newPassword, "password")
        await _change_password(services, request, message.username, old, new, description)
        request.record(password_changed=True, old_password_verified=not _needs_no_old_password(services, request))
    return messages.success("UpdateCredential")


async def _describe(services: Services, request: Request, name: str, description: str | None) -> None:
    if description is None:
        raise InvalidArgument("must update either password or description")
    services.naming.check_user_description(description)
    async with request.change() as transaction:
        if await transaction.users.get(name) is None:
            raise NotFound("failed to check if update credential: user not found")
        await transaction.users.describe(name, description)


async def _change_password(
    services: Services, request: Request, name: str, old: Secret, new: Secret, description: str | None
) -> None:
    services.passwords.check(new, user_name=name, field="newPassword")
    services.naming.check_user_description(description or "")
    credential_id = await _credential_to_replace(services, request, name, old)
    # Hashed outside the transaction, so that it holds up nobody; the credential id proves that what was verified still
    # holds.
    hashed = await services.hasher.hash(new)
    async with request.change() as transaction:
        found = await transaction.users.get(name)
        if found is None or found.credential_id != credential_id:
            raise _old_password_wrong(name, "not the current password")
        if found.one_time and new == old:
            raise InvalidArgument(
                "the new password must be another than the one that is good once",
                ErrorDetail(ErrorCode.PASSWORD_UNCHANGED),
                field="newPassword",
            )
        await transaction.users.set_password(name, hashed)
        if description is not None:
            await transaction.users.describe(name, description)


async def _credential_to_replace(services: Services, request: Request, name: str, old: Secret) -> str:
    """Return the id of the credential that the old password proves; of the current one for who needs no old one."""
    if _needs_no_old_password(services, request):
        current = await services.store.user(name)
        if current is None:
            raise NotFound("failed to check if update credential: user not found")
        return current.credential_id
    try:
        return await request.verify_password(PasswordCredential(name, old))
    except PasswordRejected as error:
        raise _old_password_wrong(name, error.reason) from None


def _needs_no_old_password(services: Services, request: Request) -> bool:
    """Tell whether the caller is a super user, by a credential that may do all that its user may."""
    return request.principal.user_name in services.super_users and not request.principal.limited


def _old_password_wrong(name: str, reason: str) -> OldPasswordWrong:
    return OldPasswordWrong(f"old password not correct for {name}", reason=reason)


async def delete(services: Services, request: Request) -> bytes:
    """Delete a user with its role bindings; deleting an unknown one succeeds (contract Q18)."""
    message = messages.DeleteCredentialRequest.FromString(request.call.payload)
    if not message.username.strip():
        raise NotFound("failed to check if delete credential: username is empty")
    # Names are compared as they are stored, so that no spelling of `root` slips past this (contract Q9).
    if message.username == ROOT:
        raise ProtectedObject(
            "root user cannot be deleted", ErrorDetail(ErrorCode.ROOT_NOT_DELETABLE), field="userName"
        )
    async with request.change() as transaction:
        await require_another_administrator(services, transaction, message.username)
        await transaction.users.remove(message.username)
    return messages.success("DeleteCredential")


async def list_names(services: Services, request: Request) -> bytes:
    """List every user name, sorted."""
    revision = request.snapshot.revision
    remembered = services.response_cache.get(request.call, revision)
    if remembered is not None:
        return remembered
    names = await services.store.user_names()
    answer = messages.ListCredUsersResponse(status=messages.Status(), usernames=names).SerializeToString()
    return services.response_cache.put(request.call, revision, bytes(answer))


async def select(services: Services, request: Request) -> bytes:
    """Describe one user or all; an unknown one gives no result."""
    message = messages.SelectUserRequest.FromString(request.call.payload)
    found: Iterable[UserRecord]
    if message.HasField("user"):
        services.naming.check_user_name(message.user.name)
        record = await services.store.user(message.user.name)
        found = [record] if record else []
    else:
        found = await services.store.users()
    results = [_result(record, include_roles=message.include_role_info) for record in found]
    return bytes(messages.SelectUserResponse(status=messages.Status(), results=results).SerializeToString())


def _result(record: UserRecord, *, include_roles: bool) -> messages.UserResult:
    roles = record.roles if include_roles else ()
    return messages.UserResult(
        user=messages.UserEntity(name=record.name),
        roles=[messages.RoleEntity(name=role) for role in roles],
        description=record.description,
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "CreateCredential": Handler(create),
    "UpdateCredential": Handler(update),
    "DeleteCredential": Handler(delete),
    "ListCredUsers": Handler(list_names, changes=False),
    "SelectUser": Handler(select, changes=False),
}
