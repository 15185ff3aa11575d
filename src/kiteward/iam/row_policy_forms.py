"""What can be checked of a new row policy by itself, without its collection."""

from typing import Final

from kiteward.authz.row_policies import CHECK_ACTIONS, USING_ACTIONS, RowAction, RowPolicy
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.faults import Faults
from kiteward.domain.naming import NamingRules, check_description
from kiteward.iam.row_expressions import ARGUMENTS, parsed

LONGEST_EXPRESSION: Final = 16 * 1024
"""Most bytes of an expression."""


def check_form(naming: NamingRules, policy: RowPolicy) -> None:
    """Check what can be checked of a policy without its collection.

    Args:
        naming: the rules for its name.
        policy: the policy.

    Raises:
        RequestRefused: something is wrong with it; it has what else is.
    """
    faults = Faults()
    with faults:
        naming.check_policy_name(policy.name)
    with faults:
        check_description(policy.description)
    with faults:
        _check_actions(policy.actions)
    for expression, text, users in (
        ("using_expr", policy.using_expr, USING_ACTIONS),
        ("check_expr", policy.check_expr, CHECK_ACTIONS),
    ):
        with faults:
            if policy.actions:
                _check_use(expression, text, policy.actions, users)
            _check_text(expression, text)
    faults.require_none()


def _check_actions(actions: frozenset[RowAction]) -> None:
    if not actions:
        known = ", ".join(RowAction)
        raise InvalidArgument(
            f"a row policy needs at least one action: {known}",
            ErrorDetail(ErrorCode.ROW_POLICY_WITHOUT_ACTION, {"known": known}),
            field="actions",
        )


def _check_use(expression: str, text: str, actions: frozenset[RowAction], users: frozenset[RowAction]) -> None:
    """Check that an expression is given if, and only if, one of the actions uses it."""
    using = [action for action in RowAction if action in actions & users]
    if using and not text.strip():
        raise InvalidArgument(
            f"the action {using[0]} needs `{expression}`",
            ErrorDetail(ErrorCode.ROW_POLICY_EXPRESSION_MISSING, {"action": using[0], "expression": expression}),
            field=ARGUMENTS[expression],
        )
    if text and not using:
        known = ", ".join(action for action in RowAction if action in users)
        raise InvalidArgument(
            f"no action of the policy uses `{expression}`: leave it out, or add one of {known}",
            ErrorDetail(ErrorCode.ROW_POLICY_EXPRESSION_UNUSED, {"expression": expression, "known": known}),
            field=ARGUMENTS[expression],
        )


def _check_text(expression: str, text: str) -> None:
    """Check that an expression is not too long, and can be parsed."""
    if len(text.encode()) > LONGEST_EXPRESSION:
        raise InvalidArgument(
            f"`{expression}` must be at most {LONGEST_EXPRESSION} bytes",
            ErrorDetail(
                ErrorCode.ROW_POLICY_EXPRESSION_TOO_LONG, {"expression": expression, "limit": LONGEST_EXPRESSION}
            ),
            field=ARGUMENTS[expression],
        )
    if text:
        parsed(expression, text)
