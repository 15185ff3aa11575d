"""A transaction of the store: its reads, its writes, and the changes it will announce."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Executable, and_, delete, func, insert, select, update

from kiteward.store import queries, replicas, schema, sign_in_failures
from kiteward.store.audit_events import AuditEvents
from kiteward.store.audit_uses import AuditUses
from kiteward.store.change_feed import Changes
from kiteward.store.connections import WriteTransaction
from kiteward.store.grants import Grants
from kiteward.store.identities import Identities
from kiteward.store.intents import Intents
from kiteward.store.keys import Keys
from kiteward.store.privilege_groups import PrivilegeGroups
from kiteward.store.records import Change, Committed, Subject, UserRecord, collection_subject
from kiteward.store.renaming import Renaming
from kiteward.store.request_limits import HeldLimits
from kiteward.store.roles import Roles
from kiteward.store.row_policies import RowPolicies
from kiteward.store.scim import ScimDirectory
from kiteward.store.second_factors import Factors
from kiteward.store.sessions import END_OF_USER, ConsoleSessions
from kiteward.store.tags import Tags

if TYPE_CHECKING:  # drafts are loaded where they are used
    from kiteward.store.drafted import Drafted

FEED_LENGTH: Final = 10_000
"""Number of revisions that the change feed holds."""

FAILOVER_STEP: Final = 2 * FEED_LENGTH
"""By how much the first change after a failover advances the revision. Others may have applied changes that were lost,
because they were not acknowledged: none of these has a revision of the new history, and no feed reaches back to one."""

_users = schema.users.c
_scim_users = schema.scim_users.c


class Users:
    """Users inside a transaction."""

    def __init__(
        self,
        write_transaction: WriteTransaction,
        changes: Changes,
        *,
        keys: Keys,
        grants: Grants,
        identities: Identities,
        factors: Factors,
        clock: Callable[[], float],
    ) -> None:
        self._write_transaction = write_transaction
        self._changes = changes
        self._keys = keys
        self._grants = grants
        self._identities = identities
        self._factors = factors
        self._clock = clock

    async def get(self, name: str) -> UserRecord | None:
        """Return the user, or None."""
        return next(queries.user_records(await self._write_transaction.rows(queries.users_named(name))), None)

    async def count(self) -> int:
        """Return how many users there are, `root` included."""
        return int((await self._write_transaction.rows(select(func.count()).select_from(schema.users)))[0][0])

    async def add(self, name: str, password_hash: str, *, description: str = "", one_time: bool = False) -> None:
        """Create a user without roles. The caller has checked that the name is free."""
        now = self._clock()
        user = {
            "name": name,
            "password_hash": password_hash,
            "credential_id": _new_credential_id(),
            "description": description,
            "one_time": one_time,
        }
        await self._write_transaction.run(insert(schema.users), {**user, "created_at": now, "changed_at": now})
        await self._note(name, forgiven=True)

    async def set_password(
        self, name: str, password_hash: str, *, former_until: float | None = None, one_time: bool = False
    ) -> None:
        """Replace the password hash and the credential id of an existing user.

        Args:
            name: the user.
            password_hash: of the new password.
            former_until: until when the present password is accepted too; None: no longer, nor any before it.
            one_time: whether the new one may only be used to set another.
        """
        kept = former_until is not None
        await self._update(
            name,
            _users.name == name,
            forgiven=True,
            password_hash=password_hash,
            credential_id=_new_credential_id(),
            former_hash=_users.password_hash if kept else None,
            former_credential_id=_users.credential_id if kept else None,
            former_until=former_until,
            one_time=one_time,
        )
        await self._end_sessions(name)

    async def rehash(self, name: str, password_hash: str, *, credential_id: str) -> None:
        """Replace the hash of a password that stays; nothing happens if the user's credential is another by now."""
        # No change is announced: the credential is the same, and verified credentials stay verified.
        same = and_(_users.name == name, _users.credential_id == credential_id)
        await self._write_transaction.run(update(schema.users).where(same).values(password_hash=password_hash))

    async def end_previous_secret(self, name: str) -> None:
        """Stop accepting a user's previous password; without one nothing happens.

        The keys of exchanges that the user took part in end too: some may have come of that password.
        """
        kept = and_(_users.name == name, _users.former_until.is_not(None))
        await self._update(name, kept, former_hash=None, former_credential_id=None, former_until=None)
        await self._keys.end_exchanges_of(name)

    async def enable(self, name: str, enabled: bool) -> None:
        """Enable or disable an existing user. If SCIM has disabled it, that is no longer SCIM's to undo."""
        by_scim = and_(_scim_users.user_name == name, _scim_users.deactivated)
        await self._write_transaction.run(update(schema.scim_users).where(by_scim).values(deactivated=False))
        differs = and_(_users.name == name, _users.enabled != enabled)
        if enabled:
            await self._update(name, differs, forgiven=True, enabled=True)
        else:
            # A credential that was verified before, such as a session, stays invalid when the user is enabled again.
            await self._update(name, differs, enabled=False, credential_id=_new_credential_id())
            await self._end_sessions(name)

    async def renew_credential(self, name: str) -> None:
        """End everything that an existing user has signed in to; its password stays, if it has one."""
        await self._update(name, _users.name == name, credential_id=_new_credential_id())
        await self._end_sessions(name)

    async def lock(self, name: str) -> None:
        """Lock an existing user from now on; one that is locked stays so."""
        await self._mark(name, _users.locked_at.is_(None), self._clock())
        await self._end_sessions(name)

    async def unlock(self, name: str) -> None:
        """Unlock a user; one that is not locked stays so."""
        if await self._mark(name, _users.locked_at.is_not(None), None, forgiven=True):
            await self._factors.forgive(name)

    async def reset_factors(self, name: str) -> None:
        """Remove the second factors of an existing user with all that belongs to them, and end its sessions."""
        await self._factors.reset(name)
        # As in `enable`: a session in the memory of a server ends too.
        await self._update(name, _users.name == name, credential_id=_new_credential_id())
        await self._end_sessions(name)

    async def describe(self, name: str, description: str) -> None:
        """Replace the description of an existing user."""
        differs = and_(_users.name == name, _users.description != description)
        await self._update(name, differs, description=description)

    async def remove(self, name: str) -> Sequence[str]:
        """Remove a user with its role bindings, its API keys, and every key that descends from one of those.

        Grants that are kept for the user go too. An unknown name does nothing.

        Returns:
            The ids of the API keys that are removed.
        """
        # The foreign key removes the user's own keys, but not those of others that descend from them.
        ended = await self._keys.remove_of(name)
        await self._grants.forget_kept_for(name)
        await self._identities.end_tokens(name)
        if await self._write_transaction.run(delete(schema.users).where(_users.name == name)):
            self._changes.add(Subject.USER, name)
        return ended

    async def _end_sessions(self, name: str) -> None:
        """End the sessions of a user, and the keys of exchanges that it took part in; the caller announces a change."""
        await self._write_transaction.run(END_OF_USER, {"ended_user": name})
        await self._keys.end_exchanges_of(name)

    async def _mark(
        self, name: str, where: ColumnElement[bool], locked_at: float | None, *, forgiven: bool = False
    ) -> bool:
        """Lock or unlock a user that meets a condition, and return whether one did."""
        named = and_(_users.name == name, where)
        if not await self._write_transaction.run(update(schema.users).where(named).values(locked_at=locked_at)):
            return False
        await self._note(name, forgiven=forgiven)
        return True

    async def _update(self, name: str, where: ColumnElement[bool], *, forgiven: bool = False, **values: Any) -> None:
        if await self._write_transaction.run(
            update(schema.users).where(where).values(changed_at=self._clock(), **values)
        ):
            await self._note(name, forgiven=forgiven)

    async def _note(self, name: str, *, forgiven: bool) -> None:
        """Add a user to the changes, and its credential too if earlier failures no longer count."""
        self._changes.add(Subject.USER, name)
        if forgiven:
            self._changes.add(Subject.CREDENTIAL, name)
            await self._write_transaction.run(*sign_in_failures.forgiven(name))


