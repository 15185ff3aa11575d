"""Milvus's RPCs about users (contract 2.2)."""

import contextlib
from typing import Final

from kiteward.domain.errors import LimitReached, NotFound, UserNotFound
from kiteward.iam import users
from kiteward.iam.milvus_rpc.base import Request, cached, decode_password
from kiteward.iam.passwords import PasswordChange
from kiteward.iam.services import Services
from kiteward.iam.wording import reworded
from kiteward.milvus import messages
from kiteward.store.records import UserRecord

_TOO_MANY: Final = (
    "failed to check if add credential: quota exceeded"
    "[reason=unable to add user because the number of users has reached the limit]"
)


async def create(services: Services, request: Request) -> bytes:
    """Create a user without roles."""
    message = request.read(messages.CreateCredentialRequest)
    services.naming.check_user_name(message.username)
    services.naming.check_user_description(message.description)
    password = decode_password(message.password, "password")
    with reworded(LimitReached, _TOO_MANY):
        await users.create_user(
            services, request, name=message.username, password=password, description=message.description
        )
    return messages.success("CreateCredential")


async def update(services: Services, request: Request) -> bytes:
    """Change a password, a description, or both."""
    message = request.read(messages.UpdateCredentialRequest)
    users.require_same_user_if_one_time(request, message.username)
    password = None
    if message.newPassword:
        old = decode_password(message.oldPassword, "old password")
        password = PasswordChange(old, decode_password(message.newPassword, "password"))
    with reworded(UserNotFound, "failed to check if update credential: user not found"):
        await users.update_user(
            services,
            request,
            request.verify_password,
            name=message.username,
            password=password,
            description=message.description if message.HasField("description") else None,
        )
    return messages.success("UpdateCredential")


async def delete(services: Services, request: Request) -> bytes:
    """Delete a user with its role bindings. Deleting a user that does not exist succeeds (contract Q18)."""
    message = request.read(messages.DeleteCredentialRequest)
    if not message.username.strip():
        raise NotFound("failed to check if delete credential: username is empty")
    with contextlib.suppress(UserNotFound):
        await users.delete_user(services, request, message.username)
    return messages.success("DeleteCredential")


async def list_names(services: Services, request: Request) -> bytes:
    """List every user name, sorted."""

    async def answer() -> bytes:
        names = await services.store.user_names()
        return bytes(messages.ListCredUsersResponse(status=messages.Status(), usernames=names).SerializeToString())

    return await cached(services, request, answer)


async def select(services: Services, request: Request) -> bytes:
    """Describe one user or all; a user that does not exist gives no result."""
    message = request.read(messages.SelectUserRequest)
    found = await users.find_users(services, message.user.name if message.HasField("user") else None)
    results = [_result(record, include_roles=message.include_role_info) for record in found]
    return bytes(messages.SelectUserResponse(status=messages.Status(), results=results).SerializeToString())


def _result(record: UserRecord, *, include_roles: bool) -> messages.UserResult:
    roles = record.roles if include_roles else ()
    return messages.UserResult(
        user=messages.UserEntity(name=record.name),
        roles=[messages.RoleEntity(name=role) for role in roles],
        description=record.description,
    )
