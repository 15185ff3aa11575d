"""Users who sign in by an identity provider, and the roles that their groups give."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from kiteward.audit.events import Event
from kiteward.authn.principals import PrincipalLookup
from kiteward.iam import identities
from kiteward.iam.identities import SCIM, Invitation
from kiteward.iam.json_api.base import AdminOperation, Arguments, Done, Outcome, Request
from kiteward.iam.json_api.listing import ListArguments, next_of, part_of
from kiteward.iam.json_api.shapes import Changed, moment
from kiteward.iam.services import Services
from kiteward.store.identity_records import GroupRole, IdentityRecord
from kiteward.store.listings import USER_COLUMNS, UserListing
from kiteward.store.records import UserRecord


class IdentityListing(ListArguments):
    """Selects users by their identity provider; without `issuer`, those of all. `userName` selects one user."""

    issuer: str = ""
    user_name: str = ""


class Identity(Outcome):
    """A user who signs in by an identity provider.

    `subject` is null until an invited user signs in. `groups`, `claimedRoles` and `claimedTags` are those of the token
    of the last sign-in, and `tokenRoles` the roles that these give now, beside those bound to the user. Tokens issued
    before `notBefore` are refused.
    """

    user_name: str
    issuer: str
    subject: str | None
    enabled: bool
    created_at: datetime
    signed_in_at: datetime | None
    groups: list[str]
    claimed_roles: list[str]
    claimed_tags: dict[str, str]
    token_roles: list[str]
    not_before: datetime | None


class Identities(Outcome):
    """A page of users; `next` is the value of `after` for the next page, empty at the end."""

    identities: list[Identity]
    next: str
    total: int | None = None


class Invited(Arguments):
    """A user who may sign in by an identity provider, once `subject` or, without it, anybody of that name does."""

    issuer: str
    user_name: str
    subject: str = ""
    description: str = ""
    roles: list[str] = msgspec.field(default_factory=list)


class NamedIdentity(Arguments):
    """Names a user who signs in by an identity provider."""

    user_name: str


class CutOff(Arguments):
    """From when on tokens count: those of a user, or those of all users of an issuer; now, without `notBefore`."""

    user_name: str = ""
    issuer: str = ""
    not_before: datetime | None = None


class CutOffSet(Outcome):
    """Since when tokens must have been issued."""

    not_before: datetime


class IssuerNamed(Arguments):
    """Names an issuer; without it, all of them are meant."""

    issuer: str = ""


class MappedRole(Arguments):
    """A role that membership in a group gives. `issuer` is an identity provider, or `scim` for groups of SCIM.

    With `pattern`, `group` is a pattern in which `*` stands for any text.
    """

    issuer: str
    group: str
    role_name: str
    pattern: bool = False


class GroupRolesChange(Arguments):
    """The roles that groups no longer give, and those that they give then. With `dryRun` nothing is changed."""

    grant: list[MappedRole] = msgspec.field(default_factory=list)
    revoke: list[MappedRole] = msgspec.field(default_factory=list)
    dry_run: bool = False


class GroupRolesChanged(Outcome):
    """Whether each of the roles is new, and whether each was given, in the order given."""

    granted: list[bool]
    revoked: list[bool]


class GroupRoleShown(Outcome):
    """A role that a group gives. `configured` says that the configuration gives it, so that it cannot be revoked."""

    issuer: str
    group: str
    pattern: bool
    role_name: str
    configured: bool


class GroupRoles(Outcome):
    """All roles that groups give."""

    group_roles: list[GroupRoleShown]


async def listed(services: Services, _request: Request, arguments: IdentityListing) -> Identities:
    """List users who sign in by an identity provider."""
    part, total = part_of(arguments, USER_COLUMNS, "userName"), None
    if arguments.user_name:
        record = await services.store.user(arguments.user_name)
        found: Sequence[UserRecord] = [] if record is None else [record]
    else:
        listing = UserListing(part, contains=arguments.contains, federated=True, issuer=arguments.issuer)
        listed = await services.store.list_users(listing)
        found, total = listed.users, listed.total
    _require_known(services, arguments.issuer, found)
    principals = services.principals
    return Identities(
        identities=[
            await _shown(principals, record, record.identity)
            for record in found
            if record.identity is not None and arguments.issuer in ("", record.identity.issuer)
        ],
        next="" if arguments.user_name else next_of(part, [record.name for record in found]),
        total=total,
    )


def _require_known(services: Services, issuer: str, found: Sequence[object]) -> None:
    """Require that an issuer that selects nothing is configured: one that no longer is may have users and roles.

    Raises:
        NotFound: it is not.
    """
    if not found and issuer not in ("", SCIM):
        identities.configured(services, issuer)


async def _shown(principals: PrincipalLookup, record: UserRecord, held: IdentityRecord) -> Identity:
    roles = (await principals.of_user(record)).principal.roles
    return Identity(
        user_name=record.name,
        issuer=held.issuer,
        subject=held.subject,
        enabled=record.enabled,
        created_at=datetime.fromtimestamp(int(held.created_at), UTC),
        signed_in_at=moment(record.signed_in_at),
        groups=list(held.rights.groups),
        claimed_roles=list(held.rights.roles),
        claimed_tags=dict(held.rights.tags),
        token_roles=sorted(roles.difference(record.roles, record.group_roles)),
        not_before=moment(held.not_before or None),
    )


async def invited(services: Services, request: Request, arguments: Invited) -> Done:
    """Create a user who signs in by an identity provider."""
    invitation = Invitation(
        arguments.issuer,
        arguments.user_name,
        subject=arguments.subject,
        description=arguments.description,
        roles=arguments.roles,
    )
    await identities.invite(services, request, invitation)
    return Done()


async def unbound(_services: Services, request: Request, arguments: NamedIdentity) -> Done:
    """Let another subject sign in as a user."""
    await identities.release(request, arguments.user_name)
    return Done()


async def cut_off(services: Services, request: Request, arguments: CutOff) -> CutOffSet:
    """Set from when on tokens count."""
    given = arguments.not_before
    since = await identities.cut_off(
        services,
        request,
        issuer=arguments.issuer,
        user_name=arguments.user_name,
        not_before=None if given is None else given.timestamp(),
    )
    return CutOffSet(not_before=datetime.fromtimestamp(int(since), UTC))


async def mapped(services: Services, _request: Request, arguments: IssuerNamed) -> GroupRoles:
    """List the roles that groups give."""
    issuers = [each for name, each in services.issuers.items() if arguments.issuer in ("", name)]
    rows = [
        GroupRoleShown(issuer=each.name, group=group, pattern=pattern, role_name=role, configured=True)
        for each in issuers
        for pattern, held in ((False, each.group_roles.exact), (True, each.group_roles.patterns))
        for group, roles in held.items()
        for role in roles
    ]
    rows += [
        GroupRoleShown(
            issuer=each.issuer, group=each.group, pattern=each.is_pattern, role_name=each.role, configured=False
        )
        for each in await services.store.group_roles(arguments.issuer or None)
    ]
    _require_known(services, arguments.issuer, rows)
    return GroupRoles(group_roles=sorted(rows, key=lambda row: (row.issuer, row.group, row.pattern, row.role_name)))


async def granted(services: Services, request: Request, arguments: MappedRole) -> Done:
    """Let a group give a role."""
    await identities.grant_group_role(services, request, group_role(arguments))
    return Done()


async def revoked(_services: Services, request: Request, arguments: MappedRole) -> Changed:
    """Let a group no longer give a role."""
    return Changed(changed=await identities.revoke_group_role(request, group_role(arguments)))


async def many_changed(services: Services, request: Request, arguments: GroupRolesChange) -> GroupRolesChanged:
    """Let groups give several roles, and no longer give others, all of it or nothing."""
    result = await identities.change_group_roles(
        services,
        request,
        grant=[group_role(each) for each in arguments.grant],
        revoke=[group_role(each) for each in arguments.revoke],
        dry_run=arguments.dry_run,
    )
    return GroupRolesChanged(granted=list(result.granted), revoked=list(result.revoked))


def group_role(arguments: MappedRole) -> GroupRole:
    """Return the role of a group that a request names."""
    return GroupRole(arguments.issuer, arguments.group, arguments.pattern, arguments.role_name)


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ListIdentities",
        "identities/list",
        IdentityListing,
        Identities,
        listed,
        "List users who sign in by an identity provider, page by page.",
        changes=False,
    ),
    AdminOperation(
        "InviteUser",
        "identities/invite",
        Invited,
        Done,
        invited,
        "Create a user who signs in by an identity provider.",
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "UnbindIdentity",
        "identities/unbind",
        NamedIdentity,
        Done,
        unbound,
        "Let another subject of the identity provider sign in as a user.",
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "CutOffTokens",
        "identities/cutoff",
        CutOff,
        CutOffSet,
        cut_off,
        "Refuse tokens of a user or an identity provider that were issued before a moment.",
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "ListGroupRoles",
        "group_roles/list",
        IssuerNamed,
        GroupRoles,
        mapped,
        f"List the roles that groups of identity providers give; of `{SCIM}` those that SCIM provisions.",
        changes=False,
    ),
    AdminOperation(
        "GrantGroupRole",
        "group_roles/grant",
        MappedRole,
        Done,
        granted,
        "Let membership in a group of an identity provider give a role.",
        event=Event.GRANT_CHANGE,
    ),
    AdminOperation(
        "RevokeGroupRole",
        "group_roles/revoke",
        MappedRole,
        Changed,
        revoked,
        "Let membership in a group no longer give a role.",
        event=Event.GRANT_CHANGE,
    ),
    AdminOperation(
        "ChangeGroupRoles",
        "group_roles/change",
        GroupRolesChange,
        GroupRolesChanged,
        many_changed,
        "Let groups of identity providers give several roles and no longer give others in one step, or return what "
        "that would change.",
        event=Event.GRANT_CHANGE,
        details_limit=2 * 1024 * 1024,
    ),
)
