"""Passwords: generated, changed with the old one, or reset without it."""

import secrets
import string
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, OldPasswordWrong, PasswordRejected
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.iam.caller import Caller, require_owner
from kiteward.iam.lookup import require_local, require_user, stored_user
from kiteward.iam.services import Services

LONGEST_GRACE_PERIOD: Final = 30 * 24 * 3600
"""Most seconds for which a replaced password or API key may stay valid."""

_GENERATED_CHARACTERS: Final = string.ascii_letters + string.digits
_GENERATED_LENGTH: Final = 24
"""Characters. 24 letters and digits hold 142 bits."""

VerifyPassword = Callable[[PasswordCredential], Awaitable[str]]
"""Returns the id of the stored credential that a user name and password match; raises PasswordRejected.

It is throttled and counted like a sign-in with them.
"""


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """The current password and the new one."""

    old: Secret
    new: Secret


@dataclass(frozen=True, slots=True)
class HashedPassword:
    """A password as it is stored.

    Attributes:
        stored: the hash.
        generated: the password, if it was generated; None if the caller gave it.
    """

    stored: str = field(repr=False)
    generated: Secret | None = None


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """The result of a reset.

    Attributes:
        generated: the new password, if it was generated; None if the caller gave it.
        old_valid_until: until when the old password is accepted, in seconds since the epoch; None if it is not.
    """

    generated: Secret | None
    old_valid_until: float | None


def generated_password() -> Secret:
    """Return a random password that every password policy accepts."""
    while True:
        text = "".join(secrets.choice(_GENERATED_CHARACTERS) for _ in range(_GENERATED_LENGTH))
        if any(c.isupper() for c in text) and any(c.islower() for c in text) and any(c.isdigit() for c in text):
            return Secret(text)


def grace_period_end(seconds: int) -> float | None:
    """Return until when a replaced secret is accepted, in seconds since the epoch; None if it is not.

    Raises:
        InvalidArgument: `seconds` is negative or more than `LONGEST_GRACE_PERIOD`.
    """
    if not 0 <= seconds <= LONGEST_GRACE_PERIOD:
        raise InvalidArgument(
            f"`keepOldFor` must be from 0 to {LONGEST_GRACE_PERIOD} seconds",
            ErrorDetail(ErrorCode.GRACE_PERIOD_OUT_OF_RANGE, {"limit": LONGEST_GRACE_PERIOD}),
            field="keepOldFor",
        )
    return time.time() + seconds if seconds else None


def check_new_password(services: Services, user_name: str, given: Secret | None, *, field: str = "password") -> None:
    """Check a new password of a user; None, for a generated one, is right.

    Raises:
        InvalidArgument: the password policy refuses it.
    """
    if given is not None:
        services.passwords.check(given, user_name=user_name, field=field)


async def hash_new_password(
    services: Services, user_name: str, given: Secret | None, *, field: str = "password"
) -> HashedPassword:
    """Hash a new password of a user, or a generated one if none is given. No transaction may be open.

    Args:
        services: what services work with.
        user_name: the user.
        given: the new password; None for a generated one.
        field: the argument that holds it, for the error.

    Raises:
        InvalidArgument: the password policy refuses it.
    """
    if given is None:
        generated = generated_password()
        return HashedPassword(await services.hasher.hash(generated), generated)
    check_new_password(services, user_name, given, field=field)
    return HashedPassword(await services.hasher.hash(given))


async def change_password(
    services: Services,
    caller: Caller,
    verify: VerifyPassword,
    *,
    user_name: str,
    change: PasswordChange,
    description: str | None,
) -> None:
    """Replace a password by a new one, and the description of its user unless it is None.

    The old password must be right, except for super users (`common.security.superUsers`).

    Raises:
        InvalidArgument: the new password or the description is not acceptable.
        OldPasswordWrong: the old password is wrong, or there is no such user.
        UserNotFound: there is no such user, for a super user.
    """
    services.passwords.check(change.new, user_name=user_name, field="newPassword")
    services.naming.check_user_description(description or "")
    unverified = _needs_no_old_password(services, caller)
    if unverified:
        credential_id = (await stored_user(services, user_name)).credential_id
    else:
        credential_id = await verified_password(verify, PasswordCredential(user_name, change.old))
    # Hashing is slow, so it happens before the transaction. In the transaction, the credential id proves that the
    # verified password is still current.
    hashed = await services.hasher.hash(change.new)
    async with caller.change() as transaction:
        found = await transaction.users.get(user_name)
        if found is None or found.credential_id != credential_id:
            raise _old_password_wrong(user_name, "not the current password")
        require_local(found)
        if found.one_time and change.new == change.old:
            raise _password_unchanged()
        await transaction.users.set_password(user_name, hashed)
        if description is not None:
            await transaction.users.describe(user_name, description)
    caller.record(password_changed=True, old_password_verified=not unverified)


async def reset_password(
    services: Services,
    caller: Caller,
    *,
    user_name: str,
    given: Secret | None,
    one_time: bool,
    grace_period: int,
) -> ResetPassword:
    """Set a password without the old one, and unlock the user.

    Args:
        services: what services work with.
        caller: an administrator.
        user_name: the user.
        given: the new password; None for a generated one.
        one_time: whether the user must set another one before anything else.
        grace_period: seconds for which the old password, if there is one, stays valid.

    Raises:
        InvalidArgument: the new password or the grace period is not acceptable.
        UserNotFound: there is no such user.
    """
    require_local(await stored_user(services, user_name))
    until = grace_period_end(grace_period)
    password = await hash_new_password(services, user_name, given, field="newPassword")
    async with caller.change() as transaction:
        record = await require_user(transaction, user_name)
        require_local(record)
        until = until if record.has_password else None
        await transaction.users.set_password(user_name, password.stored, former_until=until, one_time=one_time)
        await transaction.users.unlock(user_name)
    return ResetPassword(password.generated, until)


async def end_old_password(caller: Caller, user_name: str) -> None:
    """End the grace period of the previous password; users may do so for themselves.

    Raises:
        AccessDenied: for another user, the caller is not an administrator.
        UserNotFound: there is no such user.
    """
    async with caller.change() as transaction:
        require_owner(caller, user_name)
        await require_user(transaction, user_name)
        await transaction.users.end_previous_secret(user_name)


async def verified_password(verify: VerifyPassword, credential: PasswordCredential, *, field: str = "") -> str:
    """Return the id of the stored credential that a password matches, which a change demands.

    Args:
        verify: verifies it.
        credential: user name and password.
        field: the argument that holds it, for the error; empty for `oldPassword`.

    Raises:
        OldPasswordWrong: it is wrong, or must wait.
    """
    try:
        return await verify(credential)
    except PasswordRejected as error:
        raise _old_password_wrong(credential.user_name, error.reason, field=field or "oldPassword") from None


def _needs_no_old_password(services: Services, caller: Caller) -> bool:
    """Return whether the caller is a super user with a credential that is not limited."""
    return caller.principal.user_name in services.super_users and not caller.principal.limited


def _password_unchanged() -> InvalidArgument:
    detail = ErrorDetail(ErrorCode.PASSWORD_UNCHANGED)
    return InvalidArgument("the new password must differ from the one-time password", detail, field="newPassword")


def _old_password_wrong(name: str, reason: str, *, field: str = "oldPassword") -> OldPasswordWrong:
    return OldPasswordWrong(f"old password not correct for {name}", field=field, reason=reason)
