"""Users and roles that must exist."""

from kiteward.authz.compiled_role import CompiledRole
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, RoleNotFound, UserNotFound
from kiteward.iam.caller import Caller
from kiteward.iam.services import Services
from kiteward.store.records import UserRecord
from kiteward.store.transaction import Transaction


async def stored_user(services: Services, name: str) -> UserRecord:
    """Return a user from the store.

    Raises:
        UserNotFound: there is no such user.
    """
    record = await services.store.user(name)
    if record is None:
        raise _user_not_found(name)
    return record


async def require_user(transaction: Transaction, name: str) -> UserRecord:
    """Return a user within a transaction.

    Raises:
        UserNotFound: there is no such user.
    """
    record = await transaction.users.get(name)
    if record is None:
        raise _user_not_found(name)
    return record


def require_local(record: UserRecord) -> None:
    """Require that a user can have a password.

    Raises:
        InvalidArgument: the user signs in by an identity provider.
    """
    if record.identity is not None:
        raise InvalidArgument(
            f"{record.name} signs in by {record.identity.issuer} and has no password: change it there",
            ErrorDetail(ErrorCode.IDENTITY_HAS_NO_PASSWORD, {"name": record.name}),
            field="userName",
        )


async def require_role(transaction: Transaction, name: str, *, field: str = "roleName") -> None:
    """Require that a role exists.

    Args:
        transaction: the transaction.
        name: the role.
        field: the argument that names it, for the error.

    Raises:
        RoleNotFound: there is no such role.
    """
    if await transaction.roles.get(name) is None:
        raise _role_not_found(name, field=field)


def known_role(caller: Caller, name: str, *, field: str = "roleName") -> CompiledRole:
    """Return a role of the policy in force.

    Args:
        caller: who asks.
        name: the role.
        field: the argument that names it.

    Raises:
        RoleNotFound: there is no such role.
    """
    found = caller.snapshot.roles.get(name)
    if found is None:
        raise _role_not_found(name, field=field)
    return found


def _role_not_found(name: str, *, field: str = "roleName") -> RoleNotFound:
    return RoleNotFound(f"role not found: {name}", ErrorDetail(ErrorCode.ROLE_NOT_FOUND, {"name": name}), field=field)


def _user_not_found(name: str) -> UserNotFound:
    return UserNotFound(
        f"user not found: {name}", ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": name}), field="userName"
    )
