"""The pages about the roles that groups of identity providers give, by the configuration and by administrators."""

from typing import Final

from starlette.responses import Response

from kiteward.api.console.forms import Action, Field, Form, reason_at_field, show
from kiteward.api.console.identity_providers import HERE, choices_of, configured
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.errors import RequestRefused
from kiteward.iam.identities import SCIM
from kiteward.iam.json_api.base import Done
from kiteward.iam.json_api.identities import GroupRoles, IssuerNamed, MappedRole

GROUPS: Final = f"{HERE}/groups"
_EXACT: Final = "exact"
_PATTERN: Final = "pattern"


async def listed(request: ConsoleRequest) -> Response:
    """List the roles that groups give, of all identity providers or of one."""
    issuer = request.query_value("issuer")
    found = await request.client.invoke("ListGroupRoles", IssuerNamed(issuer=issuer), GroupRoles)
    known = await _origins(request)
    choices = choices_of(known, issuer)
    return request.page("group_roles.html", mapped=found.group_roles, issuer=issuer, known=known, choices=choices)


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
    return request.redirect(GROUPS, done="group_role_grant")


async def _revoke(request: ConsoleRequest) -> None:
    wanted = MappedRole(
        issuer=request.query_value("issuer"),
        group=request.query_value("group"),
        role_name=request.query_value("role"),
        pattern=request.query_value("match") == _PATTERN,
    )
    await request.client.invoke("RevokeGroupRole", wanted, Done)


async def _which(request: ConsoleRequest) -> list[str]:
    named = {name: request.query_value(name) for name in ("group", "role")}
    return [request.text("group_role_revoke.which", issuer=_label(request, request.query_value("issuer")), **named)]


def _label(request: ConsoleRequest, issuer: str) -> str:
    return request.text("group_roles.scim") if issuer == SCIM else issuer


PAGES: Final = (
    Page("providers/groups", listed),
    Page("providers/groups/new", grant_form, grant),
    Action("providers/groups/revoke", "group_role_revoke", _revoke, lambda _console_request: GROUPS, _which).page(),
)
