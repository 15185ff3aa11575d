"""Users: the caller, users for administrators, resets, disabling, locks."""

import time
from datetime import UTC, datetime
from typing import Final

import msgspec

from kiteward.audit.events import Event
from kiteward.authn.principals import PrincipalLookup
from kiteward.authz.policy import decide_administrator
from kiteward.domain.identity import CredentialReach, Secret, SignInStep
from kiteward.iam import passwords, users
from kiteward.iam.caller import is_administrator
from kiteward.iam.first_steps import FirstStep
from kiteward.iam.json_api.base import AdminOperation, Arguments, Done, Outcome, Request
from kiteward.iam.json_api.listing import ListArguments, next_of, part_of, state_of
from kiteward.iam.json_api.shapes import Changed, HeldGrant, moment
from kiteward.iam.lookup import known_role
from kiteward.iam.services import Services
from kiteward.store.listings import USER_COLUMNS, UserListing, UserState
from kiteward.store.records import UserRecord


class Me(Outcome):
    """The caller; `oneTimePassword` says that another password must be set before anything else.

    `enrolmentDue` says that a second factor for the console must be enrolled before anything else.
    `actor` is the service that acts for the user with the key of a token exchange; null for any other credential.
    `firstSteps` says to administrators what is left to do on a new server: `rootPassword` while `root` has the default
    password, `user` while there is no other user.
    """

    user_name: str
    credential: str
    one_time_password: bool
    enrolment_due: bool
    administrator: bool
    roles: list[str]
    grants: list[HeldGrant]
    first_steps: list[FirstStep]
    key_id: str | None = None
    expires_at: datetime | None = None
    actor: str | None = None


class Account(Outcome):
    """A user, without secrets; `secondFactor` says whether it has one for the console.

    `administrator` says whether it may do everything, whatever its roles.
    `issuer` and `subject` say who a federated user is at its identity provider, null for others.
    `scimUserName` is the `userName` of a user whom SCIM manages, else null; `groupRoles` are the roles of its groups.
    """

    user_name: str
    description: str
    administrator: bool
    roles: list[str]
    enabled: bool
    locked: bool
    created_at: datetime
    changed_at: datetime
    signed_in_at: datetime | None
    old_password_valid_until: datetime | None
    one_time_password: bool
    second_factor: bool
    scim_user_name: str | None
    group_roles: list[str]
    issuer: str | None = None
    subject: str | None = None


class Accounts(Outcome):
    """A page of users; `next` is the value of `after` for the next page, empty at the end or in another order."""

    users: list[Account]
    next: str
    total: int | None = None


class Listing(ListArguments):
    """Selects the users to list. `state` is `enabled`, `disabled` or `locked`; `roleName` a role bound to them."""

    prefix: str = ""
    state: str = ""
    role_name: str = ""


class Named(Arguments):
    """Names a user."""

    user_name: str


class PerhapsNamed(Arguments):
    """Names a user; without `userName`, the caller."""

    user_name: str = ""


class Policy(Outcome):
    """The rules for new passwords; `classes` requires three of four kinds of characters.

    Lengths are characters, or bytes of UTF-8 with `inBytes`.
    """

    name: str
    shortest: int
    longest: int
    classes: bool
    block_list: bool
    in_bytes: bool


class NewAccount(Arguments):
    """A new user. Without a password, one is generated and returned once. `oneTime` requires another one first."""

    user_name: str
    password: Secret | None = None
    one_time: bool = False
    description: str = ""
    roles: list[str] = msgspec.field(default_factory=list)


class Reset(Arguments):
    """A new password. Without one, it is generated and returned once. `keepOldFor` is the grace period in seconds.

    `oneTime` requires the user to set another one first.
    """

    user_name: str
    new_password: Secret | None = None
    one_time: bool = False
    keep_old_for: int = 0


class IssuedPassword(Outcome):
    """A generated password, returned only once, and until when the previous one is accepted."""

    user_name: str
    password: Secret | None = None
    old_password_valid_until: datetime | None = None


async def who_am_i(services: Services, request: Request, _arguments: Arguments) -> Me:
    """Return who the caller is and what it holds."""
    from kiteward.iam.access import grants_of  # noqa: PLC0415  lists of users need none of it

    principal, key, administrator = request.principal, request.principal.key, is_administrator(request)
    left = await services.first_steps.left(services.store, services.hasher) if administrator else ()
    return Me(
        user_name=principal.user_name,
        credential="password" if principal.credential.startswith("password:") else principal.credential,
        one_time_password=principal.one_time,
        enrolment_due=principal.step is SignInStep.ENROLMENT,
        administrator=administrator,
        roles=sorted(principal.roles),
        grants=[HeldGrant.of(grant) for grant in grants_of(principal, request.snapshot)],
        first_steps=list(left),
        key_id=key.key_id if key else None,
        expires_at=moment(key.expires_at) if key else None,
        actor=principal.actor or None,
    )


async def password_policy(services: Services, _request: Request, _arguments: Arguments) -> Policy:
    """Return the rules for new passwords."""
    rules = services.passwords
    return Policy(
        name=rules.name,
        shortest=rules.shortest,
        longest=rules.longest,
        classes=rules.classes,
        block_list=rules.block_list,
        in_bytes=rules.in_bytes,
    )


async def listed(services: Services, request: Request, arguments: Listing) -> Accounts:
    """List users, sorted by name unless asked otherwise, a page at a time."""
    part = part_of(arguments, USER_COLUMNS, "userName")
    if arguments.role_name:
        known_role(request, arguments.role_name)
    listing = UserListing(
        part,
        prefix=arguments.prefix,
        contains=arguments.contains,
        state=state_of(UserState, arguments.state),
        role=arguments.role_name,
    )
    found = await services.store.list_users(listing)
    principals = services.principals
    users = [_account(record, await _is_administrator(principals, record)) for record in found.users]
    return Accounts(users=users, next=next_of(part, [record.name for record in found.users]), total=found.total)