class Transaction:
    """Reads and writes that become durable together or not at all.

    INVARIANT: writers run one after another, so what a transaction has read holds until it commits.
    """

    def __init__(
        self,
        write_transaction: WriteTransaction,
        clock: Callable[[], float],
        announcement: Callable[[int, int], Executable | None],
    ) -> None:
        self._write_transaction = write_transaction
        self._announcement = announcement
        self._changes = Changes()
        self.keys = Keys(write_transaction, self._changes, clock)
        self.grants = Grants(write_transaction, self._changes, clock)
        self.identities = Identities(write_transaction, self._changes, clock)
        self.factors = Factors(write_transaction, self._changes)
        self.users = Users(
            write_transaction,
            self._changes,
            keys=self.keys,
            grants=self.grants,
            identities=self.identities,
            factors=self.factors,
            clock=clock,
        )
        self.row_policies = RowPolicies(write_transaction, self._changes, clock)
        self.user_tags = Tags(write_transaction, self._changes, Subject.USER, schema.user_tags.c.user_name)
        self.key_tags = Tags(write_transaction, self._changes, Subject.KEY, schema.api_key_tags.c.key_id)
        self.roles = Roles(write_transaction, self._changes, row_policies=self.row_policies, identities=self.identities)
        self.groups = PrivilegeGroups(write_transaction, self._changes)
        self.limits = HeldLimits(write_transaction, self._changes)
        self.intents = Intents(write_transaction, self._changes)
        self.audit_events = AuditEvents(write_transaction)
        self.audit_uses = AuditUses(write_transaction)
        self.sessions = ConsoleSessions(write_transaction, self._changes)
        self.renaming = Renaming(write_transaction, self._changes)
        self.scim = ScimDirectory(write_transaction, self._changes, clock)

    def note_catalog(self, names: Iterable[tuple[str, str]]) -> None:
        """Announce that names may stand for something else in the engine; see `Subject.CATALOG`.

        Args:
            names: databases, each with the name of a collection or alias, or an empty one for everything in it.
        """
        self._changes.add(Subject.CATALOG, *(collection_subject(*name) for name in sorted(names)))

    async def holds(self, ticket: str) -> bool:
        """Return whether a ticket for a lock is there, which then stays so until this transaction ends."""
        held = select(schema.locks.c.number).where(schema.locks.c.ticket == ticket).with_for_update(key_share=True)
        return bool(await self._write_transaction.rows(held))

    @property
    def changes(self) -> tuple[Change, ...]:
        """What it will announce by now."""
        return self._changes.all()

    async def carry_out(self, draft: "Drafted") -> bool:
        """Make the changes of a draft, and return whether they were made.

        They are not if anything that the draft depends on has changed since it was copied.
        """
        from kiteward.store import drafted  # noqa: PLC0415  few commands need it

        if not await drafted.write(self._write_transaction, draft, reach=FEED_LENGTH):
            return False
        for change in draft.changes:
            self._changes.add(change.subject, change.name)
        return True

    async def commit(self) -> Committed:
        """Make the changes durable, and what this transaction has found.

        Sync them to disk, advance the revision if anything changed, and return what was done. A change of another
        transaction that was found, and may not be on the standby yet, is there too afterwards: a failover would undo
        it after the caller was answered by it.

        Raises:
            CommitUnknown: it is not known whether it was written.
            StoreUnavailable: it could not be written; nothing has changed.
        """
        changes = self._changes.all()
        found = replicas.present(await self._write_transaction.rows(replicas.REVISION_AND_REGISTERED))
        revision = found.revision
        if changes:
            revision += FAILOVER_STEP if found.failed_over else 1
            await self._announce(revision, changes, timeline=found.timeline, servers=len(found.replicas))
        elif self._announcement(revision, len(found.replicas)) is not None:
            await self._write_transaction.run(_CONFIRM)
        await self._write_transaction.commit()
        return Committed(revision, changes, found.replicas)

    async def _announce(self, revision: int, changes: Sequence[Change], *, timeline: str, servers: int) -> None:
        feed = schema.change_feed
        present = schema.revision.c
        await self._write_transaction.run(
            update(schema.revision).where(present.id == schema.REVISION_ROW).values(value=revision, timeline=timeline)
        )
        rows = [{"revision": revision, "subject": change.subject.value, "name": change.name} for change in changes]
        await self._write_transaction.run(insert(feed), rows)
        await self._write_transaction.run(delete(feed).where(feed.c.revision <= revision - FEED_LENGTH))
        announcement = self._announcement(revision, servers)
        if announcement is not None:
            await self._write_transaction.rows(announcement)


_CONFIRM: Final = (
    update(schema.revision).where(schema.revision.c.id == schema.REVISION_ROW).values(value=schema.revision.c.value)
)
"""Writes a row as it is: a commit that has written nothing waits for no standby."""


def _new_credential_id() -> str:
    return secrets.token_hex(16)
