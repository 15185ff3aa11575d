"""The caller of a service, and what callers may do with their own objects."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kiteward.authz.policy import Condition, Decision, PolicySnapshot, decide, decide_administrator
from kiteward.domain.identity import Principal
from kiteward.store.transaction import Transaction


class Caller(Protocol):
    """An authenticated caller who is allowed to use a service. The requests of both adapters implement it."""

    @property
    def principal(self) -> Principal:
        """The caller's principal."""
        ...

    @property
    def snapshot(self) -> PolicySnapshot:
        """The policy by which the call was allowed."""
        ...

    @property
    def tentative(self) -> bool:
        """Whether a change is part of several that are perhaps undone: of such a part alone nobody is warned."""
        ...

    @property
    def change(self) -> Callable[[], AbstractAsyncContextManager[Transaction]]:
        """Open the transaction of a change.

        The caller is authenticated and authorized again when the transaction has begun, because it may have waited.
        The transaction is committed and in force when the block ends. An exception rolls it back.
        """
        ...

    @property
    def record(self) -> Callable[..., None]:
        """Add keyword arguments to the recorded result of a change in the audit trail; never a secret."""
        ...

    def enforce(self, condition: Condition, decision: Decision, *, given: str) -> None:
        """Enforce a decision of the service on a condition, and keep it for the audit trail if it is the first.

        Args:
            condition: what is required, on one object.
            decision: the decision.
            given: the object as the caller named it.

        Raises:
            AccessDenied: it is a refusal.
        """
        ...


def require(caller: Caller, condition: Condition, *, given: str = "") -> None:
    """Require that the caller meets a condition on one object.

    Args:
        caller: who calls.
        condition: what is required.
        given: the object as the caller named it; by default as the condition does.

    Raises:
        AccessDenied: it does not meet it.
    """
    decision = decide(caller.principal, (condition,), caller.snapshot)
    caller.enforce(condition, decision, given=given or condition.names[0])


def is_administrator(caller: Caller) -> bool:
    """Return whether the caller is an administrator."""
    return decide_administrator(caller.principal).allowed


def require_owner(caller: Caller, user_name: str) -> None:
    """Require that the caller is this user or an administrator. A limited API key does not act as its user.

    Raises:
        AccessDenied: the caller is neither the user nor an administrator.
    """
    if not caller.principal.acts_as(user_name):
        decide_administrator(caller.principal).require_allowed()
