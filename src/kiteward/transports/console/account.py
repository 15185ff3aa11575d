"""My account: who I am, what I hold, my password and my sessions. And how to connect."""

import base64
from typing import Final

from starlette.responses import Response

from kiteward.domain.errors import OldPasswordWrong, RequestRefused
from kiteward.domain.identity import Secret
from kiteward.gateway.extensions.keys import KeyListing
from kiteward.transports.console import guard
from kiteward.transports.console.forms import Field, Form, placed
from kiteward.transports.console.forms import show as shown
from kiteward.transports.console.sign_in import begin
from kiteward.transports.console.visit import Page, Visit


async def show(visit: Visit, errors: dict[str, str] | None = None) -> Response:
    """Show the account of who is signed in; to whom came by a one-time password, only where to set another."""
    if visit.me.one_time_password:
        return shown(visit, await _first_password(visit), errors)
    values = {
        "account": await visit.talk.extend("DescribeUserAccount"),
        "sessions": (await visit.talk.extend("ListSessions")).sessions,
        "keys": (await visit.talk.extend("ListApiKeys", KeyListing(user_name=visit.me.user_name))).keys,
        "policy": await visit.talk.extend("DescribePasswordPolicy"),
    }
    return visit.wrong("account.html", errors, **values) if errors else visit.page("account.html", **values)


async def _first_password(visit: Visit) -> Form:
    text = visit.text
    return Form(
        text("first_password.title"),
        text("account.password"),
        "/console/account",
        [
            Field("old_password", "password", required=True, autocomplete="current-password"),
            Field("new_password", "password", required=True, autocomplete="new-password"),
            Field("again", "password", required=True, autocomplete="new-password"),
        ],
        effects=[text("first_password.effect")],
        policy=await visit.talk.extend("DescribePasswordPolicy"),
    )


async def change_password(visit: Visit) -> Response:
    """Set a new password in place of the old one; every session ends, and this one begins anew."""
    old, new, again = (visit.raw(name) for name in ("old_password", "new_password", "again"))
    names = ("old_password", "new_password", "again")
    errors = {name: visit.text("field.needed") for name in names if not visit.raw(name)}
    if not errors and new != again:
        errors = {"again": visit.text("password.differs")}
    if errors:
        return await show(visit, errors)
    user = visit.me.user_name
    try:
        await visit.talk.call("UpdateCredential", username=user, oldPassword=_encoded(old), newPassword=_encoded(new))
    except OldPasswordWrong:
        return await show(visit, {"old_password": visit.text("password.wrong")})
    except RequestRefused as error:
        return await show(visit, placed(visit, error, new_password="password"))  # noqa: S106  a word, not a password
    response = visit.go("/console/account", done="password")
    guard.keep(response, visit.request, await begin(visit, user, Secret(new)))
    return response


async def connect(visit: Visit) -> Response:
    """Show how programs connect to this endpoint."""
    url = visit.request.url
    return visit.page("connect.html", endpoint=f"{url.scheme}://{url.netloc}", user=visit.me.user_name, tls=url.scheme)


def _encoded(password: str) -> str:
    """Return a password as the message carries it."""
    return base64.b64encode(password.encode("utf-8", "surrogatepass")).decode()


PAGES: Final = (Page("account", show, change_password), Page("connect", connect))
