"""SCIM: what its clients do with users and groups; and administrators, who hand users over to it and take them back."""

from typing import Any, Final

import msgspec

from kiteward.audit.events import Event
from kiteward.authz.privileges import PRIVILEGES
from kiteward.iam.json_api.accounts import Named
from kiteward.iam.json_api.base import AdminOperation, Arguments, Done, Outcome, Request
from kiteward.iam.scim import groups, hand_over, users
from kiteward.iam.scim.listing import Page, Query
from kiteward.iam.scim.patching import Operation, Verb
from kiteward.iam.services import Services

_LARGEST: Final = 4 * 1024 * 1024
"""Bytes of one change that are recorded in full: a group may have many members."""

_PRIVILEGE: Final = PRIVILEGES["ProvisionUsers"]


class Listed(Arguments):
    """Which users or groups to list; `start` is counted from 1. Groups are listed with their members, or without."""

    filter: str = ""
    start: int = 1
    count: int = 100
    members: bool = True

    def query(self) -> Query:
        """Return the same for a service."""
        return Query(self.filter, self.start, self.count, self.members)


class Resources(Outcome):
    """A page of resources, as SCIM shows them, and how many there are in all."""

    resources: list[dict[str, Any]]
    total: int

    @classmethod
    def of(cls, page: Page) -> "Resources":
        """Return a page of a service."""
        return cls(resources=[dict(each) for each in page.resources], total=page.total)


class Identified(Arguments):
    """Names a resource by its id; to change it, it must have one of `versions`, if there are any."""

    id: str
    versions: list[str] = msgspec.field(default_factory=list)


class NewResource(Arguments):
    """A resource to be made."""

    resource: dict[str, Any]


class Replacement(Identified, kw_only=True):
    """What replaces a resource."""

    resource: dict[str, Any]


