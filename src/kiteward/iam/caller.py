"""Who calls a service, and what callers may do with what is theirs."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kiteward.authz.policy import PolicySnapshot, decide_administrator
from kiteward.domain.identity import Principal
from kiteward.store.transaction import Transaction


class Caller(Protocol):
    """An authenticated caller who is allowed to use a service; both adapters' requests are one."""

    @property
    def principal(self) -> Principal:
        """Who calls."""
        ...

    @property
    def snapshot(self) -> PolicySnapshot:
        """The policy that the caller was allowed by."""
        ...

    @property
    def change(self) -> Callable[[], AbstractAsyncContextManager[Transaction]]:
        """Open the transaction of a change.

        The caller is authenticated and authorized again when the transaction has begun: it may have waited for others.
        The transaction is committed, and in force, when the block ends; an exception undoes it.
        """
        ...

    @property
    def record(self) -> Callable[..., None]:
        """Add keyword arguments to what the audit trail holds of the result of a change; never a secret."""
        ...


def is_administrator(caller: Caller) -> bool:
    """Return whether the caller is an administrator."""
    return decide_administrator(caller.principal).allowed


def require_owner(caller: Caller, user_name: str) -> None:
    """Allow users what is theirs, and administrators everything. A limited API key does not act as its user.

    Raises:
        AccessDenied: the caller is neither the user nor an administrator.
    """
    if not caller.principal.acts_as(user_name):
        decide_administrator(caller.principal).require_allowed()
