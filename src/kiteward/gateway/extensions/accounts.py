"""Accounts: who am I, users as administrators see them, resets, disabling, locks."""

import secrets
import string
import time
from datetime import UTC, datetime
from typing import Final

import msgspec

from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AlreadyExists, InvalidArgument, LimitReached, NotFound, ProtectedObject
from kiteward.domain.identity import ROOT, CredentialReach, Principal, Secret
from kiteward.gateway.administration.administrators import require_another_administrator
from kiteward.gateway.administration.base import Services
from kiteward.gateway.extensions.base import AdminOperation, Arguments, Done, Outcome, Request, page
from kiteward.store.base import UserRecord

LONGEST_GRACE_PERIOD: Final = 30 * 24 * 3600
"""Seconds that a replaced password or key may stay valid."""

_GENERATED_CHARACTERS: Final = string.ascii_letters + string.digits
_GENERATED_LENGTH: Final = 24
"""24 letters and digits hold 142 bits."""


class HeldGrant(Outcome):
    """One grant of a role."""

    role: str
    object_type: str
    db_name: str
    object_name: str
    privilege: str


class Me(Outcome):
    """Who calls; `oneTimePassword` says that another password has to be set before anything else."""

    user_name: str
    credential: str
    one_time_password: bool
    administrator: bool
    roles: list[str]
    grants: list[HeldGrant]
    key_id: str | None = None
    expires_at: datetime | None = None


class Account(Outcome):
    """A user, without anything secret."""

    user_name: str
    description: str
    roles: list[str]
    enabled: bool
    locked: bool
    created_at: datetime
    changed_at: datetime
    signed_in_at: datetime | None
    old_password_valid_until: datetime | None
    one_time_password: bool


class Accounts(Outcome):
    """A page of users; `next` is what to ask for as `after`, empty at the end."""

    users: list[Account]
    next: str


class Listing(Arguments):
    """Which users to list."""

    after: str = ""
    prefix: str = ""
    limit: int = 100


class Named(Arguments):
    """Names a user."""

    user_name: str


class PerhapsNamed(Arguments):
    """Names a user; without a name, the caller."""

    user_name: str = ""


class Policy(Outcome):
    """What new passwords must be: `classes` asks for three of four kinds of characters.

    Lengths are characters, or bytes of UTF-8 with `inBytes`.
    """

    name: str
    shortest: int
    longest: int
    classes: bool
    block_list: bool
    in_bytes: bool


class NewAccount(Arguments):
    """A user to be; without a password, one is made and answered once. `oneTime` has the user set another first."""

    user_name: str
    password: Secret | None = None
    one_time: bool = False
    description: str = ""
    roles: list[str] = msgspec.field(default_factory=list)


class Reset(Arguments):
    """A new password; without one, it is made and answered once. `keepOldFor` counts seconds.

    `oneTime` has the user set another one first.
    """

    user_name: str
    new_password: Secret | None = None
    one_time: bool = False
    keep_old_for: int = 0


class IssuedPassword(Outcome):
    """A password that was made, this once; and until when the one before it is accepted."""

    user_name: str
    password: Secret | None = None
    old_password_valid_until: datetime | None = None


def moment(seconds: float | None) -> datetime | None:
    """Return seconds since the epoch as a time of UTC, to whole seconds."""
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)


def grace_period_end(seconds: int) -> float | None:
    """Return until when a replaced secret is accepted, or None for no longer.

    Raises:
        InvalidArgument: longer than it may be, or negative.
    """
    if not 0 <= seconds <= LONGEST_GRACE_PERIOD:
        raise InvalidArgument(
            f"`keepOldFor` must be from 0 to {LONGEST_GRACE_PERIOD} seconds",
            ErrorDetail(ErrorCode.GRACE_PERIOD_OUT_OF_RANGE, {"limit": LONGEST_GRACE_PERIOD}),
            field="keepOldFor",
        )
    return time.time() + seconds if seconds else None


