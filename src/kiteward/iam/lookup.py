"""Users and roles that must exist."""

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import RoleNotFound, UserNotFound
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


async def require_role(transaction: Transaction, name: str) -> None:
    """Require that a role exists.

    Raises:
        RoleNotFound: there is no such role.
    """
    if await transaction.roles.get(name) is None:
        raise RoleNotFound(
            f"role not found: {name}", ErrorDetail(ErrorCode.ROLE_NOT_FOUND, {"name": name}), field="roleName"
        )


def _user_not_found(name: str) -> UserNotFound:
    return UserNotFound(
        f"user not found: {name}", ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": name}), field="userName"
    )
