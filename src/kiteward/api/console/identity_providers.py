"""The pages about identity providers: those of the configuration, their users, invitations and cut-offs of tokens."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.forms import Action, Field, Form, path_below, reason_at_field, show
from kiteward.api.console.lists import Asked, Found, ListPage
from kiteward.api.console.request import ConsoleRequest, Page, shown_time
from kiteward.api.console.roles import names_in, roles_field
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import NotFound, RequestRefused
from kiteward.iam.json_api.base import Arguments, Done
from kiteward.iam.json_api.identities import (
    CutOff,
    CutOffSet,
    Identities,
    Identity,
    IdentityListing,
    Invited,
    NamedIdentity,
)
from kiteward.iam.json_api.issuers import Issuers, ShownIssuer

HERE: Final = "/console/providers"
USERS: Final = f"{HERE}/users"


async def configured(request: ConsoleRequest) -> Issuers:
    """Return the configured identity providers."""
    return await request.client.invoke("ListIssuers", Arguments(), Issuers)


async def identity_of(request: ConsoleRequest, user_name: str) -> Identity | None:
    """Return who a user is at its identity provider; None where it does not sign in by one."""
    found = await request.client.invoke("ListIdentities", IdentityListing(user_name=user_name), Identities)
    return next(iter(found.identities), None)


async def providers(request: ConsoleRequest) -> Response:
    """Show the configured identity providers."""
    found = await configured(request)
    return request.page("identity_providers.html", issuers=found.issuers, scim=found.scim)


async def _read(request: ConsoleRequest, asked: Asked, arguments: Mapping[str, Any]) -> Found:
    wanted = IdentityListing(**arguments, issuer=asked.filters["issuer"])
    found = await request.client.invoke("ListIdentities", wanted, Identities)
    return Found(found.identities, found.total or 0)


async def _issuers(request: ConsoleRequest) -> dict[str, Any]:
    known, issuer = [each.issuer for each in (await configured(request)).issuers], request.query_value("issuer")
    return {"issuer": issuer, "known": known, "choices": choices_of(known, issuer)}


_LIST: Final = ListPage(
    "providers/users",
    "identities.html",
    _read,
    {
        "userName": lambda each: each.user_name,
        "issuer": lambda each: each.issuer,
        "subject": lambda each: each.subject,
        "enabled": lambda each: each.enabled,
        "createdAt": lambda each: each.created_at,
        "signedInAt": lambda each: each.signed_in_at,
        "groups": lambda each: each.groups,
        "tokenRoles": lambda each: each.token_roles,
    },
    ("issuer",),
    _issuers,
)


def choices_of(known: list[str], issuer: str) -> list[str]:
    """Return the issuers to choose from in a list: those of the configuration, and the one that is chosen."""
    return known if issuer in ("", *known) else [*known, issuer]


# Invitations


async def invite_form(request: ConsoleRequest) -> Response:
    """Show the form that invites a user."""
    return show(request, await _invite_form(request))


async def _invite_form(request: ConsoleRequest) -> Form:
    text = request.text
    issuers = (await configured(request)).issuers
    return Form(
        text("identity_invite.title"),
        text("identity_invite.button"),
        USERS,
        [
            Field(
                "issuer",
                "select",
                options=[(each.issuer, request.provider_name(each.issuer)) for each in issuers],
                value=request.query_value("issuer"),
            ),
            Field("user_name", hint=_naming(request, issuers), required=True),
            Field("subject", hint=text("identity_invite.subject")),
            Field("description"),
            await roles_field(request),
        ],
    )


def _naming(request: ConsoleRequest, issuers: list[ShownIssuer]) -> str:
    """Return how the names of users are made, for each identity provider."""
    rules = [
        request.text(
            "identity_invite.naming", issuer=request.provider_name(each.issuer), template=each.user_name_template
        )
        for each in issuers
    ]
    return request.text("sentence.separator").join((request.text("identity_invite.name"), *rules))


async def invite(request: ConsoleRequest) -> Response:
    """Invite a user."""
    issuer, name = request.form_text("issuer"), request.form_text("user_name")
    needed = {"issuer": issuer, "user_name": name}
    errors = {field: request.complaint("field.needed") for field, given in needed.items() if not given}
    if errors:
        return show(request, await _invite_form(request), errors)
    wanted = Invited(
        issuer=issuer,
        user_name=name,
        subject=request.form_text("subject"),
        description=request.form_text("description"),
        roles=names_in(request, "roles"),
    )
    try:
        await request.client.invoke("InviteUser", wanted, Done)
    except RequestRefused as error:
        form = await _invite_form(request)
        return show(request, form, reason_at_field(request, error, form.fields))
    return request.redirect(path_below("users", name), done="identity_invite")


# Bindings to subjects


async def _unbind(request: ConsoleRequest) -> None:
    await request.client.invoke("UnbindIdentity", NamedIdentity(user_name=request.names["name"]), Done)


async def _bound(request: ConsoleRequest) -> list[str]:
    held = await _required(request)
    subject = held.subject or request.text("user.not_signed_in")
    return [request.text("identity_unbind.which", issuer=held.issuer, subject=subject)]


async def _required(request: ConsoleRequest) -> Identity:
    name = request.names["name"]
    held = await identity_of(request, name)
    if held is None:
        detail = ErrorDetail(ErrorCode.IDENTITY_NOT_FOUND, {"name": name})
        raise NotFound(f"{name} does not sign in by an identity provider", detail, field="userName")
    return held


def _back_to_user(request: ConsoleRequest) -> str:
    return path_below("users", request.names["name"])


# Cut-offs of tokens


async def cut_off_form(request: ConsoleRequest) -> Response:
    """Show the form for a cut-off, with its effects."""
    return show(request, await _cut_off_form(request))


async def cut_off(request: ConsoleRequest) -> Response:
    """Refuse tokens of the user in the path, or of the identity provider in the query string."""
    given = request.form_text("not_before")
    try:
        not_before = _moment(given) if given else None
    except ValueError:
        return show(request, await _cut_off_form(request), {"not_before": request.complaint("field.moment")})
    user_name = request.names.get("name", "")
    issuer = "" if user_name else request.query_value("issuer")
    wanted = CutOff(user_name=user_name, issuer=issuer, not_before=not_before)
    try:
        await request.client.invoke("CutOffTokens", wanted, CutOffSet)
    except RequestRefused as error:
        form = await _cut_off_form(request)
        return show(request, form, reason_at_field(request, error, form.fields))
    return request.finish(_back_to_user(request) if user_name else HERE, done="cut_off")


def _moment(given: str) -> datetime:
    """Return a time that somebody has typed, in UTC unless it says otherwise.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(given)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


