"""Users who sign in by an identity provider: invitations, whom an identity is, and from when on tokens count."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.authn.oidc.issuers import Issuer
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AlreadyExists, InvalidArgument, LimitReached, NotFound
from kiteward.domain.faults import Faults
from kiteward.iam.caller import Caller
from kiteward.iam.lookup import require_role, require_user
from kiteward.iam.many import require_not_too_many
from kiteward.iam.services import Services
from kiteward.iam.users import NewUser, add_user
from kiteward.store.identity_records import GroupRole, IdentityRecord
from kiteward.store.records import NO_PASSWORD, UserRecord
from kiteward.store.scim_records import SCIM_ISSUER
from kiteward.store.transaction import Transaction

SCIM: Final = SCIM_ISSUER
"""Stands for an issuer where roles are given to groups that SCIM provisions."""

LONGEST_GROUP: Final = 1024
"""Most characters of the name of a group, or of a pattern."""

LONGEST_SUBJECT: Final = 255
"""Most characters of a subject (OpenID Connect Core 1.0, 2)."""

MOST_GROUP_ROLES: Final = 10_000
"""Most roles that groups of all issuers give by the store."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """A user who may sign in by an identity provider.

    Attributes:
        issuer: the identity provider.
        user_name: the user name, as it is made from the claims.
        subject: the subject who may be this user; empty for the first one with that name.
        description: free text.
        roles: names of roles to bind.
    """

    issuer: str
    user_name: str
    subject: str = ""
    description: str = ""
    roles: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ChangedGroupRoles:
    """What a change of roles of groups did, in the order given: which are given that were not, and no longer given."""

    granted: Sequence[bool]
    revoked: Sequence[bool]


async def invite(services: Services, caller: Caller, invitation: Invitation) -> None:
    """Create a user who signs in by an identity provider, and bind roles to it.

    Raises:
        NotFound: the identity provider is not configured.
        InvalidArgument: the name is not acceptable, or no token of this provider could have it.
        AlreadyExists: there is a user of this name, or the subject already signs in another.
        LimitReached, RoleNotFound: as of `create_user`.
    """
    issuer, name = configured(services, invitation.issuer), invitation.user_name
    faults = Faults()
    with faults:
        services.naming.check_user_name(name)
        _require_prefix(issuer, name)
    with faults:
        services.naming.check_user_description(invitation.description)
    with faults:
        _check_subject(invitation.subject)
    faults.require_none()
    async with caller.change() as transaction:
        holder = invitation.subject and await transaction.identities.user_of(issuer.name, invitation.subject)
        if holder:
            raise AlreadyExists(
                f"the subject already signs in another user: {holder}",
                ErrorDetail(ErrorCode.IDENTITY_SUBJECT_TAKEN, {"name": holder}),
                field="subject",
            )
        await add_user(services, transaction, NewUser(name, NO_PASSWORD, invitation.description))
        await transaction.identities.add(name, issuer.name, invitation.subject or None)
        for role in invitation.roles:
            await require_role(transaction, role, field="roles")
            await transaction.roles.bind(name, role)


def _check_subject(subject: str) -> None:
    if len(subject) > LONGEST_SUBJECT:
        raise InvalidArgument(
            f"a subject has at most {LONGEST_SUBJECT} characters",
            ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": LONGEST_SUBJECT}),
            field="subject",
        )


async def release(caller: Caller, user_name: str) -> None:
    """Let another subject of the same identity provider sign in as a user; the present one is signed out.

    The user keeps its roles, tags and API keys.

    Raises:
        UserNotFound: there is no such user.
        NotFound: the user does not sign in by an identity provider.
    """
    async with caller.change() as transaction:
        held = _identity(await require_user(transaction, user_name))
        await transaction.identities.release(user_name)
        await transaction.users.renew_credential(user_name)
        caller.record(issuer=held.issuer, subject=held.subject or "")


async def cut_off(
    services: Services, caller: Caller, *, issuer: str, user_name: str, not_before: float | None
) -> float:
    """Accept tokens of a user, or of all users of an identity provider, only if they were issued since a moment.

    Console sessions that began before end too, and API keys that services got for such tokens. Other API keys stay.

    Args:
        services: what services work with.
        caller: an administrator.
        issuer: the identity provider; empty where a user is named.
        user_name: the user; empty for all users of the provider.
        not_before: seconds since the epoch, or before it for every token; None for now.

    Returns:
        The moment; a later one if that was set before, because what was cut off is not accepted again.

    Raises:
        InvalidArgument: both are given, or neither; or the moment is yet to come.
        UserNotFound, NotFound: there is no such user or provider, or the user does not sign in by one.
    """
    if bool(issuer) == bool(user_name):
        detail = ErrorDetail(ErrorCode.EXACTLY_ONE_ARGUMENT, {"first": "userName", "second": "issuer"})
        raise InvalidArgument("give either `userName` or `issuer`", detail)
    moment = _past_moment(not_before)
    if issuer:
        configured(services, issuer)
    async with caller.change() as transaction:
        issuer = issuer or _identity(await require_user(transaction, user_name)).issuer
        before = await transaction.identities.cut_off(issuer, user_name, moment)
        moment = max(moment, before or 0.0)
        await transaction.keys.end_exchanges_by_tokens(issuer, user_name=user_name or None, issued_before=moment)
        caller.record(issuer=issuer, before=before, after=moment)
    return moment


async def grant_group_role(services: Services, caller: Caller, mapping: GroupRole) -> None:
    """Let membership in a group of an identity provider give a role; again does nothing.

    Raises:
        InvalidArgument: the group or the pattern is not acceptable.
        NotFound: the identity provider is not configured.
        RoleNotFound: there is no such role.
        LimitReached: there are too many of them.
    """
    _check_mapping(services, mapping)
    async with caller.change() as transaction:
        await _require_place(transaction, mapping)
        await transaction.identities.grant_role(mapping)


async def revoke_group_role(caller: Caller, mapping: GroupRole) -> bool:
    """Let membership in a group no longer give a role, and return whether it did.

    What the configuration maps stays.
    """
    async with caller.change() as transaction:
        return await transaction.identities.revoke_role(mapping)


async def change_group_roles(
    services: Services, caller: Caller, *, grant: Sequence[GroupRole], revoke: Sequence[GroupRole], dry_run: bool
) -> ChangedGroupRoles:
    """Let groups no longer give some roles, and then give others, all of it or nothing.

    Args:
        services: what services work with.
        caller: an administrator.
        grant: the roles to give, with their groups.
        revoke: the roles to give no longer; what the configuration maps stays.
        dry_run: only return what would happen.

    Raises:
        LimitReached: more than `MOST_AT_ONCE`, or as of `grant_group_role`.
        InvalidArgument, NotFound, RoleNotFound: as of `grant_group_role`.
    """
    require_not_too_many(len(grant) + len(revoke))
    for each in grant:
        _check_mapping(services, each)
    async with caller.change() as transaction:
        given = transaction.identities
        if dry_run:
            revoked = [await given.gives_role(each) for each in revoke]
            for each in grant:
                await require_role(transaction, each.role)
            return ChangedGroupRoles(
                [each in revoke or not await given.gives_role(each) for each in grant],
                revoked,
            )
        revoked = [await given.revoke_role(each) for each in revoke]
        granted = []
        for each in grant:
            await _require_place(transaction, each)
            granted.append(await given.grant_role(each))
        return ChangedGroupRoles(granted, revoked)


def _check_mapping(services: Services, mapping: GroupRole) -> None:
    """Check what can be checked of a role of a group by itself."""
    if mapping.issuer != SCIM:
        configured(services, mapping.issuer)
    if not 1 <= len(mapping.group) <= LONGEST_GROUP or (mapping.is_pattern and "*" not in mapping.group):
        raise InvalidArgument(
            f"`group` must have from 1 to {LONGEST_GROUP} characters; a pattern needs a `*` in it",
            ErrorDetail(ErrorCode.GROUP_PATTERN_INVALID, {"limit": LONGEST_GROUP}),
            field="group",
        )


async def _require_place(transaction: Transaction, mapping: GroupRole) -> None:
    """Require that the role exists, and that groups may give one more."""
    await require_role(transaction, mapping.role)
    if await transaction.identities.count_group_roles() >= MOST_GROUP_ROLES:
        raise LimitReached(
            f"groups give at most {MOST_GROUP_ROLES} roles: use patterns",
            ErrorDetail(ErrorCode.LIMIT_REACHED),
            field="group",
        )


def configured(services: Services, name: str) -> Issuer:
    """Return a configured identity provider.

    Raises:
        NotFound: there is none of this name.
    """
    if name not in services.issuers:
        raise NotFound(
            f"no such identity provider in kiteward.oidc: {name}",
            ErrorDetail(ErrorCode.ISSUER_NOT_CONFIGURED, {"name": name}),
            field="issuer",
        )
    return services.issuers[name]


def _identity(record: UserRecord) -> IdentityRecord:
    if record.identity is None:
        raise NotFound(
            f"{record.name} does not sign in by an identity provider",
            ErrorDetail(ErrorCode.IDENTITY_NOT_FOUND, {"name": record.name}),
            field="userName",
        )
    return record.identity


def _past_moment(not_before: float | None) -> float:
    """Return the moment of a cut-off, in seconds since the epoch; now without one, never before the epoch.

    Raises:
        InvalidArgument: it is yet to come.
    """
    now = time.time()
    moment = now if not_before is None else max(0.0, not_before)
    if moment > now:
        raise InvalidArgument(
            "`notBefore` must not be in the future: nobody could sign in until then",
            ErrorDetail(ErrorCode.CUT_OFF_OUT_OF_RANGE),
            field="notBefore",
        )
    return moment


def _require_prefix(issuer: Issuer, name: str) -> None:
    prefix = issuer.names.prefix
    if not name.startswith(prefix) or name == prefix:
        raise InvalidArgument(
            f"a user of {issuer.name} needs a name that begins with {prefix}",
            ErrorDetail(ErrorCode.IDENTITY_NAME_PREFIX, {"prefix": prefix}),
            field="userName",
        )
