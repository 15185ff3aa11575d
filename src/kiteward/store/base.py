"""The contract of a store: reads at a revision, and transactions that advance it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from kiteward.authz.model import Grant, Policy
from kiteward.domain.request_limits import RequestLimits
from kiteward.store.audit_events import LineRange, StoredHead
from kiteward.store.factor_records import FactorRecord, TicketRecord
from kiteward.store.identity_records import GroupRole
from kiteward.store.intent_records import Intent
from kiteward.store.listings import KeyListing, ListedKeys, ListedUsers, UserListing
from kiteward.store.records import (
    AttemptsHeld,
    HashSchemes,
    KeyRecord,
    LastUsed,
    PolicyChanges,
    SessionRecord,
    Subject,
    Use,
    UserRecord,
)
from kiteward.store.scim import ScimReads
from kiteward.store.sharing import ConnectedReplicas
from kiteward.store.sign_in_failures import AttemptRules
from kiteward.store.transaction import Transaction

if TYPE_CHECKING:  # drafts are loaded where they are used
    from kiteward.store.draft import Draft


class Store(Protocol):
    """Keeps users, roles, role bindings, grants, groups, API keys, tags, row policies, intents and audit events.

    Requirements for every implementation, checked by `tests/conformance/store`:

    - Each read sees one committed state, also where it takes several statements, and never waits for a writer.
    - Transactions that write run one after another, also those of other processes on the same database. `Transaction`
      is the same class for all: an implementation opens it on a connection that keeps this order.
    - `Transaction.commit` returns when the changes are on disk. A transaction that fails, is cancelled or is left
      without a commit changes nothing, and after a statement that failed nothing more can be done in it.
    - What a transaction has found is as durable when it is committed as what it has changed: a repeated change may find
      what an earlier attempt has made, whose outcome is not known.
    - A commit that may or may not have been carried out raises `CommitUnknown`. Whatever becomes of it, the next
      transaction begins after it.
    - A commit that changes something advances the revision by one, and the change feed names what it changed. The first
      one after a failover of the database advances it by more than the feed holds, so that everything is read again.
      `record_last_used`, `attempts`, audit events, the beginning of a session and the use of a second factor advance no
      revision.
    - Names are compared and sorted by code point, case matters, and none is normalised.
    - An error of the database or its driver surfaces as `StoreUnavailable`, without the values of a statement.
    """

    @property
    def shared(self) -> bool:
        """Whether servers on several machines can work with it at the same time."""
        ...

    async def policy(self) -> Policy:
        """Return all roles, grants, groups and protected collections at one revision."""
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

    async def federated_user(self, issuer: str, subject: str) -> UserRecord | None:
        """Return the user whom a subject of an issuer signs in, with its role bindings, or None."""
        ...

    async def tokens_not_before(self, issuer: str, user_name: str) -> float:
        """Return from when on tokens of an issuer count for a user name, in seconds since the epoch; 0 for any moment.

        Args:
            issuer: the issuer.
            user_name: the name, whether or not there is such a user.
        """
        ...

    async def issuer_cut_offs(self) -> Mapping[str, float]:
        """Return since when tokens must have been issued, in seconds since the epoch, by issuer where that is set.

        Those of single users are in their identities.
        """
        ...

    async def group_roles(self, issuer: str | None) -> Sequence[GroupRole]:
        """Return the roles that groups of an issuer give, or those of all issuers when None; sorted."""
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

    async def list_users(self, listing: UserListing) -> ListedUsers:
        """Return a part of a list of users with their role bindings, and the length of the list if that is wanted."""
        ...

    async def list_keys(self, listing: KeyListing) -> ListedKeys:
        """Return a part of a list of API keys with their states, and the length of the list if that is wanted."""
        ...

    async def revision(self) -> int:
        """Return the revision of the last change, whoever made it."""
        ...

    async def changes_since(self, revision: int) -> PolicyChanges | None:
        """Return what has changed after a revision, all of it as of one revision.

        Returns:
            None where the feed begins later or the revision is yet to come, or so much has changed that reading the
            whole policy is less.
        """
        ...

    async def open_intents(self) -> tuple[int, tuple[Intent, ...]]:
        """Return the revision, and the intents that are open as of it, oldest first."""
        ...

    async def record_last_used(self, used: LastUsed) -> None:
        """Store when users, keys and sessions were last used, unless a later time is stored.

        It advances no revision.
        """
        ...

    @property
    def attempts(self) -> "Attempts":
        """The passwords that were presented, as servers that share the store count them."""
        ...

    @property
    def scim(self) -> ScimReads:
        """The users and groups that identity providers manage by SCIM."""
        ...

    async def session(self, token_digest: str) -> SessionRecord | None:
        """Return the stored session of a token, by its digest, or None."""
        ...

    async def session_named(self, session_id: str) -> SessionRecord | None:
        """Return the stored session with a public id, or None."""
        ...

    async def sessions_of(self, user_name: str) -> Sequence[SessionRecord]:
        """Return the stored sessions of a user, the latest first."""
        ...

    async def session_count(self) -> int:
        """Return how many sessions are stored."""
        ...

    async def secret_waits(self, ticket_digest: str, session_id: str, *, now: float) -> bool:
        """Return whether a sealed secret waits in a session.

        Args:
            ticket_digest: the digest of the ticket that asks for it.
            session_id: the public id of the session.
            now: seconds since the epoch.
        """
        ...

    async def factors(self, user_name: str) -> Sequence[FactorRecord]:
        """Return the second factors of a user, the oldest first, unconfirmed ones included."""
        ...

    async def recovery_codes(self, user_name: str) -> int:
        """Return how many recovery codes a user has left."""
        ...

    async def sign_in_ticket(self, token_digest: str) -> TicketRecord | None:
        """Return the ticket of a token, by its digest, or None; it may have expired."""
        ...

    async def uses_after(self, moment: float) -> Sequence[Use]:
        """Return what was used after a moment, in seconds since the epoch, as far as uses are stored."""
        ...

    async def uses_since(self) -> float | None:
        """Return since when uses are stored, in seconds since the epoch; None if they are not."""
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

    async def grants_since(self, moment: float) -> Sequence[Grant]:
        """Return the grants that were made at this moment or later, in seconds since the epoch, in their order.

        Those that were stored by a version that kept no times are older.
        """
        ...

    async def bindings(self, role: str | None) -> dict[str, tuple[str, ...]]:
        """Return role name -> names of the users bound to it, sorted; of one role, or of all when None."""
        ...

    async def member_counts(self) -> Mapping[str, int]:
        """Return role name -> to how many users it is bound, of each role that is bound to any."""
        ...

    async def audit_head(self) -> StoredHead:
        """Return where the chain of stored audit events begins and ends."""
        ...

    async def audit_lines(self, wanted: LineRange) -> Sequence[str]:
        """Return stored audit events as text, the oldest first."""
        ...

    async def audit_position(self, trail: str) -> int:
        """Return the number of the last line of a trail that was read for the store; 0 if none was."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction, the only one until it ends; leaving it without `commit` undoes everything.

        Raises:
            StoreUnavailable: no transaction could be begun.
        """
        ...

    def draft(self) -> "AbstractAsyncContextManager[Draft]":
        """Copy the policy into memory, where changes are tried that no other change waits for.

        What is not part of the policy, such as sessions, second factors and audit events, is not in the copy.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        ...

    def replicas(self, *, patience: float) -> "ConnectedReplicas | None":
        """Return the servers that share the store with this one; None where none can, because it is a file.

        Args:
            patience: seconds within which every call ends, except a registration, which is like any transaction.
        """
        ...

    async def close(self) -> None:
        """Close the connections. Calls afterwards raise `StoreUnavailable`."""
        ...