async def _cut_off_form(request: ConsoleRequest) -> Form:
    text, user = request.text, "name" in request.names
    held = await (_required(request) if user else _issuer(request))
    name = request.names["name"] if user else held.issuer
    effects = [
        text("cut_off.effect_user" if user else "cut_off.effect_issuer", name=name),
        text("cut_off.sessions"),
        text("cut_off.keys"),
        text("cut_off.permanent"),
    ]
    if held.not_before is not None:
        effects.append(text("cut_off.now_user" if user else "cut_off.now", time=shown_time(held.not_before)))
    return Form(
        text("cut_off.title_user", name=name)
        if user
        else text("cut_off.title_issuer", name=request.provider_name(name)),
        text("cut_off.button"),
        _back_to_user(request) if user else HERE,
        [Field("not_before", hint=text("cut_off.not_before"))],
        effects=effects,
        dangerous=True,
    )


async def _issuer(request: ConsoleRequest) -> ShownIssuer:
    name = request.query_value("issuer")
    for each in (await configured(request)).issuers:
        if each.issuer == name:
            return each
    detail = ErrorDetail(ErrorCode.ISSUER_NOT_CONFIGURED, {"name": name})
    raise NotFound(f"no such identity provider in kiteward.oidc: {name}", detail, field="issuer")


PAGES: Final = (
    Page("providers", providers),
    *_LIST.pages(),
    Page("providers/invite", invite_form, invite),
    Page("providers/cut-off", cut_off_form, cut_off),
    Page("users/{name}/cut-off", cut_off_form, cut_off),
    Action("users/{name}/unbind", "identity_unbind", _unbind, _back_to_user, _bound).page(),
)
