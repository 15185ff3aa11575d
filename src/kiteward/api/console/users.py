"""The pages about users, for administrators: search, create, reset passwords, disable, roles, and the user's view."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.failures import failed_page
from kiteward.api.console.forms import Action, Description, Field, Form, path_below, reason_at_field, show
from kiteward.api.console.identity_providers import identity_of
from kiteward.api.console.keys import KEPT
from kiteward.api.console.lists import Asked, Found, ListPage
from kiteward.api.console.one_time_secrets import page_of, show_once
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.api.console.roles import names_in, roles_field
from kiteward.api.console.tickets import OneTimeSecret
from kiteward.api.console.way_back import as_it_was
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import ProtectedObject, RequestRefused, UserNotFound
from kiteward.domain.identity import ROOT, Secret
from kiteward.iam.json_api.accounts import (
    Account,
    Accounts,
    IssuedPassword,
    Listing,
    Named,
    NewAccount,
    PerhapsNamed,
    Policy,
    Reset,
)
from kiteward.iam.json_api.base import Arguments, Done
from kiteward.iam.json_api.limits import LimitedNamed, ShownLimits
from kiteward.iam.json_api.sessions import ListedSessions
from kiteward.iam.json_api.shapes import Changed
from kiteward.iam.json_api.tags import HolderNamed, Tags
from kiteward.iam.json_api.views import View
from kiteward.milvus import messages
from kiteward.store.listings import UserState

_ADD: Final = messages.OperateUserRoleType.AddUserToRole
_REMOVE: Final = messages.OperateUserRoleType.RemoveUserFromRole


async def _read(request: ConsoleRequest, asked: Asked, arguments: Mapping[str, Any]) -> Found:
    wanted = Listing(**arguments, state=asked.filters["state"], role_name=asked.filters["role"])
    found = await request.client.invoke("ListUserAccounts", wanted, Accounts)
    return Found(found.users, found.total or 0)


async def _states(_console_request: ConsoleRequest) -> dict[str, Any]:
    return {"states": tuple(UserState), "now": datetime.now(UTC)}


_LIST: Final = ListPage(
    "users",
    "users.html",
    _read,
    {
        "userName": lambda user: user.user_name,
        "description": lambda user: user.description,
        "administrator": lambda user: user.administrator,
        "roles": lambda user: user.roles,
        "enabled": lambda user: user.enabled,
        "locked": lambda user: user.locked,
        "secondFactor": lambda user: user.second_factor,
        "createdAt": lambda user: user.created_at,
        "signedInAt": lambda user: user.signed_in_at,
        "issuer": lambda user: user.issuer,
        "subject": lambda user: user.subject,
    },
    ("state", "role"),
    _states,
)


async def described(request: ConsoleRequest, errors: dict[str, Reason] | None = None) -> Response:
    """Describe a user, with the available actions."""
    name = request.names["name"]
    try:
        sessions = await request.client.invoke("ListSessions", PerhapsNamed(user_name=name), ListedSessions)
        account = await request.client.invoke("DescribeUserAccount", PerhapsNamed(user_name=name), Account)
    except UserNotFound as error:
        reason = request.reason(error.details)
        # The audit trail names users that have been deleted since.
        return failed_page(request, HTTPStatus.NOT_FOUND, "error.missing", reason, user=name)
    values: dict[str, Any] = {
        "account": account,
        "identity": await identity_of(request, name) if account.issuer else None,
        "sessions": sessions.sessions,
        "tags": (await request.client.invoke("DescribeTags", HolderNamed(user_name=name), Tags)).tags,
        "limits": (await request.client.invoke("DescribeLimits", LimitedNamed(user_name=name), ShownLimits)).applying,
    }
    return request.page_with_errors("user.html", errors, **values) if errors else request.page("user.html", **values)


async def bind(request: ConsoleRequest) -> Response:
    """Bind a role to a user."""
    name, role = request.names["name"], request.form_text("role")
    if not role:
        return await described(request, {"role": request.complaint("field.needed")})
    try:
        await request.client.call(messages.OperateUserRoleRequest(username=name, role_name=role, type=_ADD))
    except RequestRefused as error:
        return await described(request, {"role": request.reason(error.details)})
    return request.stay(path_below("users", name), done="role_bind")


async def create_form(request: ConsoleRequest) -> Response:
    """Show the form for a new user."""
    return show(request, await _create_form(request))


async def _create_form(request: ConsoleRequest) -> Form:
    text = request.text
    return Form(
        text("user_new.title"),
        text("user_new.button"),
        "/console/users",
        [
            Field("user_name", hint=text("user_new.name"), required=True),
            Field("description"),
            Field("new_password", "password", text("user_new.password"), autocomplete="new-password", label="password"),
            Field("one_time", "check", hint=text("one_time.what")),
            await roles_field(request),
        ],
        policy=await request.client.invoke("DescribePasswordPolicy", Arguments(), Policy),
    )


async def create(request: ConsoleRequest) -> Response:
    """Create a user; a generated password is shown once."""
    name, password = request.form_text("user_name"), request.form_raw("new_password")
    if not name:
        return show(request, await _create_form(request), {"user_name": request.complaint("field.needed")})
    wanted = NewAccount(
        user_name=name,
        password=Secret(password) if password else None,
        one_time=bool(request.form_text("one_time")),
        description=request.form_text("description"),
        roles=names_in(request, "roles"),
    )
    try:
        made = await request.client.invoke("CreateUserAccount", wanted, IssuedPassword)
    except RequestRefused as error:
        form = await _create_form(request)
        return show(request, form, reason_at_field(request, error, form.fields, password="new_password"))  # noqa: S106  a field
    if made.password is None:
        return request.redirect(path_below("users", name), done="user_new")
    return await _shown_once(request, name, made.password, "user_made")


async def _shown_once(
    request: ConsoleRequest, name: str, password: Secret, key: str, until: datetime | None = None
) -> Response:
    text = request.text
    shown = OneTimeSecret(
        text(f"{key}.title"),
        text(f"{key}.what", user=name),
        password,
        as_it_was(path_below("users", name), request.back),
        until,
    )
    # A user's own session ends with the password: no further page can be requested, so that this one shows the secret.
    return page_of(request, shown) if name == request.me.user_name else await show_once(request, shown)


async def _reset_form(request: ConsoleRequest) -> Form:
    text, name = request.text, request.names["name"]
    options = [(value, text(key)) for value, key in KEPT]
    return Form(
        text("user_reset.title", name=name),
        text("user_reset.button"),
        path_below("users", name),
        [
            Field("new_password", "password", hint=text("user_reset.password"), autocomplete="new-password"),
            Field("one_time", "check", hint=text("one_time.what")),
            Field("keep_old_for", "select", options=options),
        ],
        effects=[text("user_reset.effect", name=name)],
        dangerous=True,
        policy=await request.client.invoke("DescribePasswordPolicy", Arguments(), Policy),
    )


async def reset_form(request: ConsoleRequest) -> Response:
    """Show the form for resetting a password, with its effects."""
    return show(request, await _reset_form(request))


async def reset(request: ConsoleRequest) -> Response:
    """Reset a password; a generated one is shown once."""
    name, password = request.names["name"], request.form_raw("new_password")
    wanted = Reset(
        user_name=name,
        new_password=Secret(password) if password else None,
        one_time=bool(request.form_text("one_time")),
        keep_old_for=request.number("keep_old_for") or 0,
    )
    try:
        made = await request.client.invoke("ResetPassword", wanted, IssuedPassword)
    except RequestRefused as error:
        form = await _reset_form(request)
        return show(request, form, reason_at_field(request, error, form.fields, password="new_password"))  # noqa: S106  a field
    if made.password is None:
        return request.finish(path_below("users", name), done="user_reset")
    return await _shown_once(request, name, made.password, "user_reset_made", made.old_password_valid_until)


async def _description(request: ConsoleRequest) -> str:
    named = PerhapsNamed(user_name=request.names["name"])
    return (await request.client.invoke("DescribeUserAccount", named, Account)).description


async def _describe(request: ConsoleRequest, description: str) -> None:
    await request.client.call(messages.UpdateCredentialRequest(username=request.names["name"], description=description))


async def view(request: ConsoleRequest) -> Response:
    """Show the roles and privileges of a user, and what the user may see."""
    return request.page(
        "view.html", view=await request.client.invoke("ViewAsUser", Named(user_name=request.names["name"]), View)
    )


def _simply(operation: str, key: str, path: str) -> Page:
    """Return a page that changes a user at once, without asking for confirmation."""

    async def act(request: ConsoleRequest) -> Response:
        await request.client.invoke(operation, Named(user_name=request.names["name"]), Changed)
        return request.finish(_back(request), done=key)

    return Page(path, described, act)


async def _disable(request: ConsoleRequest) -> None:
    await request.client.invoke("DisableUser", Named(user_name=request.names["name"]), Changed)


async def _reset_factors(request: ConsoleRequest) -> None:
    await request.client.invoke("ResetFactors", Named(user_name=request.names["name"]), Done)


async def _require_deletable(request: ConsoleRequest) -> list[str]:
    """Refuse at once what would be refused after it was confirmed."""
    name = request.names["name"]
    if name == ROOT:
        raise ProtectedObject("root user cannot be deleted", ErrorDetail(ErrorCode.ROOT_NOT_DELETABLE))
    await request.client.invoke("DescribeUserAccount", PerhapsNamed(user_name=name), Account)
    return []


async def _delete(request: ConsoleRequest) -> None:
    await request.client.invoke("DeleteUserAccount", Named(user_name=request.names["name"]), Done)


async def _end_old(request: ConsoleRequest) -> None:
    await request.client.invoke("EndOldPassword", PerhapsNamed(user_name=request.names["name"]), Done)


async def _unbind(request: ConsoleRequest) -> None:
    await request.client.call(
        messages.OperateUserRoleRequest(username=request.names["name"], role_name=request.names["role"], type=_REMOVE)
    )


def _back(request: ConsoleRequest) -> str:
    return path_below("users", request.names["name"])


PAGES: Final = (
    *_LIST.pages(),
    Page("new-user", create_form, create),
    Page("users/{name}", described, bind),
    Page("users/{name}/reset", reset_form, reset),
    Page("users/{name}/view", view),
    Description("users/{name}/description", "user_describe", _description, _describe, _back).page(),
    _simply("EnableUser", "user_enable", "users/{name}/enable"),
    _simply("UnlockUser", "user_unlock", "users/{name}/unlock"),
    Action("users/{name}/disable", "user_disable", _disable, _back, dangerous=False).page(),
    Action("users/{name}/end-old-password", "old_password_end", _end_old, _back).page(),
    Action("users/{name}/reset-factors", "factors_reset", _reset_factors, _back).page(),
    Action(
        "users/{name}/delete",
        "user_delete",
        _delete,
        lambda _console_request: "/console/users",
        _require_deletable,
        "name",
        removes=True,
    ).page(),
    Action("users/{name}/roles/{role}/remove", "role_unbind", _unbind, _back).page(),
)
