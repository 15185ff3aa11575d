"""The pages about API keys: the user's own, and all keys for administrators."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.forms import Action, Description, Field, Form, reason_at_field, show
from kiteward.api.console.lists import Asked, Found, ListPage
from kiteward.api.console.one_time_secrets import show_once
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.api.console.tickets import OneTimeSecret
from kiteward.api.console.way_back import as_it_was
from kiteward.domain.errors import RequestRefused
from kiteward.domain.identity import ROOT
from kiteward.iam.json_api.accounts import Account, PerhapsNamed
from kiteward.iam.json_api.base import Done
from kiteward.iam.json_api.keys import AlteredKey, Key, KeyListing, KeyNamed, Keys, MadeKey, NewKey, Rotation, key_of
from kiteward.iam.json_api.shapes import Changed
from kiteward.iam.new_keys import check_new_key
from kiteward.store.listings import KeyState

_DAY: Final = 24 * 3600
KEPT: Final = (("0", "keep.none"), ("3600", "keep.hour"), (str(_DAY), "keep.day"), (str(7 * _DAY), "keep.week"))
"""The choices of a grace period: seconds, and the key of the label."""

_ENDS_SOON: Final = ("7", "30", "90")
"""The choices of the filter by expiry: days."""

_BACK: Final = "/console/keys"


async def _read(request: ConsoleRequest, asked: Asked, arguments: Mapping[str, Any]) -> Found:
    days = asked.filters["ends"]
    wanted = KeyListing(
        **arguments,
        user_name=asked.filters["user"] or ("" if request.me.administrator else request.me.user_name),
        state=asked.filters["state"],
        expires_within=int(days) * _DAY if days in _ENDS_SOON else 0,
    )
    found = await request.client.invoke("ListApiKeys", wanted, Keys)
    return Found(found.keys, found.total or 0)


async def _choices(_console_request: ConsoleRequest) -> dict[str, Any]:
    return {"states": tuple(KeyState), "ends_soon": _ENDS_SOON}


_LIST: Final = ListPage(
    "keys",
    "keys.html",
    _read,
    {
        "keyId": lambda key: key.key_id,
        "userName": lambda key: key.user_name,
        "description": lambda key: key.description,
        "roles": lambda key: key.roles,
        "networks": lambda key: key.networks,
        "state": lambda key: key.state,
        "createdAt": lambda key: key.created_at,
        "createdBy": lambda key: key.created_by,
        "madeByKey": lambda key: key.made_by_key,
        "actor": lambda key: key.actor,
        "expiresAt": lambda key: key.expires_at,
        "usedAt": lambda key: key.used_at,
    },
    ("user", "state", "ends"),
    _choices,
)


async def _create_form(request: ConsoleRequest) -> Form:
    owner = request.form_text("user_name") or request.query_value("user") or request.me.user_name
    roles = request.me.roles
    if request.me.administrator and owner:
        roles = await _roles_of(request, owner)
    text = request.text
    fields = [
        Field("description", hint=text("key_new.description")),
        Field("expires_in_days", "number", hint=text("key_new.expires"), value="90"),
        Field("networks", hint=text("key_new.networks")),
    ]
    if roles:
        options = [(role, role) for role in roles]
        fields.append(Field("roles", "checks", hint=text("key_new.roles"), options=options))
    if request.me.administrator:
        owned = Field(
            "user_name",
            hint=text("key_new.all_of_root" if owner == ROOT and not roles else "key_new.user"),
            value=owner,
            required=True,
            reload=text("key_new.reload"),
            complete="users",
        )
        fields.insert(0, owned)
    return Form(text("key_new.title"), text("key_new.button"), _BACK, fields)


async def _unknown_owner(request: ConsoleRequest) -> dict[str, Reason]:
    """Return that there is no user of the name that was typed, if so; others than administrators type none."""
    owner = request.form_text("user_name")
    if not owner or not request.me.administrator:
        return {}
    try:
        await request.client.invoke("DescribeUserAccount", PerhapsNamed(user_name=owner), Account)
    except RequestRefused as error:
        return {"user_name": request.reason(error.details)}
    return {}


async def _roles_of(request: ConsoleRequest, owner: str) -> list[str]:
    try:
        account = await request.client.invoke("DescribeUserAccount", PerhapsNamed(user_name=owner), Account)
    except RequestRefused:
        return []
    return list(account.roles)


async def create_form(request: ConsoleRequest) -> Response:
    """Show the form for a new key."""
    return show(request, await _create_form(request))


async def create(request: ConsoleRequest) -> Response:
    """Create a key and show its secret once; with `reload`, show the form for the user that was typed."""
    if request.form_text("reload"):
        return show(request, await _create_form(request))
    days = request.number("expires_in_days")
    wanted = NewKey(
        user_name=request.form_text("user_name") or request.me.user_name,
        description=request.form_text("description"),
        expires_in=days * _DAY if days else None,
        roles=request.form_values("roles") or None,
        networks=request.form_text("networks").replace(",", " ").split() or None,
    )
    errors: dict[str, Reason] = {}
    try:
        if days is not None:
            return await _shown_once(request, await request.client.invoke("CreateApiKey", wanted, MadeKey))
        errors = {**await _unknown_owner(request), "expires_in_days": request.complaint("field.number")}
        check_new_key(key_of(wanted))
    except RequestRefused as error:
        fields = (await _create_form(request)).fields
        errors = {**reason_at_field(request, error, fields, expiresIn="expires_in_days"), **errors}
    return show(request, await _create_form(request), errors)


async def _description(request: ConsoleRequest) -> str:
    return (await request.client.invoke("DescribeApiKey", KeyNamed(key_id=request.names["key_id"]), Key)).description


async def _describe(request: ConsoleRequest, description: str) -> None:
    wanted = AlteredKey(key_id=request.names["key_id"], description=description)
    await request.client.invoke("AlterApiKey", wanted, Done)


async def rotate_form(request: ConsoleRequest) -> Response:
    """Show the form for rotating a key, with the effect on its current secret."""
    return show(request, _rotation(request, await _whose(request)))


async def _whose(request: ConsoleRequest) -> list[str]:
    """Return the owner and the description of a key, whose id alone says little."""
    key = await request.client.invoke("DescribeApiKey", KeyNamed(key_id=request.names["key_id"]), Key)
    parts = {"column.user": f"`{key.user_name}`", "column.description": key.description}
    separator = request.text("label.separator")
    return [f"{request.text(name)}{separator}{value}" for name, value in parts.items() if value]


def _rotation(request: ConsoleRequest, whose: Sequence[str] = ()) -> Form:
    text, options = request.text, [(value, request.text(key)) for value, key in KEPT]
    return Form(
        text("key_rotate.title", **request.names),
        text("key_rotate.button"),
        _BACK,
        [Field("keep_old_for", "select", options=options, value=str(_DAY), label="keep_old_secret_for")],
        effects=[text("key_rotate.effect"), *whose],
        dangerous=True,
    )


async def rotate(request: ConsoleRequest) -> Response:
    """Rotate a key and show its new secret once."""
    wanted = Rotation(key_id=request.names["key_id"], keep_old_for=request.number("keep_old_for") or 0)
    try:
        made = await request.client.invoke("RotateApiKey", wanted, MadeKey)
    except RequestRefused as error:
        form = _rotation(request)
        return show(request, form, reason_at_field(request, error, form.fields))
    return await _shown_once(request, made)


async def _shown_once(request: ConsoleRequest, made: Any) -> Response:
    text = request.text
    what = text("key_made.what", user=made.user_name)
    return await show_once(
        request,
        OneTimeSecret(text("key_made.title"), what, made.key, as_it_was(_BACK, request.back), made.old_key_valid_until),
    )


async def _disable(request: ConsoleRequest) -> None:
    await request.client.invoke("DisableApiKey", KeyNamed(key_id=request.names["key_id"]), Changed)


async def _revoke(request: ConsoleRequest) -> None:
    await request.client.invoke("RevokeApiKey", KeyNamed(key_id=request.names["key_id"]), Done)


async def enable(request: ConsoleRequest) -> Response:
    """Enable a disabled key."""
    await request.client.invoke("EnableApiKey", KeyNamed(key_id=request.names["key_id"]), Changed)
    return request.finish(_BACK, done="key_enable")


def _back(_console_request: ConsoleRequest) -> str:
    return _BACK


PAGES: Final = (
    *_LIST.pages(),
    Page("new-key", create_form, create),
    Description("keys/{key_id}/description", "key_describe", _description, _describe, _back).page(),
    Page("keys/{key_id}/rotate", rotate_form, rotate),
    Page("keys/{key_id}/enable", _LIST.show, enable),
    Action("keys/{key_id}/disable", "key_disable", _disable, _back, _whose, dangerous=False).page(),
    Action("keys/{key_id}/revoke", "key_revoke", _revoke, _back, _whose).page(),
)
