"""The page "My account" with roles, grants, password and sessions."""

import base64
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.forms import Field, Form, reason_at_field
from kiteward.api.console.forms import show as shown
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.api.console.sign_in import begin, entered
from kiteward.domain.errors import RequestRefused
from kiteward.domain.identity import Secret
from kiteward.iam.json_api.accounts import Account, PerhapsNamed, Policy
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.json_api.keys import KeyListing, Keys
from kiteward.iam.json_api.sessions import ListedSessions
from kiteward.iam.json_api.tags import HolderNamed, Tags
from kiteward.milvus import messages

_PASSWORD_FIELDS: Final = (
    Field("old_password", "password", required=True, autocomplete="current-password"),
    Field("new_password", "password", required=True, autocomplete="new-password"),
    Field("again", "password", required=True, autocomplete="new-password"),
)
_PASSWORD_ARGUMENTS: Final = {"oldPassword": "old_password", "password": "new_password"}


async def show(request: ConsoleRequest, errors: dict[str, Reason] | None = None) -> Response:
    """Show the account of the signed-in user; after a one-time password, only the form for a new password."""
    if request.me.one_time_password:
        return shown(request, await _first_password(request), errors)
    values: dict[str, Any] = {
        "account": await request.client.invoke("DescribeUserAccount", PerhapsNamed(), Account),
        "sessions": (await request.client.invoke("ListSessions", PerhapsNamed(), ListedSessions)).sessions,
        "keys": (await request.client.invoke("ListApiKeys", KeyListing(user_name=request.me.user_name), Keys)).keys,
        "policy": await request.client.invoke("DescribePasswordPolicy", Arguments(), Policy),
        "tags": (await request.client.invoke("DescribeTags", HolderNamed(), Tags)).effective_tags,
    }
    return (
        request.page_with_errors("account.html", errors, **values) if errors else request.page("account.html", **values)
    )


async def _first_password(request: ConsoleRequest) -> Form:
    text = request.text
    return Form(
        text("first_password.title"),
        text("account.password"),
        "/console/account",
        _PASSWORD_FIELDS,
        intro=text("first_password.why"),
        policy=await request.client.invoke("DescribePasswordPolicy", Arguments(), Policy),
    )


async def change_password(request: ConsoleRequest) -> Response:
    """Change the password. All sessions of the user end, and a new one starts for this browser.

    Whoever has a second factor presents it again.
    """
    old, new, again = (request.form_raw(name) for name in ("old_password", "new_password", "again"))
    names = ("old_password", "new_password", "again")
    errors = {name: request.complaint("field.needed") for name in names if not request.form_raw(name)}
    if not errors and new != again:
        errors = {"again": request.complaint("password.differs")}
    if errors:
        return await show(request, errors)
    user = request.me.user_name
    try:
        await request.client.call(
            messages.UpdateCredentialRequest(username=user, oldPassword=_encoded(old), newPassword=_encoded(new))
        )
    except RequestRefused as error:
        return await show(request, reason_at_field(request, error, _PASSWORD_FIELDS, **_PASSWORD_ARGUMENTS))
    return entered(request, await begin(request, user, Secret(new)), "/console/account", done="password")


def _encoded(password: str) -> str:
    """Return a password in the encoding of the message."""
    return base64.b64encode(password.encode("utf-8", "surrogatepass")).decode()


PAGES: Final = (Page("account", show, change_password),)
