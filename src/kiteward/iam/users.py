"""Users: create, describe, delete, disable and enable, unlock."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, AlreadyExists, InvalidArgument, LimitReached, ProtectedObject
from kiteward.domain.faults import Faults
from kiteward.domain.identity import ROOT, Secret
from kiteward.iam.administrators import require_another_administrator
from kiteward.iam.caller import Caller, require_owner
from kiteward.iam.lookup import require_role, require_user, stored_user
from kiteward.iam.passwords import (
    PasswordChange,
    VerifyPassword,
    change_password,
    check_new_password,
    hash_new_password,
)
from kiteward.iam.recorded_states import user_before
from kiteward.iam.services import Services
from kiteward.store.records import UserRecord
from kiteward.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be created.

    Attributes:
        name: the user name.
        password_hash: the hash of its password.
        description: free text.
        one_time, enabled, locked: as of `UserRecord`.
    """

    name: str
    password_hash: str = field(repr=False)
    description: str = ""
    one_time: bool = False
    enabled: bool = True
    locked: bool = False


async def create_user(
    services: Services,
    caller: Caller,
    *,
    name: str,
    password: Secret | None,
    description: str = "",
    one_time: bool = False,
    roles: Sequence[str] = (),
) -> Secret | None:
    """Create a user and bind roles to it, all of it or nothing.

    Args:
        services: what services work with.
        caller: who creates it.
        name: the user name.
        password: its password; None for a generated one.
        description: free text.
        one_time: whether the user must set another password before anything else.
        roles: names of the roles to bind.

    Returns:
        The password, if it was generated.

    Raises:
        InvalidArgument: the name, password or description is not acceptable.
        AlreadyExists: there is a user of this name.
        LimitReached: the limit of users would be exceeded.
        RoleNotFound: one of the roles does not exist.
    """
    _require_acceptable(services, name, password, description)
    hashed = await hash_new_password(services, name, password)
    await create_hashed(services, caller, NewUser(name, hashed.stored, description, one_time), roles=roles)
    return hashed.generated


def _require_acceptable(services: Services, name: str, password: Secret | None, description: str) -> None:
    faults = Faults()
    with faults:
        services.naming.check_user_name(name)
    with faults:
        services.naming.check_user_description(description)
    with faults:
        check_new_password(services, name, password)
    faults.require_none()


async def create_hashed(services: Services, caller: Caller, user: NewUser, *, roles: Sequence[str] = ()) -> None:
    """Create a user whose password is hashed already, or who has none, and bind roles to it.

    Raises:
        InvalidArgument: the name or the description is not acceptable.
        AlreadyExists, LimitReached, RoleNotFound: as of `create_user`.
    """
    services.naming.check_user_name(user.name)
    services.naming.check_user_description(user.description)
    async with caller.change() as transaction:
        await add_user(services, transaction, user)
        for role in roles:
            await require_role(transaction, role, field="roles")
            await transaction.roles.bind(user.name, role)


async def add_user(services: Services, transaction: Transaction, user: NewUser) -> None:
    """Add a user without roles, whose name and password were checked.

    Raises:
        AlreadyExists: there is a user of this name.
        LimitReached: the limit of users would be exceeded.
    """
    if await transaction.users.get(user.name) is not None:
        raise AlreadyExists(
            f"user already exists: {user.name}",
            ErrorDetail(ErrorCode.USER_EXISTS, {"name": user.name}),
            field="userName",
        )
    if await transaction.users.count() >= services.limits.users:
        raise LimitReached(
            "unable to add user because the number of users has reached the limit", ErrorDetail(ErrorCode.USERS_LIMIT)
        )
    await transaction.users.add(user.name, user.password_hash, description=user.description, one_time=user.one_time)
    if not user.enabled:
        await transaction.users.enable(user.name, False)
    if user.locked:
        await transaction.users.lock(user.name)


