"""Verifies passwords, for every purpose: throttled, queued fairly by source, and cached when correct."""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from kiteward.authn.fair_queue import FairQueue
from kiteward.authn.hash_schemes import StoredSchemes
from kiteward.authn.hashing import PasswordHasher
from kiteward.authn.principals import AccessBlock, block_of_user
from kiteward.authn.shared_throttle import Admission, AttemptLimits
from kiteward.domain.addresses import host_in, source_of
from kiteward.domain.errors import PasswordRejected
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, PasswordCredential
from kiteward.store.base import Store
from kiteward.store.records import UserRecord

_K = TypeVar("_K")
_V = TypeVar("_V")

_log = logging.getLogger("kiteward.authn")

WRONG_PASSWORD: Final = "auth check failure, please check username and password are correct"  # noqa: S105  a text, not a password
"""Text of contract 1.4, case C."""

LONGEST: Final = 64 * 1024
"""Most bytes of a user name and password. HTTP heads are no longer, so no longer password could be presented."""

_PAUSES: Final = (0.05, 0.1, 0.2, *(10 * (0.4,)))
"""Seconds between attempts to begin a verification while as many as are allowed are in progress at other servers."""

THROTTLED: Final = "throttled after wrong passwords"
OVERLOADED: Final = "too many passwords are waiting for verification"
"""Reasons, for operators, why a password was not verified."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a successful verification.

    Attributes:
        user_name: the user.
        credential_id: the id of the stored credential that matches.
        remembered: whether it came from the cache, so that the user may have changed since.
    """

    user_name: str
    credential_id: str
    remembered: bool = False


