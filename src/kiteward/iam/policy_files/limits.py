"""Limits of requests of a file, which users and roles have alike."""

from msgspec import UnsetType

from kiteward.audit.events import Event
from kiteward.domain.request_limits import RequestLimits
from kiteward.iam.policy_files.document import PolicyLimits, given
from kiteward.iam.policy_files.work import Kind, Work, of_limits
from kiteward.iam.request_limits import LimitHolder, delete_limits, set_limits


async def set_limits_of(work: Work, holder: LimitHolder, held: PolicyLimits, wanted: PolicyLimits | UnsetType) -> None:
    """Give a user or a role its limits; without any in the file, they are left alone.

    Raises:
        InvalidArgument: as of `set_limits`.
    """
    after = given(wanted, held)
    if after == held:
        return
    named = {"userName": holder.user_name} if holder.user_name else {"roleName": holder.role_name}
    if after == PolicyLimits():
        async with work.recorded(Event.LIMIT_CHANGE, "DeleteLimits", **named):
            await delete_limits(work.caller, holder)
    else:
        async with work.recorded(Event.LIMIT_CHANGE, "SetLimits", **named):
            await set_limits(work.caller, holder, _limits(after))
    kind, name = (Kind.USER, holder.user_name) if holder.user_name else (Kind.ROLE, holder.role_name)
    work.object(kind, name).differences += of_limits(held, after)


def _limits(wanted: PolicyLimits) -> RequestLimits:
    return RequestLimits(
        given(wanted.requests_per_second, None), given(wanted.burst, None), given(wanted.concurrent_requests, None)
    )
