"""Users (contract 5.2)."""

import base64
from typing import Final

import msgspec

from kiteward.api.rest.endpoints import NOTHING, Answer, Body, Described, Endpoint, Name, Nothing, RequestContext
from kiteward.domain.identity import Secret
from kiteward.milvus import messages

_ADD: Final = messages.OperateUserRoleType.AddUserToRole
_REMOVE: Final = messages.OperateUserRoleType.RemoveUserFromRole


class UserReq(Body):
    """The name of a user."""

    user_name: Name


class PasswordReq(Body):
    """A user to create."""

    user_name: Name
    password: Secret
    description: str = ""


class NewPasswordReq(Body):
    """A new password, a new description, or both."""

    user_name: Name
    password: Secret = msgspec.field(default_factory=lambda: Secret(""))
    new_password: Secret = msgspec.field(default_factory=lambda: Secret(""))
    description: str | None = None


class UserRoleReq(Body):
    """A user and a role."""

    user_name: Name
    role_name: Name


async def list_names(context: RequestContext, _body: Body) -> list[str]:
    """Answer `users/list`."""
    response = await context.call(messages.ListCredUsersRequest(), messages.ListCredUsersResponse)
    return list(response.usernames)


async def describe(context: RequestContext, body: UserReq) -> Answer:
    """Answer `users/describe`: the roles of the user, none for an unknown user."""
    request = messages.SelectUserRequest(user=messages.UserEntity(name=body.user_name), include_role_info=True)
    response = await context.call(request, messages.SelectUserResponse)
    roles = [role.name for result in response.results for role in result.roles]
    return Answer(roles, Described(description="".join(result.description for result in response.results)))


async def create(context: RequestContext, body: PasswordReq) -> Nothing:
    """Answer `users/create`."""
    request = messages.CreateCredentialRequest(
        username=body.user_name, password=_encoded(body.password), description=body.description
    )
    await context.call(request)
    return NOTHING


async def update_password(context: RequestContext, body: NewPasswordReq) -> Nothing:
    """Answer `users/update_password`; without a new password it changes only the description."""
    request = messages.UpdateCredentialRequest(username=body.user_name)
    if body.new_password:
        request.oldPassword = _encoded(body.password)
        request.newPassword = _encoded(body.new_password)
    if body.description is not None:
        request.description = body.description
    await context.call(request)
    return NOTHING


async def drop(context: RequestContext, body: UserReq) -> Nothing:
    """Answer `users/drop`."""
    await context.call(messages.DeleteCredentialRequest(username=body.user_name))
    return NOTHING


async def grant_role(context: RequestContext, body: UserRoleReq) -> Nothing:
    """Answer `users/grant_role`."""
    return await _bind(context, body, _ADD)


async def revoke_role(context: RequestContext, body: UserRoleReq) -> Nothing:
    """Answer `users/revoke_role`."""
    return await _bind(context, body, _REMOVE)


async def _bind(context: RequestContext, body: UserRoleReq, kind: messages.OperateUserRoleType.ValueType) -> Nothing:
    request = messages.OperateUserRoleRequest(username=body.user_name, role_name=body.role_name, type=kind)
    await context.call(request)
    return NOTHING


def _encoded(password: Secret) -> str:
    """Return the password in the encoding of the message; revealed because the gateway takes it in this form."""
    return base64.b64encode(password.reveal().encode()).decode()


ENDPOINTS: Final = (
    Endpoint("users/list", Body, list[str], list_names, "List the names of all users."),
    Endpoint("users/describe", UserReq, list[str], describe, "List the roles of a user.", extra=Described),
    Endpoint("users/create", PasswordReq, Nothing, create, "Create a user."),
    Endpoint(
        "users/update_password", NewPasswordReq, Nothing, update_password, "Change a user's password or description."
    ),
    Endpoint("users/drop", UserReq, Nothing, drop, "Drop a user."),
    Endpoint("users/grant_role", UserRoleReq, Nothing, grant_role, "Bind a role to a user."),
    Endpoint("users/revoke_role", UserRoleReq, Nothing, revoke_role, "Unbind a role from a user."),
)
