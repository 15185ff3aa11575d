"""The pages about the roles that groups of identity providers give, by the configuration and by administrators."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from kiteward.api.console.forms import Action, Field, Form, reason_at_field, show
from kiteward.api.console.identity_providers import HERE, choices_of, configured
from kiteward.api.console.lists import Asked, Found, ListPage, in_memory
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.errors import RequestRefused
from kiteward.iam.identities import SCIM
from kiteward.iam.json_api.base import Done
from kiteward.iam.json_api.identities import GroupRoles, GroupRoleShown, IssuerNamed, MappedRole
from kiteward.iam.json_api.shapes import Changed

GROUPS: Final = f"{HERE}/groups"
_EXACT: Final = "exact"
_PATTERN: Final = "pattern"


_COLUMNS: Final[Mapping[str, Callable[[GroupRoleShown], Any]]] = {
    "group": lambda each: each.group,
    "match": lambda each: _PATTERN if each.pattern else _EXACT,
    "roleName": lambda each: each.role_name,
    "issuer": lambda each: each.issuer,
    "source": lambda each: "configuration" if each.configured else "administrators",
}


async def _read(request: ConsoleRequest, asked: Asked, arguments: Mapping[str, Any]) -> Found:
    wanted = IssuerNamed(issuer=asked.filters["issuer"])
    found = await request.client.invoke("ListGroupRoles", wanted, GroupRoles)
    mapped = sorted(found.group_roles, key=lambda each: (each.group, each.pattern, each.role_name, each.issuer))
    chosen = [each for each in mapped if asked.filters["role"] in ("", each.role_name)]
    return in_memory(chosen, arguments, _COLUMNS, "group", "roleName")


async def _issuers(request: ConsoleRequest) -> dict[str, Any]:
    known, issuer = await _origins(request), request.query_value("issuer")
    names = {each: _label(request, each) for each in choices_of(known, issuer)}
    return {"issuer": issuer, "known": known, "choices": names, "value_of": value_of}


_LIST: Final = ListPage("providers/groups", "group_roles.html", _read, _COLUMNS, ("issuer", "role"), _issuers)


def value_of(mapped: GroupRoleShown) -> str:
    """Return what names a role of a group in a form and in an address."""
    match = _PATTERN if mapped.pattern else _EXACT
    return urlencode({"issuer": mapped.issuer, "group": mapped.group, "match": match, "role": mapped.role_name})


def mapped_role(value: str) -> MappedRole:
    """Return what `value_of` has named; of anything else, a role of a group that there is not."""
    named = dict(parse_qsl(value))
    return MappedRole(
        issuer=named.get("issuer", ""),
        group=named.get("group", ""),
        role_name=named.get("role", ""),
        pattern=named.get("match") == _PATTERN,
    )


async def _origins(request: ConsoleRequest) -> list[str]:
    """Return whose groups can give roles: the configured identity providers, and SCIM where it is enabled."""
    found = await configured(request)
    return [*(each.issuer for each in found.issuers), *((SCIM,) if found.scim else ())]


async def grant_form(request: ConsoleRequest) -> Response:
    """Show the form that lets a group give a role."""
    return show(request, await _form(request))


async def _form(request: ConsoleRequest) -> Form:
    text = request.text
    origins = [(each, _label(request, each)) for each in await _origins(request)]
    kinds = [(kind, text(f"group_roles.{kind}")) for kind in (_EXACT, _PATTERN)]
    return Form(
        text("group_role_grant.title"),
        text("group_role_grant.button"),
        GROUPS,
        [
            Field("issuer", "select", options=origins, value=request.query_value("issuer")),
            Field("group", hint=text("group_role_grant.group"), required=True),
            Field("match", "select", hint=text("group_role_grant.match"), options=kinds),
            Field("role", required=True, complete="roles"),
        ],
        effects=[text("group_role_grant.effect")],
    )


async def grant(request: ConsoleRequest) -> Response:
    """Let a group give a role."""
    needed = {name: request.form_text(name) for name in ("issuer", "group", "role")}
    errors = {name: request.complaint("field.needed") for name, given in needed.items() if not given}
    if errors:
        return show(request, await _form(request), errors)
    pattern = request.form_text("match") == _PATTERN
    wanted = MappedRole(issuer=needed["issuer"], group=needed["group"], role_name=needed["role"], pattern=pattern)
    try:
        await request.client.invoke("GrantGroupRole", wanted, Done)
    except RequestRefused as error:
        form = await _form(request)
        return show(request, form, reason_at_field(request, error, form.fields, roleName="role"))
    return request.finish(GROUPS, done="group_role_grant")


async def _revoke(request: ConsoleRequest) -> None:
    await request.client.invoke("RevokeGroupRole", mapped_role(request.http_request.url.query), Changed)


async def _which(request: ConsoleRequest) -> dict[str, str]:
    named = mapped_role(request.http_request.url.query)
    return {"group": named.group, "role": named.role_name}


async def _whose(request: ConsoleRequest) -> list[str]:
    named = mapped_role(request.http_request.url.query)
    return [request.text("group_role_revoke.of", issuer=_label(request, named.issuer))]


def shown(request: ConsoleRequest, value: str) -> str:
    """Return a text that names a role of a group."""
    named = mapped_role(value)
    return request.text(
        "group_role_revoke.which",
        issuer=_label(request, named.issuer),
        group=named.group,
        role=named.role_name,
    )


def _label(request: ConsoleRequest, issuer: str) -> str:
    return request.text("group_roles.scim") if issuer == SCIM else request.provider_name(issuer)


PAGES: Final = (
    *_LIST.pages(),
    Page("providers/groups/new", grant_form, grant),
    Action(
        "providers/groups/revoke",
        "group_role_revoke",
        _revoke,
        lambda _console_request: GROUPS,
        _whose,
        about=_which,
    ).page(),
)