def generated_password() -> Secret:
    """Return a password that no policy refuses and nobody guesses."""
    while True:
        text = "".join(secrets.choice(_GENERATED_CHARACTERS) for _ in range(_GENERATED_LENGTH))
        if any(c.isupper() for c in text) and any(c.islower() for c in text) and any(c.isdigit() for c in text):
            return Secret(text)


def held_grants(principal: Principal, snapshot: PolicySnapshot) -> list[HeldGrant]:
    """Return the grants of a principal's roles, without those of the implicit `public`."""
    held = [snapshot.roles[name] for name in sorted(principal.roles) if name in snapshot.roles]
    return [
        HeldGrant(
            role=role.role.name,
            object_type=grant.key.object_type.value,
            db_name=grant.key.db_name,
            object_name=grant.key.object_name,
            privilege=grant.key.privilege,
        )
        for role in held
        for grant in role.grants
    ]


async def who_am_i(_services: Services, request: Request, _arguments: Arguments) -> Me:
    """Tell the caller who it is and what it holds."""
    principal, key = request.principal, request.principal.key
    return Me(
        user_name=principal.user_name,
        credential="password" if principal.credential.startswith("password:") else principal.credential,
        one_time_password=principal.one_time,
        administrator=request.administrator,
        roles=sorted(principal.roles),
        grants=held_grants(principal, request.snapshot),
        key_id=key.key_id if key else None,
        expires_at=moment(key.expires_at) if key else None,
    )


async def password_policy(services: Services, _request: Request, _arguments: Arguments) -> Policy:
    """Tell what new passwords must be."""
    rules = services.passwords
    return Policy(
        name=rules.name,
        shortest=rules.shortest,
        longest=rules.longest,
        classes=rules.classes,
        block_list=rules.block_list,
        in_bytes=rules.in_bytes,
    )


async def listed(services: Services, _request: Request, arguments: Listing) -> Accounts:
    """List users, sorted by name, a page at a time."""
    limit = page(arguments.limit)
    found = await services.store.users(after=arguments.after, prefix=arguments.prefix, limit=limit)
    return Accounts(users=[_account(record) for record in found], next=found[-1].name if len(found) == limit else "")


async def described(services: Services, request: Request, arguments: PerhapsNamed) -> Account:
    """Describe a user; users may describe themselves."""
    name = arguments.user_name or request.principal.user_name
    request.require_owner(name)
    record = await services.store.user(name)
    if record is None:
        raise NotFound(
            f"user not found: {name}", ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": name}), field="userName"
        )
    return _account(record)


async def created(services: Services, request: Request, arguments: NewAccount) -> IssuedPassword:
    """Create a user with roles, in one step."""
    name, given = arguments.user_name, arguments.password
    services.naming.check_user_name(name)
    services.naming.check_user_description(arguments.description)
    password = given or generated_password()
    if given is not None:
        services.passwords.check(given, user_name=name)
    hashed = await services.hasher.hash(password)
    async with request.change() as transaction:
        if await transaction.users.get(name) is not None:
            raise AlreadyExists(
                f"user already exists: {name}", ErrorDetail(ErrorCode.USER_EXISTS, {"name": name}), field="userName"
            )
        if await transaction.users.count() >= services.limits.users:
            raise LimitReached(
                "unable to add user because the number of users has reached the limit",
                ErrorDetail(ErrorCode.USERS_LIMIT),
            )
        await transaction.users.add(name, hashed, description=arguments.description, one_time=arguments.one_time)
        for role in arguments.roles:
            if await transaction.roles.get(role) is None:
                raise NotFound(
                    f"role not found: {role}", ErrorDetail(ErrorCode.ROLE_NOT_FOUND, {"name": role}), field="roleName"
                )
            await transaction.roles.bind(name, role)
    return IssuedPassword(user_name=name, password=None if given else password)


async def deleted(services: Services, request: Request, arguments: Named) -> Done:
    """Delete a user with its roles and API keys."""
    if arguments.user_name == ROOT:
        raise ProtectedObject(
            "root user cannot be deleted", ErrorDetail(ErrorCode.ROOT_NOT_DELETABLE), field="userName"
        )
    async with request.change() as transaction:
        await _require(services, arguments.user_name)
        await require_another_administrator(services, transaction, arguments.user_name)
        await transaction.users.remove(arguments.user_name)
    return Done()