class PatchOperation(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One operation of a patch."""

    op: Verb
    path: str = ""
    value: Any = None


class Patch(Identified, kw_only=True):
    """Operations that change a resource, one after another; all of them or none."""

    operations: list[PatchOperation]

    def parsed(self) -> list[Operation]:
        """Return the same for a service."""
        return [Operation(each.op, each.path, each.value) for each in self.operations]


class Resource(Outcome):
    """A resource, as SCIM shows it."""

    resource: dict[str, Any]


class HandedOver(Arguments):
    """A user to be managed by SCIM, and its `userName` at the identity provider; without one, its name."""

    user_name: str
    scim_user_name: str = ""


async def users_listed(services: Services, _request: Request, arguments: Listed) -> Resources:
    """List users."""
    return Resources.of(await users.list_users(services, arguments.query()))


async def user_read(services: Services, _request: Request, arguments: Identified) -> Resource:
    """Return a user."""
    return Resource(resource=await users.get_user(services, arguments.id))


async def user_created(services: Services, request: Request, arguments: NewResource) -> Resource:
    """Make a user."""
    return Resource(resource=await users.create_user(services, request, arguments.resource))


async def user_replaced(services: Services, request: Request, arguments: Replacement) -> Resource:
    """Replace a user."""
    changed = await users.replace_user(services, request, arguments.id, arguments.resource, versions=arguments.versions)
    return Resource(resource=changed)


async def user_patched(services: Services, request: Request, arguments: Patch) -> Resource:
    """Apply operations to a user."""
    changed = await users.patch_user(services, request, arguments.id, arguments.parsed(), versions=arguments.versions)
    return Resource(resource=changed)


async def user_deleted(services: Services, request: Request, arguments: Identified) -> Done:
    """Delete a user."""
    await users.delete_user(services, request, arguments.id, versions=arguments.versions)
    return Done()


async def groups_listed(services: Services, _request: Request, arguments: Listed) -> Resources:
    """List groups."""
    return Resources.of(await groups.list_groups(services, arguments.query()))


async def group_read(services: Services, _request: Request, arguments: Identified) -> Resource:
    """Return a group."""
    return Resource(resource=await groups.get_group(services, arguments.id))


async def group_created(services: Services, request: Request, arguments: NewResource) -> Resource:
    """Make a group."""
    return Resource(resource=await groups.create_group(services, request, arguments.resource))


async def group_replaced(services: Services, request: Request, arguments: Replacement) -> Resource:
    """Replace a group."""
    changed = await groups.replace_group(
        services, request, arguments.id, arguments.resource, versions=arguments.versions
    )
    return Resource(resource=changed)


async def group_patched(services: Services, request: Request, arguments: Patch) -> Resource:
    """Apply operations to a group."""
    changed = await groups.patch_group(services, request, arguments.id, arguments.parsed(), versions=arguments.versions)
    return Resource(resource=changed)


async def group_deleted(services: Services, request: Request, arguments: Identified) -> Done:
    """Delete a group."""
    await groups.delete_group(services, request, arguments.id, versions=arguments.versions)
    return Done()


async def handed_over(services: Services, request: Request, arguments: HandedOver) -> Done:
    """Let SCIM manage an existing user."""
    await hand_over.hand_over(services, request, arguments.user_name, arguments.scim_user_name or arguments.user_name)
    return Done()


async def taken_back(_services: Services, request: Request, arguments: Named) -> Done:
    """Let SCIM no longer manage a user."""
    await hand_over.take_back(request, arguments.user_name)
    return Done()


def _read(
    name: str, path: str, arguments: type[Arguments], outcome: type[Outcome], run: Any, summary: str
) -> AdminOperation:
    return AdminOperation(
        name,
        path,
        arguments,
        outcome,
        run,
        summary,
        administrators=False,
        privilege=_PRIVILEGE,
        changes=False,
        rest=False,
    )


def _change(
    name: str, path: str, arguments: type[Arguments], outcome: type[Outcome], run: Any, summary: str
) -> AdminOperation:
    return AdminOperation(
        name,
        path,
        arguments,
        outcome,
        run,
        summary,
        administrators=False,
        privilege=_PRIVILEGE,
        rest=False,
        event=Event.USER_CHANGE,
        details_limit=_LARGEST,
        unrecorded_results=frozenset({"resource"}) if outcome is Resource else frozenset(),
    )


ADMIN_OPERATIONS: Final = (
    _read("ListScimUsers", "scim/list_users", Listed, Resources, users_listed, "List the users of SCIM."),
    _read("GetScimUser", "scim/get_user", Identified, Resource, user_read, "Return a user of SCIM."),
    _change("CreateScimUser", "scim/create_user", NewResource, Resource, user_created, "Make a user by SCIM."),
    _change("ReplaceScimUser", "scim/replace_user", Replacement, Resource, user_replaced, "Replace a user of SCIM."),
    _change("PatchScimUser", "scim/patch_user", Patch, Resource, user_patched, "Change a user of SCIM."),
    _change("DeleteScimUser", "scim/delete_user", Identified, Done, user_deleted, "Delete a user of SCIM."),
    _read("ListScimGroups", "scim/list_groups", Listed, Resources, groups_listed, "List the groups of SCIM."),
    _read("GetScimGroup", "scim/get_group", Identified, Resource, group_read, "Return a group of SCIM."),
    _change("CreateScimGroup", "scim/create_group", NewResource, Resource, group_created, "Make a group by SCIM."),
    _change(
        "ReplaceScimGroup", "scim/replace_group", Replacement, Resource, group_replaced, "Replace a group of SCIM."
    ),
    _change("PatchScimGroup", "scim/patch_group", Patch, Resource, group_patched, "Change a group of SCIM."),
    _change("DeleteScimGroup", "scim/delete_group", Identified, Done, group_deleted, "Delete a group of SCIM."),
    AdminOperation(
        "HandOverToScim",
        "scim/hand_over",
        HandedOver,
        Done,
        handed_over,
        "Let SCIM manage an existing user.",
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "TakeBackFromScim",
        "scim/take_back",
        Named,
        Done,
        taken_back,
        "Let SCIM no longer manage a user.",
        event=Event.USER_CHANGE,
    ),
)
