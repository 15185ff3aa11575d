"""Which limits apply to the requests of a principal (decision 0055)."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from kiteward.authz.model import PUBLIC_ROLE
from kiteward.domain.identity import Principal
from kiteward.domain.request_limits import HeldLimits, RequestLimits

_NONE: Final = HeldLimits()


class LimitedBy(NamedTuple):
    """What the requests are counted for that a limit applies to.

    Attributes:
        kind: whose limit it is: `user`, `role`, `api_key`, or `default` where the settings limit every user.
        name: the user, role or API key that has the limit.
        user_name: for a role or the default, the user whose requests are counted; else empty.
    """

    kind: str
    name: str
    user_name: str = ""


def applying(
    principal: Principal, role_limits: Mapping[str, RequestLimits] | None, default: RequestLimits | None
) -> list[tuple[LimitedBy, RequestLimits]]:
    """Return the limits that apply to a principal. A request has to keep within each, so that the smallest decides.

    - Those of the user apply to its requests with any credential, counted together.
    - Those of a role apply to each user who holds it, by itself. An API key that leaves a role out does not escape its
      limits.
    - Those of an API key apply to its requests and to those of all keys that descend from it, counted together.
    - The default applies to each user, for the kinds of limits that neither the user nor one of its roles has.

    Args:
        principal: who makes the requests.
        role_limits: those of the roles that have any, of `PolicySnapshot.role_limits`.
        default: the limits of every user that has no others, by the settings.
    """
    user, held = principal.user_name, principal.limits or _NONE
    of_user = [(LimitedBy("user", user), held.user)] if held.user else []
    if role_limits is not None:
        roles = {PUBLIC_ROLE} | principal.roles | principal.withheld_roles
        of_user += [(LimitedBy("role", name, user), role_limits[name]) for name in sorted(roles & role_limits.keys())]
    if default is not None:
        left = default.without(limits for _, limits in of_user)
        if left:
            of_user.append((LimitedBy("default", "", user), left))
    return [*of_user, *((LimitedBy("api_key", key_id), limits) for key_id, limits in held.keys)]
