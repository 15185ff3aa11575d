"""API keys: one's own, and everybody's for administrators."""

from typing import Any, Final

from starlette.responses import Response

from kiteward.domain.errors import RequestRefused
from kiteward.gateway.extensions.accounts import PerhapsNamed
from kiteward.gateway.extensions.keys import KeyListing, KeyNamed, NewKey, Rotation
from kiteward.transports.console.forms import Action, Field, Form, placed, show
from kiteward.transports.console.once import show_once
from kiteward.transports.console.tickets import Shown
from kiteward.transports.console.visit import Page, Visit

_PAGE: Final = 100
_DAY: Final = 24 * 3600
KEPT: Final = (("0", "keep.none"), ("3600", "keep.hour"), (str(_DAY), "keep.day"), (str(7 * _DAY), "keep.week"))
"""How long what is replaced may stay valid."""

_BACK: Final = "/console/keys"


async def listed(visit: Visit) -> Response:
    """List keys; an administrator sees everybody's, or those of one user."""
    owner = visit.asked("user")
    wanted = KeyListing(user_name=owner or ("" if visit.me.administrator else visit.me.user_name))
    wanted.after, wanted.limit = visit.asked("after"), _PAGE
    found = await visit.talk.extend("ListApiKeys", wanted)
    return visit.page("keys.html", keys=found.keys, following=found.next, owner=owner)


async def _create_form(visit: Visit) -> Form:
    owner = visit.typed("user_name") or visit.asked("user") or visit.me.user_name
    roles = visit.me.roles
    if visit.me.administrator and owner:
        roles = await _roles_of(visit, owner)
    text = visit.text
    fields = [
        Field("description", hint=text("key_new.description")),
        Field("expires_in_days", "number", hint=text("key_new.expires"), value="90"),
        Field("networks", hint=text("key_new.networks")),
    ]
    if roles:
        options = [(role, role) for role in roles]
        fields.append(Field("roles", "checks", hint=text("key_new.roles"), options=options))
    if visit.me.administrator:
        fields.insert(0, Field("user_name", hint=text("key_new.user"), value=owner, required=True))
    return Form(text("key_new.title"), text("key_new.button"), _BACK, fields)


async def _roles_of(visit: Visit, owner: str) -> list[str]:
    try:
        account = await visit.talk.extend("DescribeUserAccount", PerhapsNamed(user_name=owner))
    except RequestRefused:
        return []
    return list(account.roles)


async def create_form(visit: Visit) -> Response:
    """Ask what a new key is for."""
    return show(visit, await _create_form(visit))


async def create(visit: Visit) -> Response:
    """Make a key and show it this once."""
    days = visit.number("expires_in_days")
    if days is None:
        return show(visit, await _create_form(visit), {"expires_in_days": visit.text("field.number")})
    wanted = NewKey(
        user_name=visit.typed("user_name") or visit.me.user_name,
        description=visit.typed("description"),
        expires_in=days * _DAY if days else None,
        roles=visit.ticked("roles") or None,
        networks=visit.typed("networks").replace(",", " ").split() or None,
    )
    try:
        made = await visit.talk.extend("CreateApiKey", wanted)
    except RequestRefused as error:
        words = {"expires_in_days": "expiresIn", "networks": "networks", "roles": "role", "user_name": "user not found"}
        return show(visit, await _create_form(visit), placed(visit, error, **words))
    return _shown_once(visit, made)


async def rotate_form(visit: Visit) -> Response:
    """Tell what a new secret means for the old one."""
    return show(visit, _rotation(visit))


def _rotation(visit: Visit) -> Form:
    text, options = visit.text, [(value, visit.text(key)) for value, key in KEPT]
    return Form(
        text("key_rotate.title", **visit.names),
        text("key_rotate.button"),
        _BACK,
        [Field("keep_old_for", "select", options=options)],
        effects=[text("key_rotate.effect")],
        dangerous=True,
    )


async def rotate(visit: Visit) -> Response:
    """Give a key a new secret and show it this once."""
    wanted = Rotation(key_id=visit.names["key_id"], keep_old_for=visit.number("keep_old_for") or 0)
    try:
        made = await visit.talk.extend("RotateApiKey", wanted)
    except RequestRefused as error:
        return show(visit, _rotation(visit), placed(visit, error, keep_old_for=""))
    return _shown_once(visit, made)


def _shown_once(visit: Visit, made: Any) -> Response:
    text = visit.text
    what = text("key_made.what", user=made.user_name)
    return show_once(visit, Shown(text("key_made.title"), what, made.key, _BACK, made.old_key_valid_until))


async def _disable(visit: Visit) -> None:
    await visit.talk.extend("DisableApiKey", KeyNamed(key_id=visit.names["key_id"]))


async def _revoke(visit: Visit) -> None:
    await visit.talk.extend("RevokeApiKey", KeyNamed(key_id=visit.names["key_id"]))


async def enable(visit: Visit) -> Response:
    """Let a disabled key open again."""
    await visit.talk.extend("EnableApiKey", KeyNamed(key_id=visit.names["key_id"]))
    return visit.go(_BACK, done="key_enable")


def _back(_visit: Visit) -> str:
    return _BACK


PAGES: Final = (
    Page("keys", listed),
    Page("new-key", create_form, create),
    Page("keys/{key_id}/rotate", rotate_form, rotate),
    Page("keys/{key_id}/enable", listed, enable),
    Action("keys/{key_id}/disable", "key_disable", _disable, _back).page(),
    Action("keys/{key_id}/revoke", "key_revoke", _revoke, _back).page(),
)
