"""Changes of what is selected in a list: a page says what happens to each row, then all of it happens or nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.forms import Field, reason_at_field
from kiteward.api.console.group_roles import GROUPS, mapped_role
from kiteward.api.console.group_roles import shown as group_role_shown
from kiteward.api.console.request import NONE_SELECTED, ConsoleRequest, Page, Reason
from kiteward.api.console.way_back import without_notice
from kiteward.authz.model import ADMIN_ROLE
from kiteward.domain.errors import AccessDenied, NotFound, RequestRefused
from kiteward.iam.json_api.identities import GroupRolesChange, GroupRolesChanged
from kiteward.iam.json_api.keys import Key, KeyNamed
from kiteward.iam.json_api.many import KeysChange, MembersChange, Row, Rows, UsersChange

_ADD: Final = "add_role"
_REMOVE: Final = "remove_role"

Run = Callable[[ConsoleRequest, str, Sequence[str], bool], Awaitable[Rows]]


@dataclass(frozen=True, slots=True)
class Selection:
    """The page about changes of what is selected in one list.

    Attributes:
        path: the path of the page.
        key: the prefix of its texts: `many.<key>.<change>` and others.
        back: the path of the list, and what the paths of others that select begin with.
        changes: the names of the changes; those that remove something are marked as dangerous.
        run: makes a change of what is selected, or with True only returns what would happen.
        shown: returns what the page says about one of what is selected, besides its name; empty for nothing.
    """

    path: str
    key: str
    back: tuple[str, ...]
    changes: Mapping[str, bool]
    run: Run
    shown: Callable[[ConsoleRequest, str], Awaitable[str]] | None = None

    def page(self) -> Page:
        """Return the page."""
        return Page(self.path, self.show, self.act)

    async def show(self, request: ConsoleRequest) -> Response:
        """Lead to the list: what was selected is not in an address."""
        return request.redirect(self.back[0])

    async def act(self, request: ConsoleRequest) -> Response:
        """Show what a change does to each row; with `apply`, make it."""
        change, names = request.form_text("change"), list(dict.fromkeys(request.form_values("selected")))
        back = address_before(request, self.back)
        if not names:
            return request.redirect(back, done=NONE_SELECTED)
        missing = self._missing(request, change)
        if missing:
            return await self._page(request, (change, back), (), missing)
        errors: dict[str, Reason] = {}
        if request.form_text("apply"):
            try:
                await self.run(request, change, names, False)
                return request.redirect(back, done=f"many_{change}")
            except RequestRefused as error:
                errors = {"": request.reason(error.details)}
        try:
            rows = (await self.run(request, change, names, True)).rows
        except RequestRefused as error:
            errors, rows = reason_at_field(request, error, self._fields(request), roleName="role"), []
        return await self._page(request, (change, back), rows, errors)

    def _missing(self, request: ConsoleRequest, change: str) -> dict[str, Reason]:
        """Return what the form lacks, by the field to enter it in."""
        if change not in self.changes:
            return {"change": request.complaint("many.no_change")}
        lacks_role = change in (_ADD, _REMOVE) and not request.form_text("role")
        return {"role": request.complaint("many.no_role")} if lacks_role else {}

    def _fields(self, request: ConsoleRequest) -> tuple[Field, ...]:
        """Return the fields for what to do, which a page without rows asks for again."""
        text = request.text
        choices = [(change, text(f"many.{self.key}.{change}")) for change in self.changes]
        change = Field("change", "select", options=[("", text("choose")), *choices])
        return (change, Field("role", optional=False, complete="roles")) if _ADD in self.changes else (change,)

    async def _page(
        self,
        request: ConsoleRequest,
        what: tuple[str, str],
        rows: Sequence[Row],
        errors: Mapping[str, Reason],
    ) -> Response:
        change, back = what
        role = request.form_text("role") if change in (_ADD, _REMOVE) else ""
        values: dict[str, Any] = {
            "key": self.key,
            "change": change if change in self.changes else "",
            "dangerous": self.changes.get(change, False),
            "path_back": back,
            "within": back,
            "here": f"/console/{self.path}",
            "rows": rows,
            "shown": {row.name: await self.shown(request, row.name) for row in rows} if self.shown else {},
            "role": role,
            "fields": self._fields(request),
            "asked_for": list(dict.fromkeys(request.form_values("selected"))),
            "makes_administrators": change == _ADD and role == ADMIN_ROLE,
            "selected": [row.name for row in rows if row.changed],
        }
        return (
            request.page_with_errors("many.html", errors, **values) if errors else request.page("many.html", **values)
        )


def address_before(request: ConsoleRequest, pages: Sequence[str]) -> str:
    """Return the address of the page that a selection was made in, which the form has as `back`.

    Args:
        request: the request.
        pages: what the paths of such pages begin with; the first is the page for anything else.
    """
    before = without_notice(request.form_text("back"))
    return before if before.startswith(tuple(pages)) else pages[0]


async def _users(request: ConsoleRequest, change: str, names: Sequence[str], dry_run: bool) -> Rows:
    if change in (_ADD, _REMOVE):
        members = MembersChange(role_name=request.form_text("role"), dry_run=dry_run)
        if change == _ADD:
            members.add = list(names)
        else:
            members.remove = list(names)
        return await request.client.invoke("ChangeRoleMembers", members, Rows)
    return await request.client.invoke(
        "ChangeUsers", UsersChange(user_names=list(names), change=change, dry_run=dry_run), Rows
    )


async def _keys(request: ConsoleRequest, change: str, names: Sequence[str], dry_run: bool) -> Rows:
    wanted = KeysChange(key_ids=list(names), change=change, dry_run=dry_run)
    return await request.client.invoke("ChangeApiKeys", wanted, Rows)


async def _key_shown(request: ConsoleRequest, name: str) -> str:
    """Return the owner and the description of a key, whose id alone says little; empty where there is no such key."""
    try:
        key = await request.client.invoke("DescribeApiKey", KeyNamed(key_id=name), Key)
    except (AccessDenied, NotFound):
        return ""
    return request.text("label.separator").join(filter(None, (key.user_name, key.description)))


async def _group_role_shown(request: ConsoleRequest, name: str) -> str:
    return group_role_shown(request, name)


async def _group_roles(request: ConsoleRequest, _change: str, names: Sequence[str], dry_run: bool) -> Rows:
    wanted = GroupRolesChange(revoke=[mapped_role(name) for name in names], dry_run=dry_run)
    found = await request.client.invoke("ChangeGroupRoles", wanted, GroupRolesChanged)
    pairs = zip(names, found.revoked, strict=True)
    return Rows(rows=[Row(name=name, changed=changed, refused="", details=[]) for name, changed in pairs])


PAGES: Final = (
    Selection(
        "change-users",
        "users",
        ("/console/users", "/console/roles/"),
        {"disable": False, "enable": False, "delete": True, _ADD: False, _REMOVE: True},
        _users,
    ).page(),
    Selection(
        "change-keys",
        "keys",
        ("/console/keys",),
        {"disable": False, "enable": False, "revoke": True},
        _keys,
        _key_shown,
    ).page(),
    Selection(
        "change-group-roles", "group_roles", (GROUPS,), {"revoke_role": True}, _group_roles, _group_role_shown
    ).page(),
)
