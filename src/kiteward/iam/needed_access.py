"""What a request needs to be allowed: by the privilege, the RPC or the operation of our own that a question names."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kiteward.authz.model import ADMIN_ROLE
from kiteward.authz.policy import (
    Condition,
    Decision,
    PolicySnapshot,
    decide,
    decide_administrator,
    decide_oneself,
)
from kiteward.authz.privileges import PRIVILEGES, ObjectType
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import Principal
from kiteward.domain.naming import ANY
from kiteward.iam.services import OwnOperationRules, Services

Rule = Callable[[Principal, PolicySnapshot], Decision]


@dataclass(frozen=True, slots=True)
class Needed:
    """What is needed.

    Attributes:
        conditions: what has to be met on the object in question, without its name; all of them.
        rule: decides where there is no condition.
        roles: the roles that would allow what the rule refuses.
    """

    conditions: Sequence[Condition] = ()
    rule: Rule | None = None
    roles: Sequence[str] = ()

    @property
    def on_user(self) -> bool:
        """Whether the object is a user."""
        return any(condition.privilege.object_type is ObjectType.USER for condition in self.conditions)


def needed_for(services: Services, privilege: str, operation: str, name: str) -> Needed:
    """Return what is needed for a privilege, or for an operation.

    Args:
        services: what services work with.
        privilege: the privilege, or empty.
        operation: the operation, or empty.
        name: the object in question; of operations about what belongs to users, the user.

    Raises:
        InvalidArgument: there is no such privilege or operation, or not exactly one of both is given.
    """
    if bool(privilege) == bool(operation):
        raise not_exactly_one("privilege", "operation")
    if privilege:
        if privilege not in PRIVILEGES:
            raise _unknown("privilege", ErrorCode.PRIVILEGE_UNKNOWN, privilege, PRIVILEGES)
        return Needed((Condition(PRIVILEGES[privilege]),))
    own = services.own_operations.get(operation)
    if own is not None:
        return _needed_for_own(own, name)
    row = services.operations.get(operation)
    if row is None:
        known = (*services.operations, *services.own_operations)
        raise _unknown("operation", ErrorCode.OPERATION_UNKNOWN, operation, known)
    if row.closed:
        raise InvalidArgument(
            f"{operation} is not supported here: {row.closed}", *row.closed_details(), field="operation"
        )
    if row.privilege is None:
        credential = row.credential
        return Needed(rule=lambda principal, snapshot: decide(principal, (), snapshot, credential=credential))
    return Needed((Condition(row.privilege, visibility_is_enough=row.visibility_is_enough),))


def _needed_for_own(row: OwnOperationRules, name: str) -> Needed:
    if row.privilege is not None:
        return Needed((Condition(row.privilege),))
    if row.on_objects:
        return Needed(row.on_objects)
    if not row.own:
        return Needed(rule=row.decide, roles=(ADMIN_ROLE,) if row.administrators else ())

    def of_users(principal: Principal, snapshot: PolicySnapshot) -> Decision:
        decision = row.decide(principal, snapshot)
        if not decision.allowed:
            return decision
        oneself = name in ("", ANY, principal.user_name)
        return decide_oneself(principal) if oneself else decide_administrator(principal)

    return Needed(rule=of_users, roles=(ADMIN_ROLE,))


def not_exactly_one(first: str, second: str) -> InvalidArgument:
    """Return the error for a question that gives both of two arguments, or neither."""
    detail = ErrorDetail(ErrorCode.EXACTLY_ONE_ARGUMENT, {"first": first, "second": second})
    return InvalidArgument(f"give either `{first}` or `{second}`", detail)


def _unknown(field: str, code: ErrorCode, given: str, known: Iterable[str]) -> InvalidArgument:
    from kiteward.domain.suggestions import no_such  # noqa: PLC0415  only where something is wrong

    message, details = no_such(field, given, known, code)
    return InvalidArgument(message, *details, field=field)