class Attempts(Protocol):
    """Counts wrong passwords for all servers that share a store, for users that exist and for those that do not.

    Requirements for every implementation:

    - Each call is done at once for all servers: of several that begin together, each knows of those before.
    - It waits for no transaction, needs no clock of the caller, and keeps no name of a user in clear.
    - What it has counted may be lost when the database crashes.
    - Any change that makes earlier failures of a user no longer count forgets them in its transaction.
    """

    async def begin(self, user: str, source: str, rules: AttemptRules) -> AttemptsHeld:
        """Begin to verify a password, if the rules allow it now. If so, the caller must call `end`.

        Raises:
            StoreUnavailable: it is not known whether it was begun.
        """
        ...

    async def end(self, user: str, source: str, rules: AttemptRules, *, right: bool | None) -> int:
        """Record the result of a verification that was begun.

        Args:
            user: as in `begin`.
            source: likewise.
            rules: likewise.
            right: whether the password was right; None when that was not established.

        Returns:
            How many passwords of the user were wrong in a row, from all sources; 0 unless this one was wrong.

        Raises:
            StoreUnavailable: it is not known whether it was recorded.
        """
        ...

    async def expire(self, rules: AttemptRules) -> None:
        """Remove what no longer counts, and what is beyond the capacity.

        Raises:
            StoreUnavailable: it is not known whether it was removed.
        """
        ...