class PasswordVerifier:
    """Verifies passwords for all callers.

    A verified password is cached under a keyed digest, never in clear, together with the id of the stored credential
    that it matched. The key of the digest is random for each process.
    """

    def __init__(
        self,
        store: Store,
        hasher: PasswordHasher,
        *,
        limits: AttemptLimits,
        clock: Callable[[], float],
        capacity: int,
    ) -> None:
        """Set up a verifier with an empty cache.

        Args:
            store: holds the users.
            hasher: computes hashes.
            limits: limits guessing, at this server and at all that share the store.
            clock: returns seconds since the epoch.
            capacity: most verified passwords and most connections in the cache; the oldest are removed first.
        """
        self._store = store
        self._hasher = hasher
        self._throttle = limits.throttle
        self._limits = limits
        self._clock = clock
        self._capacity = capacity
        self._key = secrets.token_bytes(32)
        self._kinds = StoredSchemes(store)
        # Twice the threads, so that none is idle while a user is read.
        self._turns = FairQueue(2 * hasher.workers)
        self._verified: dict[bytes, Proof] = {}
        self._let_in: dict[tuple[str, str], bytes] = {}
        self._verifying: dict[tuple[bytes, str], asyncio.Future[Proof]] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._lock: Callable[[str], Awaitable[None]] | None = None

    def on_lockout(self, lock: Callable[[str], Awaitable[None]]) -> None:
        """Set the function that locks a user after too many failures in a row."""
        self._lock = lock

    async def verify(self, presented: PasswordCredential, *, address: str) -> Proof:
        """Verify a presented password. The caller checks that the returned proof still holds.

        Args:
            presented: user name and password.
            address: where the request comes from, as `host:port`.

        Raises:
            PasswordRejected: unknown user, wrong password, throttled, or the user is disabled or locked.
            StoreUnavailable: users cannot be read.
        """
        source, digest = source_of(host_in(address)), self._digest(presented)
        if self._throttle.refuses(presented.user_name, source):
            raise PasswordRejected(WRONG_PASSWORD, reason=THROTTLED)
        return await self._verify(presented, digest, source)

    async def sign_in(self, presented: PasswordCredential, *, address: str) -> Proof:
        """Verify a password that authenticates a request.

        A cached password is accepted as long as its source has made few guesses, as `Throttle.spares` says. After that,
        it is still accepted on connections that it was accepted on before, without a failure since. On other
        connections it is accepted only where a wrong password would be counted. Otherwise waits would delay every
        client but the one that guesses right.

        Args, Raises:
            As of `verify`.
        """
        digest, connection = self._digest(presented), (address, presented.user_name)
        proof = self._verified.get(digest)
        if proof is not None and self._let_in.get(connection) == digest:
            return proof
        try:
            if proof is None or not self._throttle.spares(presented.user_name, source_of(host_in(address))):
                proof = await self.verify(presented, address=address)
        except PasswordRejected:
            self._let_in.pop(connection, None)
            raise
        _remember(self._let_in, connection, digest, capacity=self._capacity)
        return proof

    def forget(self, presented: PasswordCredential) -> None:
        """Remove a cached password whose proof no longer holds."""
        self._verified.pop(self._digest(presented), None)

    def clear_failures(self, user_names: Iterable[str]) -> None:
        """Reset the failure counts of users who were created, given another password, unlocked or enabled."""
        names = tuple(user_names)
        self._kinds.changed(names)
        for name in names:
            self._throttle.clear_failures(name)

    def changed_all(self) -> None:
        """Mark all users as having possibly changed passwords; failure counts stay."""
        self._kinds.changed_all()

    async def close(self) -> None:
        """Wait for pending writes to the store."""
        while self._chores:
            await asyncio.wait(self._chores)

    def _digest(self, presented: PasswordCredential) -> bytes:
        text = f"{len(presented.user_name)}:{presented.user_name}{presented.password.reveal()}"
        encoded = text.encode("utf-8", "surrogatepass")
        if len(encoded) > LONGEST:
            raise PasswordRejected(WRONG_PASSWORD, reason="longer than any user name and password")
        return hashlib.blake2b(encoded, key=self._key, digest_size=32).digest()

    async def _verify(self, presented: PasswordCredential, digest: bytes, source: str) -> Proof:
        """Verify a password in the queue of its source. Equal ones from that source share one verification."""
        running = self._verifying.get((digest, source))
        if running is None:
            if not self._throttle.begin(presented.user_name, source):
                raise PasswordRejected(WRONG_PASSWORD, reason=THROTTLED)
            running = asyncio.ensure_future(self._compare_throttled(presented, digest, source))
            self._verifying[digest, source] = running
            running.add_done_callback(lambda done: self._settle(digest, source, done))
        try:
            return await asyncio.shield(running)
        except PasswordRejected as error:
            # Each caller gets its own error: a shared one would collect the tracebacks of all callers.
            raise PasswordRejected(WRONG_PASSWORD, reason=error.reason) from None

    def _settle(self, digest: bytes, source: str, done: "asyncio.Future[Proof]") -> None:
        self._verifying.pop((digest, source), None)
        if not done.cancelled() and done.exception() is None and not (proof := done.result()).remembered:
            remembered = Proof(proof.user_name, proof.credential_id, remembered=True)
            _remember(self._verified, digest, remembered, capacity=self._capacity)

    async def _compare_throttled(self, presented: PasswordCredential, digest: bytes, source: str) -> Proof:
        """Verify a password, subject to the throttle.

        INVARIANT: the cache is read where a wrong password would be counted, and nowhere else. A response that is
        refused without being counted, during a wait or because there is no slot, must not reveal whether the password
        was right. A cached password ends no waits.
        """
        user, right, begun = presented.user_name, None, False
        try:
            await self._take_turn(user, source)
            begun = True
            try:
                if (remembered := self._verified.get(digest)) is not None:
                    return remembered
                proof = await self._compare(presented)
            except PasswordRejected:
                right = False
                raise
            finally:
                self._turns.give_back(source)
            right = True
        finally:
            # Before anybody gets to know the result: where it cannot be counted, that is an error for a right one too.
            if not begun:
                self._throttle.end(user, source, right=None)
            elif await self._limits.end(user, source, right=right) and self._lock is not None:
                # Not awaited: a caller that authenticates while holding the writer would wait for itself.
                self._begin_chore(self._lock(user))
        return proof

    async def _take_turn(self, user: str, source: str) -> None:
        """Wait until a password may be verified; the caller gives the turn back.

        While others of the same user and source are verified at other servers, the turn is given to somebody else.

        Raises:
            PasswordRejected: it is refused without verification.
            StoreUnavailable: it is not known whether it may be verified.
        """
        for pause in _PAUSES:
            if not await self._turns.take(source):
                self._throttle.note_refusal(user, source)
                raise PasswordRejected(WRONG_PASSWORD, reason=OVERLOADED)
            admission = Admission.REFUSED
            try:
                admission = await self._limits.begin(user, source)
            finally:
                if admission is not Admission.BEGUN:
                    self._turns.give_back(source)
            if admission is Admission.BEGUN:
                return
            if admission is Admission.REFUSED:
                break
            await asyncio.sleep(pause)
        self._throttle.note_refusal(user, source)
        raise PasswordRejected(WRONG_PASSWORD, reason=THROTTLED)

    async def _compare(self, presented: PasswordCredential) -> Proof:
        """Find the stored credential that the presented one matches.

        The user is read and hashes are computed in the same way whether or not the user exists or is blocked, and
        whatever hashes it has.
        """
        record = await self._store.user(presented.user_name)
        kinds = await self._kinds.current()
        now = self._clock()
        # A right password of a blocked user counts as a wrong one: if it ended waits, that would reveal it.
        closed = AccessBlock("no such user") if record is None else block_of_user(record)
        credentials: list[tuple[str, str]] = []
        if record is not None and closed is None:
            credentials.append((record.password_hash, record.credential_id))
            if record.previous is not None and now < record.previous.valid_until:
                credentials.append((record.previous.stored, record.previous.credential_id))
        found = await self._hasher.find(
            [stored for stored, _ in credentials],
            presented.password,
            kinds=kinds.prefixes,
            rounds=1 if kinds.former_until is None or now >= kinds.former_until else 2,
        )
        if record is None or found is None:
            raise PasswordRejected(WRONG_PASSWORD, reason=closed.reason if closed is not None else "wrong password")
        credential_id = credentials[found][1]
        if credential_id == record.credential_id:
            self._attend_to(record, presented)
        return Proof(record.name, credential_id)

    def _attend_to(self, record: UserRecord, presented: PasswordCredential) -> None:
        """After a correct current password: replace an outdated hash, and warn of the default password of `root`."""
        if self._hasher.is_outdated(record.password_hash):
            self._begin_chore(self._rehash(record, presented))
        password = presented.password.reveal().encode("utf-8", "surrogatepass")
        if record.name == ROOT and hmac.compare_digest(password, DEFAULT_ROOT_PASSWORD.encode()):
            _log.warning("root has signed in with the default password; change it")

    async def _rehash(self, record: UserRecord, presented: PasswordCredential) -> None:
        """Store a hash of the current kind for a password that was just verified."""
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
            _log.warning("storing a rehashed password or a lock failed", exc_info=task.exception())


def _remember(entries: dict[_K, _V], key: _K, value: _V, *, capacity: int) -> None:
    """Add an entry to a dictionary of limited size; the oldest entries are removed first."""
    while len(entries) >= capacity and key not in entries:
        entries.pop(next(iter(entries)))
    entries[key] = value