async def update_user(
    services: Services,
    caller: Caller,
    verify: VerifyPassword,
    *,
    name: str,
    password: PasswordChange | None,
    description: str | None,
) -> None:
    """Change the password of a user, the description, or both.

    The name is not checked against the naming rule, as in Milvus.

    Raises:
        AccessDenied: the caller authenticated with a one-time password, and this is another user.
        UserNotFound: there is no such user.
        InvalidArgument: neither is given, or one is not acceptable.
        OldPasswordWrong: as of `change_password`.
    """
    require_same_user_if_one_time(caller, name)
    if password is not None:
        await change_password(services, caller, verify, user_name=name, change=password, description=description)
        return
    if description is None:
        raise InvalidArgument("must update either password or description")
    await set_description(services, caller, name, description)


async def set_description(services: Services, caller: Caller, name: str, description: str) -> None:
    """Replace the description of a user; an empty one clears it.

    Raises:
        InvalidArgument: the description is not acceptable.
        UserNotFound: there is no such user.
    """
    services.naming.check_user_description(description)
    async with caller.change() as transaction:
        await require_user(transaction, name)
        await transaction.users.describe(name, description)


def require_same_user_if_one_time(caller: Caller, name: str) -> None:
    """Refuse a caller who authenticated with a one-time password, except for changes of that user.

    Raises:
        AccessDenied: the user is another one.
    """
    if caller.principal.one_time and name != caller.principal.user_name:
        raise AccessDenied(
            "a one-time password can only be used to set another password of the same user",
            ErrorDetail(ErrorCode.ONE_TIME_PASSWORD),
        )


async def delete_user(services: Services, caller: Caller, name: str) -> None:
    """Delete a user with its role bindings and API keys.

    Raises:
        ProtectedObject: it is `root`, or the last administrator.
        UserNotFound: there is no such user.
    """
    # Names are compared as stored, so that no other spelling of `root` is accepted (contract Q9).
    if name == ROOT:
        raise ProtectedObject(
            "root user cannot be deleted", ErrorDetail(ErrorCode.ROOT_NOT_DELETABLE), field="userName"
        )
    async with caller.change() as transaction:
        user = await require_user(transaction, name)
        await require_another_administrator(services, transaction, name)
        caller.record(before=user_before(user, await transaction.users.remove(name)))


async def disable_user(services: Services, caller: Caller, name: str) -> bool:
    """Disable a user and its API keys.

    Returns:
        Whether it was enabled.

    Raises:
        ProtectedObject: it is the last administrator.
        UserNotFound: there is no such user.
    """
    async with caller.change() as transaction:
        before = await require_user(transaction, name)
        await require_another_administrator(services, transaction, name)
        await transaction.users.enable(name, False)
    return before.enabled


async def enable_user(caller: Caller, name: str) -> bool:
    """Enable a disabled user.

    Returns:
        Whether it was disabled.

    Raises:
        UserNotFound: there is no such user.
    """
    async with caller.change() as transaction:
        before = await require_user(transaction, name)
        await transaction.users.enable(name, True)
    return not before.enabled


async def unlock_user(caller: Caller, name: str) -> bool:
    """Remove the lock after too many wrong passwords.

    Returns:
        Whether it was locked.

    Raises:
        UserNotFound: there is no such user.
    """
    async with caller.change() as transaction:
        before = await require_user(transaction, name)
        await transaction.users.unlock(name)
    return before.locked_at is not None


async def describe_user(services: Services, caller: Caller, name: str) -> UserRecord:
    """Return a user; users may describe themselves.

    Raises:
        AccessDenied: for another user, the caller is not an administrator.
        UserNotFound: there is no such user.
    """
    require_owner(caller, name)
    return await stored_user(services, name)


async def find_users(services: Services, name: str | None) -> Sequence[UserRecord]:
    """Return all users, or the one with a name if it exists.

    Raises:
        InvalidArgument: the name breaks the naming rule.
    """
    if name is None:
        return await services.store.users()
    services.naming.check_user_name(name)
    record = await services.store.user(name)
    return [] if record is None else [record]
