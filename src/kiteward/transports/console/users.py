"""Users, as administrators see them: search, create, reset, disable, roles, and the view of one of them."""

from datetime import datetime
from typing import Final

from starlette.responses import Response

from kiteward.domain.errors import RequestRefused
from kiteward.domain.identity import Secret
from kiteward.gateway.extensions.accounts import Listing, Named, NewAccount, PerhapsNamed, Reset
from kiteward.transports.console.forms import Action, Field, Form, below, placed, show, told
from kiteward.transports.console.keys import KEPT
from kiteward.transports.console.once import page_of, show_once
from kiteward.transports.console.tickets import Shown
from kiteward.transports.console.visit import Page, Visit

_PAGE: Final = 50
_ADD, _REMOVE = 0, 1


async def listed(visit: Visit) -> Response:
    """List users a page at a time, all or those whose names begin alike."""
    prefix, after = visit.asked("prefix").strip(), visit.asked("after")
    found = await visit.talk.extend("ListUserAccounts", Listing(prefix=prefix, after=after, limit=_PAGE))
    return visit.page("users.html", users=found.users, following=found.next, prefix=prefix)


async def described(visit: Visit, errors: dict[str, str] | None = None) -> Response:
    """Describe a user, with everything that can be done about it."""
    name = visit.names["name"]
    values = {
        "account": await visit.talk.extend("DescribeUserAccount", PerhapsNamed(user_name=name)),
        "sessions": (await visit.talk.extend("ListSessions", PerhapsNamed(user_name=name))).sessions,
        "roles": [result.role.name for result in (await visit.talk.call("SelectRole")).results],
    }
    return visit.wrong("user.html", errors, **values) if errors else visit.page("user.html", **values)


async def bind(visit: Visit) -> Response:
    """Bind a role to a user."""
    name, role = visit.names["name"], visit.typed("role")
    if not role:
        return await described(visit, {"role": visit.text("field.needed")})
    try:
        await visit.talk.call("OperateUserRole", username=name, role_name=role, type=_ADD)
    except RequestRefused as error:
        return await described(visit, {"role": told(visit, error)})
    return visit.go(below("users", name), done="role_bind")


async def create_form(visit: Visit) -> Response:
    """Ask for a new user's name, password and roles."""
    return show(visit, await _create_form(visit))


async def _create_form(visit: Visit) -> Form:
    text = visit.text
    roles = [result.role.name for result in (await visit.talk.call("SelectRole")).results]
    return Form(
        text("user_new.title"),
        text("user_new.button"),
        "/console/users",
        [
            Field("user_name", hint=text("user_new.name"), required=True),
            Field("description"),
            Field("new_password", "password", hint=text("user_new.password"), autocomplete="new-password"),
            Field("roles", "checks", options=[(role, role) for role in roles if role != "public"]),
        ],
        policy=await visit.talk.extend("DescribePasswordPolicy"),
    )


async def create(visit: Visit) -> Response:
    """Create a user; a password that was made is shown this once."""
    name, password = visit.typed("user_name"), visit.raw("new_password")
    if not name:
        return show(visit, await _create_form(visit), {"user_name": visit.text("field.needed")})
    wanted = NewAccount(
        user_name=name,
        password=Secret(password) if password else None,
        description=visit.typed("description"),
        roles=visit.ticked("roles"),
    )
    try:
        made = await visit.talk.extend("CreateUserAccount", wanted)
    except RequestRefused as error:
        words = {"new_password": "password", "description": "description", "roles": "role", "user_name": ""}
        return show(visit, await _create_form(visit), placed(visit, error, **words))
    if made.password is None:
        return visit.go(below("users", name), done="user_new")
    return _shown_once(visit, name, made.password, "user_made")


def _shown_once(visit: Visit, name: str, password: Secret, key: str, until: datetime | None = None) -> Response:
    text = visit.text
    shown = Shown(text(f"{key}.title"), text(f"{key}.what", user=name), password, below("users", name), until)
    # One's own session ends with one's password: there is no other page to be sent to, and nothing to be repeated.
    return page_of(visit, shown) if name == visit.me.user_name else show_once(visit, shown)


async def _reset_form(visit: Visit) -> Form:
    text, name = visit.text, visit.names["name"]
    options = [(value, text(key)) for value, key in KEPT]
    return Form(
        text("user_reset.title", name=name),
        text("user_reset.button"),
        below("users", name),
        [
            Field("new_password", "password", hint=text("user_reset.password"), autocomplete="new-password"),
            Field("keep_old_for", "select", options=options),
        ],
        effects=[text("user_reset.effect", name=name)],
        dangerous=True,
        policy=await visit.talk.extend("DescribePasswordPolicy"),
    )


async def reset_form(visit: Visit) -> Response:
    """Tell what a reset does, and ask for the new password."""
    return show(visit, await _reset_form(visit))


async def reset(visit: Visit) -> Response:
    """Set a password without the old one; one that was made is shown this once."""
    name, password = visit.names["name"], visit.raw("new_password")
    wanted = Reset(
        user_name=name,
        new_password=Secret(password) if password else None,
        keep_old_for=visit.number("keep_old_for") or 0,
    )
    try:
        made = await visit.talk.extend("ResetPassword", wanted)
    except RequestRefused as error:
        return show(visit, await _reset_form(visit), placed(visit, error, new_password="password"))  # noqa: S106  a word
    if made.password is None:
        return visit.go(below("users", name), done="user_reset")
    return _shown_once(visit, name, made.password, "user_reset_made", made.old_password_valid_until)


async def view(visit: Visit) -> Response:
    """Show what a user holds and sees."""
    return visit.page("view.html", view=await visit.talk.extend("ViewAsUser", Named(user_name=visit.names["name"])))


def _simply(operation: str, key: str, path: str) -> Page:
    """Return what changes a user without taking anything from it."""

    async def act(visit: Visit) -> Response:
        await visit.talk.extend(operation, Named(user_name=visit.names["name"]))
        return visit.go(_back(visit), done=key)

    return Page(path, described, act)


async def _disable(visit: Visit) -> None:
    await visit.talk.extend("DisableUser", Named(user_name=visit.names["name"]))


async def _delete(visit: Visit) -> None:
    await visit.talk.extend("DeleteUserAccount", Named(user_name=visit.names["name"]))


async def _end_old(visit: Visit) -> None:
    await visit.talk.extend("EndOldPassword", PerhapsNamed(user_name=visit.names["name"]))


async def _unbind(visit: Visit) -> None:
    await visit.talk.call("OperateUserRole", username=visit.names["name"], role_name=visit.names["role"], type=_REMOVE)


def _back(visit: Visit) -> str:
    return below("users", visit.names["name"])


PAGES: Final = (
    Page("users", listed),
    Page("new-user", create_form, create),
    Page("users/{name}", described, bind),
    Page("users/{name}/reset", reset_form, reset),
    Page("users/{name}/view", view),
    _simply("EnableUser", "user_enable", "users/{name}/enable"),
    _simply("UnlockUser", "user_unlock", "users/{name}/unlock"),
    Action("users/{name}/disable", "user_disable", _disable, _back).page(),
    Action("users/{name}/end-old-password", "old_password_end", _end_old, _back).page(),
    Action("users/{name}/delete", "user_delete", _delete, lambda _visit: "/console/users").page(),
    Action("users/{name}/roles/{role}/remove", "role_unbind", _unbind, _back).page(),
)
