"""Sessions of the console in a store that other servers share."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from kiteward.authn.password_verifier import WRONG_PASSWORD
from kiteward.authn.session_rules import SessionRules
from kiteward.authn.sessions import (
    LOGOUTS_KEPT,
    OpenChange,
    Session,
    digest_of,
    new_token,
    session_ended,
    signed_out_meanwhile,
    too_many_sessions,
)
from kiteward.authn.sign_in import SignIn
from kiteward.domain.errors import PasswordRejected
from kiteward.domain.identity import Secret
from kiteward.store.base import Store
from kiteward.store.provider_records import ProviderLogout
from kiteward.store.records import SessionRecord

_LAST_USE_IS_LATE: Final = 60.0
"""Seconds for which a stored session that is over is kept: other servers may have used it meanwhile."""


class StoredSessions:
    """Implements `Sessions` in a store that other servers share. Those in use are cached.

    INVARIANT: a cached session was read after the last change of its user that this server has applied. The end of a
    session is such a change, so that no server accepts it after that was acknowledged.

    When a session was last used is stored now and then (`take_last_used`), not at every request.
    """

    def __init__(
        self, store: Store, rules: SessionRules | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Set up an empty cache.

        Args:
            store: holds the sessions.
            rules: how long they last, and how many there may be.
            clock: returns seconds since the epoch.
        """
        self.rules = rules or SessionRules()
        self._store = store
        self._clock = clock
        self._change: OpenChange = store.transaction
        self._cached: OrderedDict[str, Session] = OrderedDict()
        self._digests_of: dict[str, set[str]] = {}
        self._forgets = 0
        self._used: dict[str, float] = {}

    def change_by(self, change: OpenChange) -> None:
        self._change = change

    async def begin(self, sign_in: SignIn) -> Secret:
        token, now = new_token(), self._clock()
        async with self._change() as transaction:
            user = await transaction.users.get(sign_in.user_name)
            if user is None or user.credential_id != sign_in.current_id or (user.second_factor and not sign_in.factor):
                raise PasswordRejected(WRONG_PASSWORD, reason="the user was changed in the meantime")
            await transaction.sessions.remove_over(
                used_before=now - self.rules.idle - _LAST_USE_IS_LATE,
                began_before=now - self.rules.lifetime - _LAST_USE_IS_LATE,
            )
            if sign_in.provider is not None and await transaction.sessions.has_ended(sign_in.provider):
                raise signed_out_meanwhile()
            own = sorted(await transaction.sessions.of(sign_in.user_name), key=lambda session: session.used_at)
            idle = [session.session_id for session in own[: max(0, len(own) + 1 - self.rules.per_user)]]
            if idle:
                await transaction.sessions.end(idle)
            if await transaction.sessions.count() >= self.rules.total:
                raise too_many_sessions()
            await transaction.sessions.add(digest_of(token), sign_in.begun(now))
        return token

    async def find(self, token: Secret) -> Session:
        # The look-up is by digest, so that its duration reveals nothing about the token.
        digest = digest_of(token)
        session = self._cached.get(digest)
        if session is None or self._is_over(session):
            # Another server may have begun or used it meanwhile.
            session = await self._read(digest)
        if session is None or self._is_over(session):
            self._drop(digest)
            raise session_ended()
        self._cached.move_to_end(digest)
        return session

    def touch(self, session: Session) -> None:
        session.used_at = self._used[session.session_id] = self._clock()

    def refuse(self, session: Session) -> None:
        """Do nothing: this server may not have applied yet the change of the user after which the session began."""

    async def of(self, user_name: str) -> Sequence[Session]:
        stored = map(self._latest, await self._store.sessions_of(user_name))
        return [session for session in stored if not self._is_over(session)]

    async def get(self, session_id: str) -> Session | None:
        record = await self._store.session_named(session_id)
        session = None if record is None else self._latest(record)
        return None if session is None or self._is_over(session) else session

    async def end(self, session_ids: Collection[str]) -> None:
        async with self._change() as transaction:
            await transaction.sessions.end(list(session_ids))

    async def end_by_provider(self, logout: ProviderLogout) -> Sequence[str]:
        now = self._clock()
        async with self._change() as transaction:
            await transaction.sessions.remove_logouts(noted_before=now - LOGOUTS_KEPT)
            return await transaction.sessions.end_by_provider(logout, now=now)

    async def count(self) -> int:
        return await self._store.session_count()

    def forget(self, user_names: Collection[str] | None) -> None:
        self._forgets += 1
        for name in list(self._digests_of) if user_names is None else user_names:
            for digest in list(self._digests_of.get(name, ())):
                self._drop(digest)

    def take_last_used(self) -> Mapping[str, float]:
        used, self._used = self._used, {}
        return used

    def return_last_used(self, used: Mapping[str, float]) -> None:
        self._used = {**used, **self._used}

    async def _read(self, digest: str) -> Session | None:
        """Read a session into the cache; again if any was removed from it meanwhile, because it may have ended."""
        before = -1
        while before != self._forgets:
            before = self._forgets
            record = await self._store.session(digest)
        self._drop(digest)
        if record is None:
            return None
        session = self._cached[digest] = self._latest(record)
        self._digests_of.setdefault(session.user_name, set()).add(digest)
        while len(self._cached) > self.rules.total:
            self._drop(next(iter(self._cached)))
        return session

    def _drop(self, digest: str) -> None:
        session = self._cached.pop(digest, None)
        if session is None:
            return
        session.ended = True
        digests = self._digests_of[session.user_name]
        digests.discard(digest)
        if not digests:
            del self._digests_of[session.user_name]

    def _latest(self, record: SessionRecord) -> Session:
        """Return a stored session; this server may know of a later use."""
        return Session(record, max(record.used_at, self._used.get(record.session_id, record.used_at)))

    def _is_over(self, session: Session) -> bool:
        return self._clock() >= self.rules.ends_at(session.began_at, session.used_at)
