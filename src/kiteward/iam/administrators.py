"""Protects the last administrator, without whom nobody could undo changes."""

from kiteward.authz.model import ADMIN_ROLE
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import ProtectedObject
from kiteward.domain.identity import ROOT
from kiteward.iam.services import Services
from kiteward.store.transaction import Transaction


async def require_another_administrator(services: Services, transaction: Transaction, user_name: str) -> None:
    """Require that there is another administrator, before this user stops being one.

    An administrator is an enabled user who holds the role `admin`, and `root` while it is enabled, needs no role and
    has a password.

    Raises:
        ProtectedObject: it is the last one.
    """
    administrators = set(await transaction.roles.enabled_holders(ADMIN_ROLE))
    if services.root_bypass:
        root = await transaction.users.get(ROOT)
        if root is not None and root.enabled and root.has_password:
            administrators.add(ROOT)
    if administrators == {user_name}:
        raise ProtectedObject(
            f"{user_name} is the last administrator: create another one first",
            ErrorDetail(ErrorCode.LAST_ADMINISTRATOR, {"name": user_name}),
            field="userName",
        )
