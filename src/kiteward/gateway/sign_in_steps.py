"""What a caller may do whose sign-in lacks something: a second factor, its enrolment, or a password of its own."""

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied
from kiteward.domain.identity import Principal, SignInStep
from kiteward.gateway.rows import Row
from kiteward.iam.json_api.base import AdminOperation


def require_signed_in(principal: Principal, row: Row | None) -> None:
    """Require that the sign-in of a caller is complete, or that a request is a part of it.

    Args:
        principal: the caller.
        row: the row of the request; None where there is none.

    Raises:
        AccessDenied: something else has to be done first.
    """
    step = principal.step
    asked_for = isinstance(row, AdminOperation) and step in row.steps
    if step is SignInStep.SECOND_FACTOR and not asked_for:
        raise AccessDenied(
            f"{principal.user_name} has to present a second factor first", ErrorDetail(ErrorCode.SECOND_FACTOR_DUE)
        )
    if principal.one_time:
        if row is None or not row.one_time_password:
            raise AccessDenied(
                f"the password of {principal.user_name} is a one-time password: set another one first "
                "(update_password)",
                ErrorDetail(ErrorCode.ONE_TIME_PASSWORD),
            )
    elif step is SignInStep.ENROLMENT and not asked_for:
        raise AccessDenied(
            f"{principal.user_name} has to enrol a second factor first, in the console",
            ErrorDetail(ErrorCode.ENROLMENT_DUE),
        )