async def described(services: Services, request: Request, arguments: PerhapsNamed) -> Account:
    """Describe a user; users may describe themselves."""
    name = arguments.user_name or request.principal.user_name
    record = await users.describe_user(services, request, name)
    return _account(record, await _is_administrator(services.principals, record))


async def _is_administrator(principals: PrincipalLookup, record: UserRecord) -> bool:
    return decide_administrator((await principals.of_user(record)).principal).allowed


async def created(services: Services, request: Request, arguments: NewAccount) -> IssuedPassword:
    """Create a user with roles, in one step."""
    generated = await users.create_user(
        services,
        request,
        name=arguments.user_name,
        password=arguments.password,
        description=arguments.description,
        one_time=arguments.one_time,
        roles=arguments.roles,
    )
    return IssuedPassword(user_name=arguments.user_name, password=generated)


async def deleted(services: Services, request: Request, arguments: Named) -> Done:
    """Delete a user with its roles and API keys."""
    await users.delete_user(services, request, arguments.user_name)
    return Done()


async def reset(services: Services, request: Request, arguments: Reset) -> IssuedPassword:
    """Set a password without the old one, which may stay valid for a grace period. A lock is removed."""
    result = await passwords.reset_password(
        services,
        request,
        user_name=arguments.user_name,
        given=arguments.new_password,
        one_time=arguments.one_time,
        grace_period=arguments.keep_old_for,
    )
    return IssuedPassword(
        user_name=arguments.user_name,
        password=result.generated,
        old_password_valid_until=moment(result.old_valid_until),
    )


async def old_password_ended(_services: Services, request: Request, arguments: PerhapsNamed) -> Done:
    """End the grace period of the previous password; users may do so for themselves."""
    await passwords.end_old_password(request, arguments.user_name or request.principal.user_name)
    return Done()


async def disabled(services: Services, request: Request, arguments: Named) -> Changed:
    """Disable a user and its API keys."""
    return Changed(changed=await users.disable_user(services, request, arguments.user_name))


async def enabled(_services: Services, request: Request, arguments: Named) -> Changed:
    """Enable a disabled user."""
    return Changed(changed=await users.enable_user(request, arguments.user_name))


async def unlocked(_services: Services, request: Request, arguments: Named) -> Changed:
    """Remove the lock after too many wrong passwords."""
    return Changed(changed=await users.unlock_user(request, arguments.user_name))


def _account(record: UserRecord, administrator: bool) -> Account:
    previous = record.previous
    return Account(
        user_name=record.name,
        description=record.description,
        administrator=administrator,
        roles=list(record.roles),
        enabled=record.enabled,
        locked=record.locked_at is not None,
        created_at=datetime.fromtimestamp(int(record.created_at), UTC),
        changed_at=datetime.fromtimestamp(int(record.changed_at), UTC),
        signed_in_at=moment(record.signed_in_at),
        old_password_valid_until=moment(previous.valid_until)
        if previous and previous.valid_until > time.time()
        else None,
        one_time_password=record.one_time,
        second_factor=record.second_factor,
        issuer=None if record.identity is None else record.identity.issuer,
        subject=None if record.identity is None else record.identity.subject,
        scim_user_name=record.scim_login,
        group_roles=list(record.group_roles),
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "WhoAmI",
        "whoami/describe",
        Arguments,
        Me,
        who_am_i,
        "Return the caller, with its roles and grants.",
        administrators=False,
        credential=CredentialReach.ANY,
        changes=False,
        event=None,
        one_time_password=True,
        steps=frozenset({SignInStep.ENROLMENT}),
    ),
    AdminOperation(
        "DescribePasswordPolicy",
        "passwords/describe_policy",
        Arguments,
        Policy,
        password_policy,
        "Return the rules for new passwords.",
        administrators=False,
        credential=CredentialReach.ANY,
        changes=False,
        event=None,
        one_time_password=True,
    ),
    AdminOperation(
        "ListUserAccounts", "users/list", Listing, Accounts, listed, "List users, page by page.", changes=False
    ),
    AdminOperation(
        "DescribeUserAccount",
        "users/describe",
        PerhapsNamed,
        Account,
        described,
        "Describe a user; without a name, the caller.",
        administrators=False,
        own=True,
        changes=False,
    ),
    AdminOperation(
        "CreateUserAccount",
        "users/create",
        NewAccount,
        IssuedPassword,
        created,
        "Create a user with roles.",
        event=Event.USER_CHANGE,
        details_limit=2 * 1024 * 1024,
    ),
    AdminOperation(
        "DeleteUserAccount", "users/delete", Named, Done, deleted, "Delete a user.", event=Event.USER_CHANGE
    ),
    AdminOperation(
        "ResetPassword",
        "users/reset_password",
        Reset,
        IssuedPassword,
        reset,
        "Set a password without the old one.",
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "EndOldPassword",
        "users/end_old_password",
        PerhapsNamed,
        Done,
        old_password_ended,
        "Stop accepting the password from before the last reset.",
        administrators=False,
        own=True,
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "DisableUser",
        "users/disable",
        Named,
        Changed,
        disabled,
        "Disable a user.",
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "EnableUser",
        "users/enable",
        Named,
        Changed,
        enabled,
        "Enable a disabled user.",
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "UnlockUser",
        "users/unlock",
        Named,
        Changed,
        unlocked,
        "Unlock a user after too many wrong passwords.",
        event=Event.USER_CHANGE,
    ),
)
