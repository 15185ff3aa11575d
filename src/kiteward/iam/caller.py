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

    @property
    def note_decision(self) -> Callable[[Condition, Decision], None]:
        """Keep a decision of the service, for the audit trail, where none was made before it was called."""
        ...


def require(caller: Caller, condition: Condition) -> None:
    """Require that the caller meets a condition.

    Raises:
        AccessDenied: it does not.
    """
    decision = decide(caller.principal, (condition,), caller.snapshot)
    caller.note_decision(condition, decision)
    decision.require_allowed()


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