async def reset(services: Services, request: Request, arguments: Reset) -> IssuedPassword:
    """Set a password without the old one, which may stay valid for a while. A lock is lifted."""
    name, given = arguments.user_name, arguments.new_password
    if given is not None:
        services.passwords.check(given, user_name=name, field="newPassword")
    await _require(services, name)
    password = given or generated_password()
    hashed = await services.hasher.hash(password)
    until = grace_period_end(arguments.keep_old_for)
    async with request.change() as transaction:
        if await transaction.users.get(name) is None:
            raise NotFound(
                f"user not found: {name}", ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": name}), field="userName"
            )
        await transaction.users.set_password(name, hashed, former_until=until, one_time=arguments.one_time)
        await transaction.users.unlock(name)
    return IssuedPassword(user_name=name, password=None if given else password, old_password_valid_until=moment(until))


async def old_password_ended(services: Services, request: Request, arguments: PerhapsNamed) -> Done:
    """Accept the password before the last reset no longer; users may do so for themselves."""
    name = arguments.user_name or request.principal.user_name
    async with request.change() as transaction:
        request.require_owner(name)
        await _require(services, name)
        await transaction.users.end_previous_secret(name)
    return Done()


async def disabled(services: Services, request: Request, arguments: Named) -> Done:
    """Let a user, and its API keys, no longer in."""
    async with request.change() as transaction:
        await _require(services, arguments.user_name)
        await require_another_administrator(services, transaction, arguments.user_name)
        await transaction.users.enable(arguments.user_name, False)
    return Done()


async def enabled(services: Services, request: Request, arguments: Named) -> Done:
    """Let a disabled user in again."""
    async with request.change() as transaction:
        await _require(services, arguments.user_name)
        await transaction.users.enable(arguments.user_name, True)
    return Done()


async def unlocked(services: Services, request: Request, arguments: Named) -> Done:
    """Lift the lock after too many wrong passwords."""
    async with request.change() as transaction:
        await _require(services, arguments.user_name)
        await transaction.users.unlock(arguments.user_name)
    return Done()


async def _require(services: Services, name: str) -> None:
    if await services.store.user(name) is None:
        raise NotFound(
            f"user not found: {name}", ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": name}), field="userName"
        )


def _account(record: UserRecord) -> Account:
    previous = record.previous
    return Account(
        user_name=record.name,
        description=record.description,
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
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "WhoAmI",
        "whoami/describe",
        Arguments,
        Me,
        who_am_i,
        "Tell who calls, with which roles and grants.",
        administrators=False,
        credential=CredentialReach.ANY,
        changes=False,
    ),
    AdminOperation(
        "DescribePasswordPolicy",
        "passwords/describe_policy",
        Arguments,
        Policy,
        password_policy,
        "Tell what new passwords must be.",
        administrators=False,
        credential=CredentialReach.ANY,
        changes=False,
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
        "Describe a user; oneself without a name.",
        administrators=False,
        changes=False,
    ),
    AdminOperation(
        "CreateUserAccount", "users/create", NewAccount, IssuedPassword, created, "Create a user with roles."
    ),
    AdminOperation("DeleteUserAccount", "users/delete", Named, Done, deleted, "Delete a user."),
    AdminOperation(
        "ResetPassword", "users/reset_password", Reset, IssuedPassword, reset, "Set a password without the old one."
    ),
    AdminOperation(
        "EndOldPassword",
        "users/end_old_password",
        PerhapsNamed,
        Done,
        old_password_ended,
        "Accept the password before the last reset no longer.",
        administrators=False,
    ),
    AdminOperation("DisableUser", "users/disable", Named, Done, disabled, "Let a user no longer in."),
    AdminOperation("EnableUser", "users/enable", Named, Done, enabled, "Let a disabled user in again."),
    AdminOperation("UnlockUser", "users/unlock", Named, Done, unlocked, "Lift a lock after too many wrong passwords."),
)
