"""The contract of a store: reads at a revision, and transactions that advance it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kiteward.authz.model import Grant, Policy, PrivilegeGroup, Role
from kiteward.authz.row_policies import ProtectedCollection
from kiteward.domain.request_limits import RequestLimits
from kiteward.store.records import Change, HashSchemes, KeyRecord, Subject, UserRecord
from kiteward.store.transaction import Transaction


class Store(Protocol):
    """Keeps users, roles, role bindings, grants, privilege groups, API keys, tags, row policies and intents.

    Requirements for every implementation, checked by `tests/conformance/store`:

    - Each read sees one committed state, also where it takes several statements, and never waits for a writer.
    - Transactions that write run one after another, also those of other processes on the same database. `Transaction`
      is the same class for all: an implementation opens it on a connection that keeps this order.
    - `Transaction.commit` returns when the changes are on disk. A transaction that fails, is cancelled or is left
      without a commit changes nothing.
    - A commit that changes something advances the revision by one, and the change feed names what it changed.
      `record_last_used` and intents advance no revision.
    - Names are compared and sorted by code point, case matters, and none is normalised.
    - An error of the database or its driver surfaces as `StoreUnavailable`, without the values of a statement.
    """

    async def policy(self) -> Policy:
        """Return all roles, grants, groups and protected collections at one revision."""
        ...

    async def role(self, name: str) -> tuple[Role, Sequence[Grant]] | None:
        """Return one role with its grants in the order of their keys, or None."""
        ...

    async def group(self, name: str) -> PrivilegeGroup | None:
        """Return one custom privilege group, or None."""
        ...

    async def protected(self, db_name: str, collection_name: str) -> ProtectedCollection | None:
        """Return a collection with its row policies; None if it has none and no property of theirs was ever set."""
        ...

    async def user(self, name: str) -> UserRecord | None:
        """Return one user with its role bindings, or None."""
        ...

    async def users(self, *, after: str = "", prefix: str = "", limit: int | None = None) -> Sequence[UserRecord]:
        """Return users with their role bindings, sorted by name.

        Args:
            after: only names that sort after this one.
            prefix: only names that begin so.
            limit: at most so many.
        """
        ...

    async def hash_schemes(self, names: Collection[str] | None) -> HashSchemes:
        """Return the kinds of password hashes that these users have, or that all have when None."""
        ...

    async def lineage(self, key_id: str) -> Sequence[KeyRecord]:
        """Return an API key, then the keys that it descends from, the nearest first; empty where there is none."""
        ...

    async def keys(
        self, *, owner: str | None = None, root: str | None = None, after: str = "", limit: int | None = None
    ) -> Sequence[KeyRecord]:
        """Return API keys sorted by id.

        Args:
            owner: only keys of this user.
            root: only this key and what descends from it.
            after: only ids that sort after this one.
            limit: at most so many.
        """
        ...

    async def revision(self) -> int:
        """Return the revision of the last change, whoever made it."""
        ...

    async def changes_since(self, revision: int) -> Sequence[Change] | None:
        """Return what has changed after a revision, without repetition; None where the feed begins later."""
        ...

    async def record_last_used(self, *, users: Mapping[str, float], keys: Mapping[str, float]) -> None:
        """Store when users and keys were last used, in seconds since the epoch. It advances no revision."""
        ...

    async def user_names(self) -> Sequence[str]:
        """Return every user name, sorted."""
        ...

    async def users_with_tag(self, key: str, value: str) -> Sequence[str]:
        """Return the names of the users who have a tag of this key and value, sorted."""
        ...

    async def limited(self, subject: Subject) -> Sequence[tuple[str, RequestLimits]]:
        """Return the users, API keys or roles whose requests are limited, with their limits, sorted by name or id.

        Args:
            subject: USER, KEY or ROLE.
        """
        ...

    async def bindings(self, role: str | None) -> dict[str, tuple[str, ...]]:
        """Return role name -> names of the users bound to it, sorted; of one role, or of all when None."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction, the only one until it ends; leaving it without `commit` undoes everything.

        Raises:
            StoreUnavailable: no transaction could be begun.
        """
        ...

    async def close(self) -> None:
        """Close the connections. Calls afterwards raise `StoreUnavailable`."""
        ...
