"""Who calls: verifies presented credentials, and remembers what it verified for as long as it holds."""

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from kiteward.authn import api_keys
from kiteward.authn.hashing import PasswordHasher
from kiteward.authn.known_keys import KnownKey, KnownKeys, refusal_of
from kiteward.authn.known_users import KnownUser
from kiteward.authn.sessions import Sessions
from kiteward.authn.subjects import closed_key, closed_user, principal_of, read_key
from kiteward.authn.throttle import Throttle
from kiteward.domain.errors import AccessDenied, AuthenticationError, KeyRejected, PasswordRejected, SessionEnded
from kiteward.domain.identity import (
    DEFAULT_ROOT_PASSWORD,
    ROOT,
    KeyCredential,
    LocalCredential,
    PasswordCredential,
    PresentedCredential,
    Principal,
    Secret,
    SessionCredential,
)
from kiteward.store.base import Store, UserRecord

_log = logging.getLogger("kiteward.authn")

WRONG_PASSWORD: Final = "auth check failure, please check username and password are correct"  # noqa: S105  a text, not a password
WRONG_KEY: Final = "auth check failure, please check api key is correct"
"""Texts of contract 1.4, cases C and D."""

ANYBODY: Final = Principal("anonymous", unrestricted=True, credential="none")
"""Who calls where authentication is switched off."""

_OPERATOR: Final = Principal(ROOT, unrestricted=True, credential="local")

_COUNTED: Final = (
    *(("password", result) for result in ("remembered", "verified", "refused", "throttled")),
    *(("api_key", result) for result in ("remembered", "verified", "refused")),
    ("none", "refused"),
)


