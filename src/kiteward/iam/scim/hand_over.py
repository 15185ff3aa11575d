"""Puts existing users under the control of SCIM, and takes them back: administrators alone do."""

import uuid

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AlreadyExists, NotFound
from kiteward.iam.caller import Caller
from kiteward.iam.lookup import require_user
from kiteward.iam.recorded_states import directory_before
from kiteward.iam.scim import faults
from kiteward.iam.scim.resources import one
from kiteward.iam.scim.schemas import USER
from kiteward.iam.scim.users import require_manageable
from kiteward.iam.services import Services
from kiteward.store.scim_records import ScimUserRecord


async def hand_over(services: Services, caller: Caller, user_name: str, login: str) -> None:
    """Let SCIM manage an existing user from now on, who keeps its name, password, roles and API keys.

    Args:
        services: what services work with.
        caller: an administrator.
        user_name: the user.
        login: its `userName` at the identity provider.

    Raises:
        ProtectedObject: it is `root`, or one of `common.security.superUsers`.
        UserNotFound: there is no such user.
        AlreadyExists: SCIM manages it already, or another user with this `userName`.
        InvalidArgument: the `userName` is too long.
        OperationRefused: SCIM is not enabled.
    """
    services.scim.require_enabled()
    attribute = USER.attribute("userName")
    if attribute is not None:
        one(attribute, login)
    require_manageable(services, user_name)
    async with caller.change() as transaction:
        user = await require_user(transaction, user_name)
        if await transaction.scim.user_named(user_name) is not None:
            raise AlreadyExists(
                f"SCIM manages {user_name} already", ErrorDetail(ErrorCode.SCIM_MANAGED_ALREADY), field="userName"
            )
        if await transaction.scim.user_with_login(login) is not None:
            raise faults.name_taken(f"there is a user with the userName {login} already")
        record = ScimUserRecord(str(uuid.uuid4()), user_name, login, None, user.enabled, {})
        await transaction.scim.add_user(record)
    caller.record(scimId=record.scim_id)


async def take_back(caller: Caller, user_name: str) -> None:
    """Let SCIM no longer manage a user, who leaves its groups and stays otherwise as it is.

    Raises:
        UserNotFound: there is no such user.
        NotFound: SCIM does not manage it.
    """
    async with caller.change() as transaction:
        user = await require_user(transaction, user_name)
        record = await transaction.scim.user_named(user_name)
        if record is None:
            raise NotFound(
                f"SCIM does not manage {user_name}", ErrorDetail(ErrorCode.SCIM_NOT_MANAGED), field="userName"
            )
        caller.record(before=directory_before(user))
        await transaction.scim.release_user(record)
