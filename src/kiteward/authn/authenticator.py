"""Who calls: verifies presented credentials once, and remembers what it verified for as long as it holds."""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kiteward.authn.hashing import PasswordHasher
from kiteward.domain.errors import AuthenticationError, KeyRejected, PasswordRejected
from kiteward.domain.identity import ROOT, PasswordCredential, PresentedCredential, Principal
from kiteward.store.base import Store, UserRecord

_log = logging.getLogger("kiteward.authn")

WRONG_PASSWORD: Final = "auth check failure, please check username and password are correct"  # noqa: S105  a text, not a password
WRONG_KEY: Final = "auth check failure, please check api key is correct"
"""Texts of contract 1.4, cases C and D."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a user while it is active: which credential is current, and the principal it makes."""

    credential_id: str
    principal: Principal


class Authenticator:
    """Turns presented credentials into principals.

    A verified credential is remembered under a keyed digest, never as itself, together with the id of the stored
    credential it matched; the key is random for each process. A change to a user forgets that user, so that the next
    request reads it again and a credential with another id no longer matches.

    INVARIANT: a principal is only returned when, after the last wait, the user's current credential is the verified
        one.
    """

    def __init__(
        self, store: Store, hasher: PasswordHasher, *, root_bypass: bool = True, capacity: int = 100_000
    ) -> None:
        """Set up an authenticator.

        Args:
            store: where users are.
            hasher: verifies passwords.
            root_bypass: whether `root` needs no roles (`common.security.rootShouldBindRole` false).
            capacity: most verified credentials remembered at a time; the oldest go first.
        """
        self._store = store
        self._hasher = hasher
        self._root_bypass = root_bypass
        self._capacity = capacity
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, tuple[str, str]] = {}
        self._known: dict[str, _Known] = {}
        self._forgets = 0
        self._verifying: dict[bytes, asyncio.Future[tuple[str, str]]] = {}

    async def authenticate(self, presented: PresentedCredential | AuthenticationError) -> Principal:
        """Return the principal behind a presented credential.

        Raises:
            CredentialMissing, CredentialMalformed: as found by the transport.
            PasswordRejected: unknown user or wrong password.
            KeyRejected: a credential without a colon.
            StoreUnavailable: users cannot be read.
        """
        if isinstance(presented, AuthenticationError):
            raise presented
        if not isinstance(presented, PasswordCredential):
            raise KeyRejected(WRONG_KEY)
        digest = self._digest(presented)
        found = self._verified.get(digest)
        if found is not None:
            known = self._known.get(found[0])
            if known is None:
                known = await self._look_up(found[0])
            if known is not None and known.credential_id == found[1]:
                return known.principal
            self._verified.pop(digest, None)
        return await self._verify(presented, digest)

    def forget(self, user_names: Iterable[str]) -> None:
        """Forget what is known of these users; called before a change to them is acknowledged."""
        self._forgets += 1
        for name in user_names:
            self._known.pop(name, None)

    def _digest(self, presented: PasswordCredential) -> bytes:
        text = f"{len(presented.user_name)}:{presented.user_name}{presented.password.reveal()}"
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=32).digest()

    async def _verify(self, presented: PasswordCredential, digest: bytes) -> Principal:
        """Verify a credential that is not remembered; equal ones presented meanwhile wait for the same verification."""
        running = self._verifying.get(digest)
        if running is None:
            running = asyncio.ensure_future(self._compare(presented))
            self._verifying[digest] = running
            running.add_done_callback(lambda done: self._settle(digest, done))
        user_name, credential_id = await asyncio.shield(running)
        known = self._known.get(user_name) or await self._look_up(user_name)
        if known is None or known.credential_id != credential_id:
            raise PasswordRejected(WRONG_PASSWORD)
        return known.principal

    def _settle(self, digest: bytes, done: "asyncio.Future[tuple[str, str]]") -> None:
        self._verifying.pop(digest, None)
        if done.cancelled() or done.exception() is not None:
            return
        while len(self._verified) >= self._capacity:
            self._verified.pop(next(iter(self._verified)))
        self._verified[digest] = done.result()

    async def _compare(self, presented: PasswordCredential) -> tuple[str, str]:
        """Return the user name and the id of the stored credential that the presented one matches.

        The user is read and the hash computed in the same way whether the user exists or not.
        """
        record = await self._store.user(presented.user_name)
        matches = await self._hasher.verify(record.password_hash if record else None, presented.password)
        if record is None or not matches:
            raise PasswordRejected(WRONG_PASSWORD)
        return record.name, record.credential_id

    async def _look_up(self, name: str) -> _Known | None:
        """Read a user and remember it.

        Read again if anybody was forgotten meanwhile, because it may have been this user.
        """
        before = -1
        while before != self._forgets:
            before = self._forgets
            record = await self._store.user(name)
        if record is None:
            return None
        known = _Known(record.credential_id, self._principal(record))
        self._known[name] = known
        return known

    def _principal(self, record: UserRecord) -> Principal:
        return Principal(record.name, frozenset(record.roles), unrestricted=self._root_bypass and record.name == ROOT)