class Authenticator:
    """Turns presented credentials into principals.

    A verified password is remembered under a keyed digest, never as itself, together with the id of the stored
    credential it matched; the key is random for each process. A change to a user or key forgets it, so that the next
    request reads it again and a credential with another id no longer matches. API keys are compared by their digest at
    every request: that costs no more than remembering them.

    INVARIANT: a principal is only returned when, after the last wait, the presented credential is one of the user's.

    Attributes:
        sessions: those of the console.
        counts: (kind, result) -> how often. A password or API key is `remembered` where nothing had to be read or
            hashed, else `verified`, `refused`, or `throttled` unlooked at; a session is `verified` or `refused`. What
            is none of these is of kind `none`.
    """

    def __init__(
        self,
        store: Store,
        hasher: PasswordHasher,
        *,
        root_bypass: bool = True,
        local: bool = False,
        open_to_anybody: bool = False,
        throttle: Throttle | None = None,
        sessions: Sessions | None = None,
        clock: Callable[[], float] = time.time,
        capacity: int = 100_000,
    ) -> None:
        """Set up an authenticator.

        Args:
            store: where users and keys are.
            hasher: verifies passwords.
            root_bypass: whether `root` needs no roles (`common.security.rootShouldBindRole` false).
            local: whether the operator of this machine's command line is let in; for the command line alone.
            open_to_anybody: whether everybody is let in as a principal that may do everything
                (`common.security.authorizationEnabled` false).
            throttle: slows guessing down.
            sessions: those of the console.
            clock: seconds since the epoch.
            capacity: most verified passwords remembered at a time; the oldest go first.
        """
        self._store = store
        self._hasher = hasher
        self._root_bypass = root_bypass
        self._local = local
        self._open_to_anybody = open_to_anybody
        self._throttle = throttle or Throttle()
        self.sessions = sessions or Sessions(clock=clock)
        self._clock = clock
        self._capacity = capacity
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, tuple[str, str]] = {}
        self._known: dict[str, KnownUser] = {}
        self._known_keys = KnownKeys()
        self._forgets = 0
        self._verifying: dict[bytes, asyncio.Future[tuple[str, str]]] = {}
        self._users_seen: dict[str, float] = {}
        self._keys_seen: dict[str, float] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._lock: Callable[[str], Awaitable[None]] | None = None
        self.counts = Counter(dict.fromkeys(_COUNTED, 0))

    def lock_by(self, lock: Callable[[str], Awaitable[None]]) -> None:
        """Take what locks a user after too many wrong passwords in a row."""
        self._lock = lock

    async def authenticate(
        self, presented: PresentedCredential | AuthenticationError, *, address: str = ""
    ) -> Principal:
        """Return the principal behind a presented credential.

        Args:
            presented: what the caller sent.
            address: where from, as `host:port`.

        Raises:
            CredentialMissing, CredentialMalformed: as found by the transport.
            PasswordRejected: unknown user, wrong password, too many of them, or a user who may not come in.
            KeyRejected: no API key, or one that does not open now or from there.
            SessionEnded: no session, or one that is over.
            StoreUnavailable: users cannot be read.
        """
        if self._open_to_anybody:
            return ANYBODY
        if isinstance(presented, PasswordCredential):
            return await self._by_password(presented, address)
        if isinstance(presented, KeyCredential):
            return await self._by_key(presented, address)
        if isinstance(presented, SessionCredential):
            return await self._by_session(presented)
        if isinstance(presented, LocalCredential) and self._local:
            return _OPERATOR
        self.counts["none", "refused"] += 1
        if isinstance(presented, AuthenticationError):
            raise presented
        raise KeyRejected(WRONG_KEY)

    def forget(self, user_names: Collection[str], key_ids: Collection[str] = ()) -> None:
        """Forget what is known of these users, their keys, and these keys; called before a change is acknowledged."""
        self._forgets += 1
        for name in user_names:
            self._known.pop(name, None)
            # Created, unlocked or given a new password: what failed before says nothing about it.
            self._throttle.forgive(name)
        self._known_keys.forget(user_names, key_ids)

    def forget_all(self) -> None:
        """Forget every user and key: what has changed is not known."""
        self._forgets += 1
        self._known.clear()
        self._known_keys.clear()

    def taken_uses(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Return when users and keys were seen since the last time this was asked, in seconds since the epoch."""
        users, keys = self._users_seen, self._keys_seen
        self._users_seen, self._keys_seen = {}, {}
        return users, keys

    def give_back_uses(self, users: Mapping[str, float], keys: Mapping[str, float]) -> None:
        """Take back what could not be written down; what was seen since is later and stays."""
        self._users_seen = {**users, **self._users_seen}
        self._keys_seen = {**keys, **self._keys_seen}

    async def close(self) -> None:
        """Wait for what is still to be written down."""
        while self._chores:
            await asyncio.wait(self._chores)

    # Passwords

    async def _by_password(self, presented: PasswordCredential, address: str) -> Principal:
        digest = self._digest(presented)
        found = self._verified.get(digest)
        if found is not None:
            name, credential_id = found
            known = self._known.get(name)
            if known is None:
                known = await self._look_up(name)
            principal = known.opened_by(credential_id, self._clock) if known is not None else None
            if principal is not None:
                self._users_seen[name] = self._clock()
                self.counts["password", "remembered"] += 1
                return principal
            self._verified.pop(digest, None)
        return await self._verify(presented, digest, address.rpartition(":")[0])

    def _digest(self, presented: PasswordCredential) -> bytes:
        text = f"{len(presented.user_name)}:{presented.user_name}{presented.password.reveal()}"
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=32).digest()

    async def _verify(self, presented: PasswordCredential, digest: bytes, host: str) -> Principal:
        """Verify a credential that is not remembered; equal ones presented meanwhile wait for the same verification."""
        running = self._verifying.get(digest)
        if running is None:
            if not self._throttle.begin(presented.user_name, host):
                self.counts["password", "throttled"] += 1
                raise PasswordRejected(WRONG_PASSWORD, reason="throttled after wrong passwords")
            running = asyncio.ensure_future(self._compare_throttled(presented, host))
            self._verifying[digest] = running
            running.add_done_callback(lambda done: self._settle(digest, done))
        try:
            principal = await self._verified_user(running)
        except PasswordRejected as error:
            self.counts["password", "refused"] += 1
            raise PasswordRejected(WRONG_PASSWORD, reason=error.reason) from None
        self._users_seen[principal.user_name] = self._clock()
        self.counts["password", "verified"] += 1
        return principal

    async def _verified_user(self, running: "asyncio.Future[tuple[str, str]]") -> Principal:
        """Wait for a verification, and return the principal if what was verified is one of its credentials by then.

        Raises:
            PasswordRejected: it was not, or no longer is.
        """
        user_name, credential_id = await asyncio.shield(running)
        known = self._known.get(user_name) or await self._look_up(user_name)
        principal = known.opened_by(credential_id, self._clock) if known is not None else None
        if principal is None:
            raise PasswordRejected(WRONG_PASSWORD, reason="the user was changed meanwhile")
        return principal

    def _settle(self, digest: bytes, done: "asyncio.Future[tuple[str, str]]") -> None:
        self._verifying.pop(digest, None)
        if done.cancelled() or done.exception() is not None:
            return
        while len(self._verified) >= self._capacity:
            self._verified.pop(next(iter(self._verified)))
        self._verified[digest] = done.result()

    async def _compare_throttled(self, presented: PasswordCredential, host: str) -> tuple[str, str]:
        right: bool | None = None
        try:
            matched = await self._compare(presented)
            right = True
        except PasswordRejected:
            right = False
            raise
        finally:
            if self._throttle.end(presented.user_name, host, right=right) and self._lock is not None:
                # Not waited for: whoever authenticates in the writer's place would wait for itself.
                self._begin_chore(self._lock(presented.user_name))
        return matched

    async def _compare(self, presented: PasswordCredential) -> tuple[str, str]:
        """Return the user name and the id of the stored credential that the presented one matches.

        The user is read and the hash computed in the same way whether the user exists or not, and may come in or not.
        """
        record = await self._store.user(presented.user_name)
        matches = await self._hasher.verify(record.password_hash if record else None, presented.password)
        if record is None:
            raise PasswordRejected(WRONG_PASSWORD, reason="no such user")
        # A right password of a user who may not come in counts as a wrong one: waits that end would tell it apart.
        closed = closed_user(record)
        if closed or not matches:
            former = record.former
            if former is None or self._clock() >= former.valid_until:
                raise PasswordRejected(WRONG_PASSWORD, reason=closed or "wrong password")
            if not await self._hasher.verify(former.stored, presented.password) or closed:
                raise PasswordRejected(WRONG_PASSWORD, reason=closed or "wrong password")
            return record.name, former.credential_id
        if self._hasher.is_outdated(record.password_hash):
            self._begin_chore(self._rehash(record, presented))
        if record.name == ROOT and hmac.compare_digest(
            presented.password.reveal().encode("utf-8", "surrogatepass"), DEFAULT_ROOT_PASSWORD.encode()
        ):
            _log.warning("root has signed in with the default password; change it")
        return record.name, record.credential_id

    async def _rehash(self, record: UserRecord, presented: PasswordCredential) -> None:
        """Store a better hash of a password that has just been proved."""
        better = await self._hasher.hash(presented.password)
        async with self._store.transaction() as transaction:
            await transaction.users.rehash(record.name, better, credential_id=record.credential_id)
            await transaction.commit()

    def _begin_chore(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._chores.add(task)
        task.add_done_callback(self._chore_done)

    def _chore_done(self, task: "asyncio.Task[None]") -> None:
        self._chores.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.warning("a better hash or a lock could not be stored", exc_info=task.exception())

    async def _look_up(self, name: str) -> KnownUser | None:
        """Read a user and remember it.

        Read again if anybody was forgotten meanwhile, because it may have been this user.
        """
        before = -1
        while before != self._forgets:
            before = self._forgets
            record = await self._store.user(name)
        if record is None:
            return None
        known = self._known[name] = KnownUser.of(record, self._principal(record))
        return known

    def _principal(self, record: UserRecord) -> Principal:
        return principal_of(record, root_bypass=self._root_bypass)

    # API keys

    async def _by_key(self, presented: KeyCredential, address: str) -> Principal:
        text = presented.key.reveal()
        key_id = api_keys.key_id_of(text)
        known = None if key_id is None else self._known_keys.get(key_id)
        result = "remembered"
        if key_id is not None and known is None:
            known = await self._look_up_key(key_id)
            result = "verified"
        now = self._clock()
        principal = known.opened_by(api_keys.digest_of(text), now, address) if known is not None else None
        if key_id is None or principal is None:
            self.counts["api_key", "refused"] += 1
            raise KeyRejected(WRONG_KEY, reason=refusal_of(key_id, known))
        self._keys_seen[key_id] = self._users_seen[principal.user_name] = now
        self.counts["api_key", result] += 1
        return principal

    async def _look_up_key(self, key_id: str) -> KnownKey | None:
        """Read a key with its makers and owners and remember it; read again if anybody was forgotten meanwhile."""
        before = -1
        while before != self._forgets:
            before = self._forgets
            found = await read_key(self._store, key_id)
        if found is None:
            return None
        lineage, owners = found
        principal = self._principal(owners[lineage[0].owner])
        known = KnownKey.of(lineage[0], principal, closed=bool(closed_key(lineage, owners)))
        self._known_keys.remember(known, lineage)
        return known

    # Sessions

    async def begin_session(
        self, presented: PresentedCredential | AuthenticationError, *, address: str, description: str
    ) -> Secret:
        """Begin a session of the console for who presents a password, and return its token.

        Args:
            presented: what the caller sent.
            address: where from, as `host:port`.
            description: what the browser says it is.

        Raises:
            AccessDenied: what was presented is no password; a key or a session begins no session.
            LimitReached: there are too many sessions.
            AuthenticationError, StoreUnavailable: as `authenticate`.
        """
        if not isinstance(presented, PasswordCredential) or self._open_to_anybody:
            raise AccessDenied("a session begins with a user name and password")
        principal = await self._by_password(presented, address)
        known = self._known.get(principal.user_name)
        verified = self._verified.get(self._digest(presented))
        # Nothing was waited for in between: what has just been verified stands here, or was crowded out.
        if known is None or known.credential_id is None or verified is None:
            raise PasswordRejected(WRONG_PASSWORD)
        return self.sessions.begin(
            principal.user_name, verified[1], known.credential_id, address=address, description=description
        )

    async def _by_session(self, presented: SessionCredential) -> Principal:
        session = self.sessions.find(presented.token)
        known = self._known.get(session.user_name) or await self._look_up(session.user_name)
        # It may have been ended, or its time may have come, while the user was read.
        session = self.sessions.find(presented.token)
        current = known is not None and known.credential_id == session.current_id
        if known is None or not current or known.opened_by(session.verified_id, self._clock) is None:
            self.sessions.end(session.session_id)
            self.counts["session", "refused"] += 1
            raise SessionEnded("the session has ended: sign in again")
        self.sessions.touch(session)
        self._users_seen[session.user_name] = self._clock()
        self.counts["session", "verified"] += 1
        return replace(known.principal, credential=f"session:{session.session_id}")
