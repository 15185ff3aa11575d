"""Words refusals by the object on which a privilege is missing.

Milvus names the database of an object only, and its clients read that. Kiteward's own operations and explanations name
the object, as their caller named it: a grant on it would be enough.
"""

from dataclasses import replace
from typing import Final

from kiteward.authz.policy import Condition, Decision
from kiteward.authz.privileges import Level, ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.identity import Principal
from kiteward.domain.naming import ANY

_UNNAMED: Final = frozenset({ErrorCode.PRIVILEGE_MISSING, ErrorCode.PRIVILEGE_MISSING_EVERYWHERE})
"""The codes of refusals that name no object."""


def on_object(decision: Decision, principal: Principal, condition: Condition, name: str) -> Decision:
    """Return a refusal for a missing privilege as one that names the object; any other decision unchanged.

    Args:
        decision: the decision on the condition.
        principal: who was refused.
        condition: what is required, on one object.
        name: the object as it may be named to the caller; empty or `*` for none.
    """
    privilege = condition.privilege
    on_user = privilege.object_type is ObjectType.USER
    by_database = privilege.level is Level.DATABASE and bool({*condition.names} - {ANY})
    named = name not in ("", ANY) and (on_user or by_database or privilege.level is Level.COLLECTION)
    if decision.detail is None or decision.detail.code not in _UNNAMED or not named:
        return decision
    place = name if on_user else f"{condition.database}.{name}"
    return replace(
        decision,
        message=f"Privilege{privilege.name}: permission deny to {principal.user_name} on `{place}`",
        detail=ErrorDetail(ErrorCode.PRIVILEGE_MISSING_ON, {"privilege": privilege.name, "object": place}),
    )
