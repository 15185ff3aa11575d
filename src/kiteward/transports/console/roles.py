"""Roles and privilege groups."""

from typing import Any, Final

from starlette.responses import Response

from kiteward.domain.errors import NotFound, RequestRefused
from kiteward.domain.privileges import BUILT_IN_GROUPS, PRIVILEGES
from kiteward.gateway.extensions.grants import GrantChange, GrantNamed
from kiteward.transports.console.forms import Action, Field, Form, below, placed, show, told
from kiteward.transports.console.visit import Page, Visit

_ADD, _REMOVE = 0, 1
_EVERYWHERE: Final = "*"


async def listed(visit: Visit) -> Response:
    """List roles with their members."""
    found = await visit.talk.call("SelectRole", include_user_info=True)
    roles = [
        (result.role.name, result.role.description, [user.name for user in result.users]) for result in found.results
    ]
    return visit.page("roles.html", roles=roles)


async def _role(visit: Visit) -> Any:
    name = visit.names["name"]
    found = await visit.talk.call("SelectRole", role={"name": name}, include_user_info=True)
    if not found.results:
        raise NotFound(f"role not found: {name}")
    return found.results[0]


async def _grants(visit: Visit) -> Any:
    entity = {"role": {"name": visit.names["name"]}, "db_name": _EVERYWHERE}
    return (await visit.talk.call("SelectGrant", entity=entity)).entities


async def described(visit: Visit) -> Response:
    """Describe a role: members and grants."""
    role = await _role(visit)
    return visit.page(
        "role.html", role=role.role, members=[user.name for user in role.users], grants=await _grants(visit)
    )


def _create_form(visit: Visit) -> Form:
    text = visit.text
    fields = [Field("role_name", hint=text("role_new.name"), required=True), Field("description")]
    return Form(text("role_new.title"), text("role_new.button"), "/console/roles", fields)


async def create_form(visit: Visit) -> Response:
    """Ask for a new role's name."""
    return show(visit, _create_form(visit))


async def create(visit: Visit) -> Response:
    """Create a role."""
    name = visit.typed("role_name")
    if not name:
        return show(visit, _create_form(visit), {"role_name": visit.text("field.needed")})
    try:
        await visit.talk.call("CreateRole", entity={"name": name, "description": visit.typed("description")})
    except RequestRefused as error:
        return show(visit, _create_form(visit), placed(visit, error, description="description", role_name=""))
    return visit.go(below("roles", name), done="role_new")


async def _drop(visit: Visit) -> None:
    await visit.talk.call("DropRole", role_name=visit.names["name"], force_drop=True)


async def _what_depends(visit: Visit) -> list[str]:
    """Tell what goes with a role."""
    role, grants = await _role(visit), await _grants(visit)
    members = ", ".join(user.name for user in role.users) or visit.text("none")
    return [
        visit.text("role_delete.members", members=members),
        visit.text("role_delete.grants", count=len(grants)),
    ]


async def _revoke(visit: Visit) -> None:
    named = GrantNamed(
        privilege=visit.asked("privilege"),
        db_name=visit.asked("database"),
        collection_name=visit.asked("object"),
        object_type=visit.asked("type"),
    )
    await visit.talk.extend("ChangeGrants", GrantChange(role_name=visit.names["name"], revoke=[named]))


async def _what_is_revoked(visit: Visit) -> list[str]:
    names = {key: visit.asked(key) for key in ("privilege", "database", "object")}
    return [visit.text("grant_revoke.which", **names)]


def _back(visit: Visit) -> str:
    return below("roles", visit.names["name"])


# Privilege groups


async def groups(visit: Visit) -> Response:
    """List privilege groups with their members."""
    found = await visit.talk.call("ListPrivilegeGroups")
    shown = [(group.group_name, [privilege.name for privilege in group.privileges]) for group in found.privilege_groups]
    return visit.page("groups.html", groups=shown, built_in=tuple(BUILT_IN_GROUPS))


async def create_group(visit: Visit) -> Response:
    """Create a group, with its first members."""
    name = visit.typed("group_name")
    if not name:
        return show(visit, _group_form(visit), {"group_name": visit.text("field.needed")})
    try:
        await visit.talk.call("CreatePrivilegeGroup", group_name=name)
    except RequestRefused as error:
        return show(visit, _group_form(visit), {"group_name": told(visit, error)})
    try:
        await _operate_group(visit, name, visit.ticked("privileges"), _ADD)
    except RequestRefused as error:
        await visit.talk.call("DropPrivilegeGroup", group_name=name)
        return show(visit, _group_form(visit), {"privileges": told(visit, error)})
    return visit.go("/console/groups", done="group_new")


async def _operate_group(visit: Visit, name: str, privileges: list[str], kind: int) -> None:
    if privileges:
        members = [{"name": privilege} for privilege in privileges]
        await visit.talk.call("OperatePrivilegeGroup", group_name=name, privileges=members, type=kind)


def _group_form(visit: Visit) -> Form:
    text = visit.text
    fields = [Field("group_name", hint=text("group_new.name"), required=True), _privileges(visit)]
    return Form(text("group_new.title"), text("group_new.button"), "/console/groups", fields)


def _privileges(visit: Visit, held: tuple[str, ...] = ()) -> Field:
    options = [(name, name) for name in sorted(PRIVILEGES)]
    return Field("privileges", "checks", hint=visit.text("group_new.privileges"), options=options, value=" ".join(held))


async def group_form(visit: Visit) -> Response:
    """Ask for a new group's name and members."""
    return show(visit, _group_form(visit))


async def _held(visit: Visit) -> tuple[str, ...]:
    name = visit.names["name"]
    found = await visit.talk.call("ListPrivilegeGroups")
    for group in found.privilege_groups:
        if group.group_name == name:
            return tuple(privilege.name for privilege in group.privileges)
    raise NotFound(f"privilege group not found: {name}")


async def edit_group(visit: Visit) -> Response:
    """Show a group's members to be changed."""
    return show(visit, _edit_form(visit, await _held(visit)))


def _edit_form(visit: Visit, held: tuple[str, ...]) -> Form:
    text, name = visit.text, visit.names["name"]
    effects = [text("group_edit.effect", name=name)]
    fields = [_privileges(visit, held)]
    return Form(text("group_edit.title", name=name), text("group_edit.button"), "/console/groups", fields, effects)


async def change_group(visit: Visit) -> Response:
    """Add and take members, as ticked."""
    name, held, wanted = visit.names["name"], set(await _held(visit)), set(visit.ticked("privileges"))
    try:
        await _operate_group(visit, name, sorted(wanted - held), _ADD)
        await _operate_group(visit, name, sorted(held - wanted), _REMOVE)
    except RequestRefused as error:
        return show(visit, _edit_form(visit, tuple(held)), {"privileges": told(visit, error)})
    return visit.go("/console/groups", done="group_edit")


async def _drop_group(visit: Visit) -> None:
    await visit.talk.call("DropPrivilegeGroup", group_name=visit.names["name"])


PAGES: Final = (
    Page("roles", listed),
    Page("new-role", create_form, create),
    Page("roles/{name}", described),
    Action("roles/{name}/delete", "role_delete", _drop, lambda _visit: "/console/roles", _what_depends).page(),
    Action("roles/{name}/revoke", "grant_revoke", _revoke, _back, _what_is_revoked).page(),
    Page("groups", groups),
    Page("new-group", group_form, create_group),
    Page("groups/{name}", edit_group, change_group),
    Action("groups/{name}/delete", "group_delete", _drop_group, lambda _visit: "/console/groups").page(),
)
