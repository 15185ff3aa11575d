"""The pages about roles and privilege groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.forms import Action, Description, Field, Form, path_below, reason_at_field, show
from kiteward.api.console.lists import Asked, Found, ListPage, Shown, in_memory
from kiteward.api.console.privilege_choices import privileges_field
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.authz.granted_masks import allows_nothing
from kiteward.authz.model import PUBLIC_ROLE, GrantKey
from kiteward.authz.privileges import BUILT_IN_GROUPS, ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, NotFound, ProtectedObject, RequestRefused
from kiteward.iam.json_api.accounts import Accounts, Listing
from kiteward.iam.json_api.base import Done
from kiteward.iam.json_api.grants import GrantChange, GrantNamed, GrantsChanged, GroupChange, GroupChanged, NewGroup
from kiteward.iam.json_api.many import MembersChange, Rows
from kiteward.iam.json_api.role_details import CopiedRole, GrantList, GrantListing, RoleCopy
from kiteward.iam.json_api.roles import RoleList, RoleListing
from kiteward.milvus import messages

_EVERYWHERE: Final = "*"
_EVERYBODY: Final = "all users"
"""The members of `public` in a file, whose texts are those of the API in every language."""

_MOST_BOXES: Final = 100
"""Most roles that are offered as boxes."""

_MOST_GRANTS: Final = 1_000
"""Most grants that are searched for the roles that have a privilege group."""

_MOST_NAMED: Final = 20
"""About how many names are listed in what is said before something is deleted."""


async def _read(request: ConsoleRequest, _asked: Asked, arguments: Mapping[str, Any]) -> Found:
    found = await request.client.invoke("ListRoles", RoleListing(**arguments), RoleList)
    return Found(found.roles, found.total or 0)


_LIST: Final = ListPage(
    "roles",
    "roles.html",
    _read,
    {
        "roleName": lambda role: role.role_name,
        "description": lambda role: role.description,
        "members": lambda role: _EVERYBODY if role.all_users else role.members,
        "grants": lambda role: role.grants,
    },
)


async def roles_field(request: ConsoleRequest) -> Field:
    """Return the field for the roles of a new user: boxes, or where there are many roles, their names to type."""
    found = await request.client.invoke("ListRoles", RoleListing(limit=_MOST_BOXES, total=True), RoleList)
    if (found.total or 0) > _MOST_BOXES:
        return Field("roles", hint=request.text("roles.typed"), complete="roles")
    names = (role.role_name for role in found.roles)
    return Field("roles", "checks", options=[(name, name) for name in names if name != PUBLIC_ROLE])


def names_in(request: ConsoleRequest, field: str) -> list[str]:
    """Return the names that the boxes of a field select, or that were typed into it between commas or spaces."""
    return [name for value in request.form_values(field) for name in value.replace(",", " ").split()]


async def _role(request: ConsoleRequest) -> Any:
    name = request.names["name"]
    asked = messages.SelectRoleRequest(role=messages.RoleEntity(name=name), include_user_info=True)
    found = await request.client.call(asked, messages.SelectRoleResponse)
    if not found.results:
        raise NotFound(
            f"role not found: {name}", ErrorDetail(ErrorCode.ROLE_NOT_FOUND, {"name": name}), field="roleName"
        )
    return found.results[0]


async def _grants(request: ConsoleRequest) -> Any:
    role = messages.RoleEntity(name=request.names["name"])
    entity = messages.GrantEntity(role=role, db_name=_EVERYWHERE)
    found = await request.client.call(messages.SelectGrantRequest(entity=entity), messages.SelectGrantResponse)
    return found.entities


def key_of(entity: messages.GrantEntity) -> GrantKey:
    """Return the key of a grant that a Milvus RPC has answered."""
    kind, name = ObjectType(entity.object.name), entity.grantor.privilege.name
    return GrantKey(kind, entity.db_name, entity.object_name, name)


async def described(request: ConsoleRequest, errors: dict[str, Reason] | None = None) -> Response:
    """Describe a role: members and grants."""
    role, asked = (await _role(request)).role, Asked.of(request)
    wanted = Listing(**asked.arguments(), role_name=role.name)
    members = await request.client.invoke("ListUserAccounts", wanted, Accounts)
    shown = Shown(asked, members.total or 0)
    if shown.beyond:
        return request.redirect(asked.link(page=shown.pages))
    values: dict[str, Any] = {"role": role, "list": shown, "entries": members.users, "grants": await _grants(request)}
    values["idle"] = [allows_nothing(key_of(each)) for each in values["grants"]]
    return request.page_with_errors("role.html", errors, **values) if errors else request.page("role.html", **values)


async def add_members(request: ConsoleRequest) -> Response:
    """Bind the role to users."""
    role, names = request.names["name"], names_in(request, "member")
    if not names:
        return await described(request, {"member": request.complaint("field.needed")})
    try:
        await request.client.invoke("ChangeRoleMembers", MembersChange(role_name=role, add=names), Rows)
    except RequestRefused as error:
        return await described(request, {"member": request.reason(error.details)})
    return request.stay(path_below("roles", role), done="member_add")


async def _remove_member(request: ConsoleRequest) -> None:
    wanted = MembersChange(role_name=request.names["name"], remove=[request.names["user"]])
    await request.client.invoke("ChangeRoleMembers", wanted, Rows)


def _create_form(request: ConsoleRequest) -> Form:
    text = request.text
    fields = [
        Field("role_name", hint=text("role_new.name"), required=True),
        Field("description"),
        Field("source", hint=text("role_new.source"), value=request.query_value("source"), complete="roles"),
    ]
    return Form(text("role_new.title"), text("role_new.button"), "/console/roles", fields)


async def create_form(request: ConsoleRequest) -> Response:
    """Show the form for a new role."""
    return show(request, _create_form(request))


async def create(request: ConsoleRequest) -> Response:
    """Create a role, with the grants of another one where that is named."""
    name, description, source = (request.form_text(field) for field in ("role_name", "description", "source"))
    if not name:
        return show(request, _create_form(request), {"role_name": request.complaint("field.needed")})
    try:
        if source:
            wanted = RoleCopy(role_name=name, source=source, description=description)
            await request.client.invoke("CopyRole", wanted, CopiedRole)
        else:
            role = messages.RoleEntity(name=name, description=description)
            await request.client.call(messages.CreateRoleRequest(entity=role))
    except RequestRefused as error:
        form = _create_form(request)
        return show(request, form, reason_at_field(request, error, form.fields))
    return request.redirect(path_below("roles", name), done="role_new")


async def _description(request: ConsoleRequest) -> str:
    return str((await _role(request)).role.description)


async def _describe(request: ConsoleRequest, description: str) -> None:
    await request.client.call(messages.AlterRoleRequest(role_name=request.names["name"], description=description))


async def _drop(request: ConsoleRequest) -> None:
    await request.client.call(messages.DropRoleRequest(role_name=request.names["name"], force_drop=True))


async def _what_depends(request: ConsoleRequest) -> list[str]:
    """Return texts about the members and grants that are dropped with a role."""
    role, grants = await _role(request), await _grants(request)
    names = [user.name for user in role.users]
    return [
        request.text("role_delete.members", members=_listed(request, names)),
        request.text("role_delete.grants", count=len(grants)),
    ]


def _listed(request: ConsoleRequest, names: Sequence[str]) -> str:
    """Return names as one text: all of them, or where there are many the first ones and the number of the others."""
    shown = len(names) if len(names) <= _MOST_NAMED + 1 else _MOST_NAMED
    listed = request.text("list.separator").join(names[:shown]) or request.text("none")
    others = len(names) - shown
    return request.text("role_delete.others", members=listed, count=others) if others else listed


async def _revoke(request: ConsoleRequest) -> None:
    named = GrantNamed(
        privilege=request.query_value("privilege"),
        db_name=request.query_value("database"),
        collection_name=request.query_value("object"),
        object_type=request.query_value("type"),
    )
    await request.client.invoke(
        "ChangeGrants", GrantChange(role_name=request.names["name"], revoke=[named]), GrantsChanged
    )


async def _what_is_revoked(request: ConsoleRequest) -> dict[str, str]:
    return {key: request.query_value(key) for key in ("privilege", "database", "object")}


def _back(request: ConsoleRequest) -> str:
    return path_below("roles", request.names["name"])


# Privilege groups


@dataclass(frozen=True, slots=True)
class Group:
    """A privilege group in the list."""

    name: str
    privileges: Sequence[str]

    @property
    def built_in(self) -> bool:
        """Whether it is one that cannot be changed."""
        return self.name in BUILT_IN_GROUPS


async def all_groups(request: ConsoleRequest) -> list[Group]:
    """Return the privilege groups that the user may see, built-in ones included."""
    found = await request.client.call(messages.ListPrivilegeGroupsRequest(), messages.ListPrivilegeGroupsResponse)
    return [Group(group.group_name, [each.name for each in group.privileges]) for group in found.privilege_groups]


async def _read_groups(request: ConsoleRequest, _asked: Asked, arguments: Mapping[str, Any]) -> Found:
    return in_memory(await all_groups(request), arguments, _GROUP_COLUMNS, "groupName", "privileges")


_GROUP_COLUMNS: Final[Mapping[str, Callable[[Group], Any]]] = {
    "groupName": lambda group: group.name,
    "privileges": lambda group: " ".join(group.privileges),
    "count": lambda group: len(group.privileges),
}

_GROUPS: Final = ListPage(
    "groups",
    "groups.html",
    _read_groups,
    {"groupName": _GROUP_COLUMNS["groupName"], "privileges": _GROUP_COLUMNS["privileges"]},
)


async def create_group(request: ConsoleRequest) -> Response:
    """Create a group with its first members, all of it or nothing."""
    name, form = request.form_text("group_name"), _group_form(request)
    if not name:
        return show(request, form, {"group_name": request.complaint("field.needed")})
    wanted = NewGroup(privilege_group_name=name, privileges=request.form_values("privileges"))
    try:
        await request.client.invoke("MakePrivilegeGroup", wanted, Done)
    except RequestRefused as error:
        return show(request, form, reason_at_field(request, error, form.fields, privilegeGroupName="group_name"))
    return request.finish("/console/groups", done="group_new")


def _group_form(request: ConsoleRequest) -> Form:
    text = request.text
    fields = [Field("group_name", hint=text("group_new.name"), required=True), privileges_field(request)]
    return Form(text("group_new.title"), text("group_new.button"), "/console/groups", fields)


async def group_form(request: ConsoleRequest) -> Response:
    """Show the form for a new group."""
    return show(request, _group_form(request))


async def _held(request: ConsoleRequest) -> tuple[str, ...]:
    name = request.names["name"]
    for group in await all_groups(request):
        if group.name == name:
            return tuple(group.privileges)
    raise NotFound(
        f"privilege group not found: {name}",
        ErrorDetail(ErrorCode.GROUP_NOT_FOUND, {"name": name}),
        field="privilegeGroupName",
    )


async def edit_group(request: ConsoleRequest) -> Response:
    """Show the form for changing the members of a group; of a built-in one, what it contains."""
    name = request.names["name"]
    if name in BUILT_IN_GROUPS:
        return request.page("group.html", name=name, privileges=BUILT_IN_GROUPS[name])
    return show(request, _edit_form(request, await _held(request)))


def _edit_form(request: ConsoleRequest, held: tuple[str, ...]) -> Form:
    text, name = request.text, request.names["name"]
    effects = [text("group_edit.effect", name=name)]
    fields = [privileges_field(request, held)]
    return Form(text("group_edit.title", name=name), text("group_edit.button"), "/console/groups", fields, effects)


async def change_group(request: ConsoleRequest) -> Response:
    """Add and remove members of a group, as selected, all of it or nothing."""
    name, held, wanted = request.names["name"], set(await _held(request)), set(request.form_values("privileges"))
    if wanted != held:
        change = GroupChange(privilege_group_name=name, add=sorted(wanted - held), remove=sorted(held - wanted))
        try:
            await request.client.invoke("ChangePrivilegeGroup", change, GroupChanged)
        except RequestRefused as error:
            return show(request, _edit_form(request, tuple(held)), {"privileges": request.reason(error.details)})
    return request.finish("/console/groups", done="group_edit")


async def _require_custom(request: ConsoleRequest) -> None:
    """Refuse at once to delete a group that is built in, or not there: Milvus takes both for a success."""
    await _held(request)
    name = request.names["name"]
    if name in BUILT_IN_GROUPS:
        raise ProtectedObject(
            f"privilege group [{name}] is built in", ErrorDetail(ErrorCode.GROUP_NAME_RESERVED, {"name": name})
        )


async def _holders_of_group(request: ConsoleRequest) -> list[str]:
    """Return a text about the roles that still have a group; nothing for a user who may not list grants."""
    await _require_custom(request)
    wanted = GrantListing(privilege=request.names["name"], limit=_MOST_GRANTS)
    try:
        found = await request.client.invoke("ListGrants", wanted, GrantList)
    except AccessDenied:
        return []
    roles = sorted({grant.role for grant in found.grants})
    text = request.text
    return [text("group_delete.roles", roles=_listed(request, roles)) if roles else text("group_delete.no_roles")]


async def _drop_group(request: ConsoleRequest) -> None:
    await _require_custom(request)
    await request.client.call(messages.DropPrivilegeGroupRequest(group_name=request.names["name"]))


PAGES: Final = (
    *_LIST.pages(),
    Page("new-role", create_form, create),
    Page("roles/{name}", described, add_members),
    Description("roles/{name}/description", "role_describe", _description, _describe, _back).page(),
    Action("roles/{name}/members/{user}/remove", "member_remove", _remove_member, _back).page(),
    Action(
        "roles/{name}/delete",
        "role_delete",
        _drop,
        lambda _console_request: "/console/roles",
        _what_depends,
        "name",
        removes=True,
    ).page(),
    Action("roles/{name}/revoke", "grant_revoke", _revoke, _back, about=_what_is_revoked).page(),
    *_GROUPS.pages(),
    Page("new-group", group_form, create_group),
    Page("groups/{name}", edit_group, change_group),
    Action(
        "groups/{name}/delete",
        "group_delete",
        _drop_group,
        lambda _console_request: "/console/groups",
        _holders_of_group,
        removes=True,
    ).page(),
)
