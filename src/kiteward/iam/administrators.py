"""The last administrator stays: somebody must be able to undo whatever was done."""

from kiteward.authz.model import ADMIN_ROLE
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import ProtectedObject
from kiteward.domain.identity import ROOT
from kiteward.iam.services import Services
from kiteward.store.transaction import Transaction


async def require_another_administrator(services: Services, transaction: Transaction, user_name: str) -> None:
    """Make sure that somebody else may do everything, in case this user no longer can.

    An administrator is an enabled user who holds the role `admin`, and `root` while it is enabled and needs no role.

    Raises:
        ProtectedObject: it is the last one.
    """
    administrators = set(await transaction.roles.enabled_holders(ADMIN_ROLE))
    if services.root_bypass:
        root = await transaction.users.get(ROOT)
        if root is not None and root.enabled:
            administrators.add(ROOT)
    if administrators == {user_name}:
        raise ProtectedObject(
            f"{user_name} is the last administrator: create another one first",
            ErrorDetail(ErrorCode.LAST_ADMINISTRATOR, {"name": user_name}),
            field="userName",
        )
