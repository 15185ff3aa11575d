"""What a request says of a new row policy, and what can be checked of it without its collection."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from kiteward.authz.row_policies import CHECK_ACTIONS, USING_ACTIONS, PolicyType, RowAction, RowPolicy
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.faults import Faults
from kiteward.domain.naming import NamingRules, check_description
from kiteward.iam.row_expressions import ARGUMENTS, parsed

LONGEST_EXPRESSION: Final = 16 * 1024
"""Most bytes of an expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyForm:
    """A row policy as a request gives it. Attributes as of `RowPolicy`, but for words that may be none there are.

    Attributes:
        policy_type: its type.
        actions: its actions.
        roles: its roles, in any order.
    """

    name: str
    policy_type: str
    actions: Collection[str]
    roles: Collection[str]
    using_expr: str
    check_expr: str
    description: str


def check_form(naming: NamingRules, form: PolicyForm) -> RowPolicy:
    """Check what can be checked of a policy without its collection, and return it.

    Args:
        naming: the rules for its name.
        form: the policy.

    Raises:
        RequestRefused: something is wrong with it; it has what else is.
    """
    faults = Faults()
    with faults:
        naming.check_policy_name(form.name)
    with faults:
        check_description(form.description)
    with faults:
        _check_actions(form.actions)
    with faults:
        _check_type(form.policy_type)
    for expression, text, users in (
        ("using_expr", form.using_expr, USING_ACTIONS),
        ("check_expr", form.check_expr, CHECK_ACTIONS),
    ):
        with faults:
            if form.actions:
                _check_use(expression, text, frozenset(form.actions), users)
            _check_text(expression, text)
    faults.require_none()
    return RowPolicy(
        form.name,
        PolicyType(form.policy_type),
        actions=frozenset(map(RowAction, form.actions)),
        roles=tuple(sorted(set(form.roles))),
        using_expr=form.using_expr,
        check_expr=form.check_expr,
        description=form.description,
    )


def _check_type(name: str) -> None:
    if name not in frozenset(PolicyType):
        known = ", ".join(PolicyType)
        raise InvalidArgument(
            f"there is no policy type {name}: choose from {known}",
            ErrorDetail(ErrorCode.ROW_POLICY_TYPE_UNKNOWN, {"name": name, "known": known}),
            field="policyType",
        )


def _check_actions(actions: Collection[str]) -> None:
    known = ", ".join(RowAction)
    for name in actions:
        if name not in frozenset(RowAction):
            raise InvalidArgument(
                f"there is no action {name}: choose from {known}",
                ErrorDetail(ErrorCode.ROW_POLICY_ACTION_UNKNOWN, {"name": name, "known": known}),
                field="actions",
            )
    if not actions:
        raise InvalidArgument(
            f"a row policy needs at least one action: {known}",
            ErrorDetail(ErrorCode.ROW_POLICY_WITHOUT_ACTION, {"known": known}),
            field="actions",
        )


def _check_use(expression: str, text: str, actions: frozenset[str], users: frozenset[RowAction]) -> None:
    """Check that an expression is given if, and only if, one of the actions uses it. An unknown one may use both."""
    using = [action for action in RowAction if action in actions & users]
    if using and not text.strip():
        raise InvalidArgument(
            f"the action {using[0]} needs `{expression}`",
            ErrorDetail(ErrorCode.ROW_POLICY_EXPRESSION_MISSING, {"action": using[0], "expression": expression}),
            field=ARGUMENTS[expression],
        )
    if text and not using and actions <= frozenset(RowAction):
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
