"""Verifies presented credentials, and caches users and keys until they change."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final, Protocol

from kiteward.authn import api_keys
from kiteward.authn.console_sign_in import ConsoleSignIn, SignInRules
from kiteward.authn.exchanges import owner_of
from kiteward.authn.hashing import PasswordHasher
from kiteward.authn.key_cache import CachedKey, KeyCache, rejection_reason
from kiteward.authn.password_verifier import OVERLOADED, THROTTLED, WRONG_PASSWORD, PasswordVerifier, Proof
from kiteward.authn.principals import block_of_key, principal_of, read_key
from kiteward.authn.second_factor.factors import SecondFactors
from kiteward.authn.sessions import MemorySessions, OpenChange, Sessions
from kiteward.authn.shared_throttle import AttemptLimits, OwnLimits, SharedLimits
from kiteward.authn.system_events import SystemEventRecorder
from kiteward.authn.throttle import Throttle
from kiteward.authn.user_cache import CachedUser
from kiteward.domain.errors import AuthenticationError, KeyRejected, PasswordRejected, TokenRejected
from kiteward.domain.identity import (
    ROOT,
    KeyCredential,
    LocalCredential,
    LogoutCredential,
    PasswordCredential,
    PresentedCredential,
    Principal,
    SessionCredential,
    SignInCredential,
    SignInTicket,
    TokenCredential,
)
from kiteward.store.base import Attempts, Store
from kiteward.store.records import LastUsed, UserRecord
from kiteward.store.scim_records import SCIM_ISSUER

if TYPE_CHECKING:  # loaded where an identity provider is configured
    from kiteward.authn.oidc.authentication import TokenAuthenticator

WRONG_KEY: Final = "auth check failure, please check api key is correct"
"""Text of contract 1.4, case D."""

ANONYMOUS: Final = Principal("anonymous", unrestricted=True, credential="none")
"""The principal of every request where authentication is switched off."""

_OPERATOR: Final = Principal(ROOT, unrestricted=True, credential="local")


class _Verify(Protocol):
    """The signature of the verification methods of `PasswordVerifier`."""

    async def __call__(self, presented: PasswordCredential, *, address: str) -> Proof: ...


_COUNTED: Final = (
    *(("password", result) for result in ("remembered", "verified", "refused", "throttled")),
    *((kind, result) for kind in ("api_key", "token") for result in ("remembered", "verified", "refused")),
    ("none", "refused"),
)


class Authenticator:
    """Verifies presented credentials and returns principals.

    `PasswordVerifier` verifies passwords and caches which stored credential each matched. A change to a user or key
    removes it from the cache, so that the next request reads it again and a credential with another id no longer
    matches. API keys are compared by digest at every request, which costs no more than caching the result.

    INVARIANT: a principal is only returned when, after the last await, the presented credential is one of the user's.

    Attributes:
        sessions: the console's sessions.
        console: begins these sessions.
        tokens: authenticates by tokens of identity providers; None where none is configured.
        counts: (kind, result) -> number of authentications. The result of a password, API key or token is `remembered`
            when nothing had to be read, hashed or verified, `verified`, `refused`, or `throttled` when it was not
            verified. The result of a session is `verified` or `refused`. Anything else has the kind `none`.
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
        attempts: Attempts | None = None,
        sessions: Sessions | None = None,
        tokens: "TokenAuthenticator | None" = None,
        sign_in: SignInRules | None = None,
        clock: Callable[[], float] = time.time,
        capacity: int = 100_000,
    ) -> None:
        """Set up an authenticator with empty caches.

        Args:
            store: holds users and keys.
            hasher: verifies passwords.
            root_bypass: whether `root` needs no roles (`common.security.rootShouldBindRole` false).
            local: whether `LocalCredential` is accepted: by the command line, and by a server from its socket for it.
            open_to_anybody: whether nobody is authenticated, and all is allowed (`authorizationEnabled` false).
            throttle: limits guessing at this server; None for one without failures.
            attempts: counts guesses for all servers that share the store; None for a single server.
            sessions: the console's sessions; None for those of a single server, with the default rules.
            tokens: authenticates by tokens; None where no identity provider is configured.
            sign_in: how sessions of the console may begin; None for passwords alone.
            clock: returns seconds since the epoch.
            capacity: most verified passwords in the cache; the oldest are removed first.
        """
        self._store, self.tokens, self._clock, self.counts = store, tokens, clock, Counter(dict.fromkeys(_COUNTED, 0))
        limits = _limits(throttle, attempts)
        self._passwords = PasswordVerifier(store, hasher, limits=limits, clock=clock, capacity=capacity)
        self._root_bypass, self._local, self._open_to_anybody = root_bypass, local, open_to_anybody
        self.sessions: Sessions = sessions or MemorySessions(clock=clock)
        self.console = ConsoleSignIn(self, store, sign_in, open_to_anybody=open_to_anybody, clock=clock)
        self._known, self._known_keys, self._forgets = dict[str, CachedUser](), KeyCache(), 0
        self._users_seen, self._keys_seen = dict[str, float](), dict[str, float]()

    @property
    def factors(self) -> SecondFactors:
        """The second factors of a sign-in to the console with a password."""
        return self.console.factors

    def change_by(
        self, change: OpenChange, *, lock: Callable[[str], Awaitable[None]], events: SystemEventRecorder
    ) -> None:
        """Set what changes the store.

        Args:
            change: opens the transaction of a change.
            lock: locks a user after too many failures in a row.
            events: records who has signed in for the first time.
        """
        self.sessions.change_by(change)
        if self.tokens is not None:
            self.tokens.change_by(change, events)
        self._passwords.on_lockout(lock)
        self.factors.on_lockout(lock)

    async def authenticate(
        self, presented: PresentedCredential | AuthenticationError, *, address: str = "", sign_up: bool = True
    ) -> Principal:
        """Return the principal of a presented credential.

        Args:
            presented: what the caller sent, or the error that the transport found in it.
            address: where the request comes from, as `host:port`.
            sign_up: whether a token may make somebody a user, which takes a transaction: not while one is open.

        Raises:
            CredentialMissing, CredentialMalformed: as found by the transport.
            PasswordRejected: unknown user, wrong password, throttled, or the user is disabled or locked.
            KeyRejected: not a valid API key, or the key is disabled, expired or not allowed from this address.
            TokenRejected: a token that is not accepted.
            SessionEnded: no such session or ticket, or it has ended.
            StoreUnavailable: users cannot be read.
        """
        if self._local and isinstance(presented, LocalCredential):
            return _OPERATOR
        if self._open_to_anybody:
            return ANONYMOUS
        if isinstance(presented, PasswordCredential):
            return (await self.prove(presented, address))[0]
        if isinstance(presented, KeyCredential):
            return await self._by_key(presented, address)
        if isinstance(presented, TokenCredential):
            return await self._by_token(presented, address, sign_up=sign_up)
        if isinstance(presented, SessionCredential | SignInCredential | LogoutCredential):
            return await self._in_console(presented, sign_up=sign_up)
        if isinstance(presented, SignInTicket):
            return await self.console.holder(presented)
        self.counts["none", "refused"] += 1
        if isinstance(presented, AuthenticationError):
            raise presented
        raise KeyRejected(WRONG_KEY)

    def forget(self, user_names: Collection[str], key_ids: Collection[str] = (), issuers: Collection[str] = ()) -> None:
        """Remove users, their keys, sessions and tokens, these keys, and the tokens of these issuers from the caches.

        It is called before a change is acknowledged.
        """
        self._forgets += 1
        for name in user_names:
            self._known.pop(name, None)
        if issuers:
            self._known.clear()  # it is not known here whose identity is theirs
            self._known_keys.clear()
        if SCIM_ISSUER in issuers and self.tokens is not None:
            self.tokens.forget_all()  # nor who is in the groups of SCIM, whatever signs in
        self.sessions.forget(user_names)
        self._known_keys.forget(user_names, key_ids)
        if self.tokens is not None:
            self.tokens.forget(user_names, issuers)

    def clear_failures(self, user_names: Iterable[str]) -> None:
        """Reset the failure counts of users who were created, given another password, unlocked or enabled."""
        self._passwords.clear_failures(user_names)

    def forget_all(self) -> None:
        """Clear all caches, because it is not known what has changed. Failure counts stay."""
        self._forgets += 1
        self._passwords.changed_all()
        self._known.clear()
        self._known_keys.clear()
        self.sessions.forget(None)
        if self.tokens is not None:
            self.tokens.forget_all()

    def take_last_used(self) -> LastUsed:
        """Return when users, keys and stored sessions were last used since the previous call."""
        rights = {} if self.tokens is None else self.tokens.take_rights()
        used = LastUsed(self._users_seen, self._keys_seen, self.sessions.take_last_used(), rights)
        self._users_seen, self._keys_seen = {}, {}
        return used

    def return_last_used(self, used: LastUsed) -> None:
        """Restore last-used times that could not be stored. Later ones take precedence."""
        self._users_seen = {**used.users, **self._users_seen}
        self._keys_seen = {**used.keys, **self._keys_seen}
        self.sessions.return_last_used(used.sessions)
        if self.tokens is not None:
            self.tokens.return_rights(used.rights)

    async def close(self) -> None:
        """Wait for pending writes to the store."""
        await self._passwords.close()

    # Passwords

    async def verify_password(self, presented: PasswordCredential, *, address: str = "") -> str:
        """Verify a password that is presented for another purpose than to authenticate a request.

        An example is the old password in a password change. Throttling, failure counts and caching apply as for
        requests, and the user may be locked.

        Args:
            presented: user name and password.
            address: where the request comes from, as `host:port`.

        Returns:
            The id of the stored credential that it matches.

        Raises:
            PasswordRejected, StoreUnavailable: as `authenticate`.
        """
        _, credential_id = await self._prove(self._passwords.verify, presented, address)
        return credential_id

    async def _prove(self, verify: _Verify, presented: PasswordCredential, address: str) -> tuple[Principal, str]:
        """Return the user's principal and the id of the stored credential that matches.

        Nothing is awaited after the check.

        Raises:
            PasswordRejected: no stored credential matches, or it no longer authenticates the user.
        """
        while True:
            try:
                proof = await verify(presented, address=address)
            except PasswordRejected as error:
                self._count_rejected(error)
                raise
            known = self._known.get(proof.user_name) or await self._look_up(proof.user_name)
            principal = known.principal_for(proof.credential_id, self._clock) if known is not None else None
            if principal is not None:
                self.counts["password", "remembered" if proof.remembered else "verified"] += 1
                return principal, proof.credential_id
            if not proof.remembered:
                changed = PasswordRejected(WRONG_PASSWORD, reason="the user was changed in the meantime")
                self._count_rejected(changed)
                raise changed
            self._passwords.forget(presented)

    def _count_rejected(self, error: PasswordRejected) -> None:
        self.counts["password", "throttled" if error.reason in (THROTTLED, OVERLOADED) else "refused"] += 1

    async def _look_up(self, name: str) -> CachedUser | None:
        """Read a user into the cache.

        It is read again if any user was removed from the cache meanwhile, because it may have been this one.
        """
        before = -1
        while before != self._forgets:
            before = self._forgets
            record = await self._store.user(name)
        if record is None:
            return None
        known = self._known[name] = CachedUser.of(record, self._principal(record))
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
        principal = known.principal_for(api_keys.digest_of(text), now, address) if known is not None else None
        if key_id is None or principal is None:
            self.counts["api_key", "refused"] += 1
            raise KeyRejected(WRONG_KEY, reason=rejection_reason(key_id, known))
        self._keys_seen[key_id] = self._users_seen[principal.user_name] = now
        self.counts["api_key", result] += 1
        return principal

    async def _look_up_key(self, key_id: str) -> CachedKey | None:
        """Read a key with its lineage and owners into the cache; again if anything was removed from it meanwhile."""
        before = -1
        while before != self._forgets:
            before = self._forgets
            found = await read_key(self._store, key_id)
            owner = None if found is None else await owner_of(found, self._principal(found.owner), self.tokens)
        if found is None:
            return None
        closed = owner is None or block_of_key(found.lineage, found.users) is not None
        known = CachedKey.of(found.lineage, owner or self._principal(found.owner), closed=closed)
        self._known_keys.remember(known, found)
        return known

    # Tokens

    async def _by_token(self, presented: TokenCredential, address: str, *, sign_up: bool) -> Principal:
        if self.tokens is None:
            return await self._by_key(KeyCredential(presented.token), address)
        principal, result = self.tokens.remembered(presented), "remembered"
        if principal is None:
            try:
                principal = await self.tokens.authenticate(presented, address=address, sign_up=sign_up)
                result = "verified"
            except TokenRejected:
                self.counts["token", "refused"] += 1
                raise
        self._users_seen[principal.user_name] = self._clock()
        self.counts["token", result] += 1
        return principal

    # Sessions

    async def prove(self, presented: PasswordCredential, address: str) -> tuple[Principal, str]:
        """Return the principal of a password, and the id of the stored credential that it matches.

        Raises:
            PasswordRejected, StoreUnavailable: as `authenticate`.
        """
        principal, credential_id = await self._prove(self._passwords.sign_in, presented, address)
        self._users_seen[principal.user_name] = self._clock()
        return principal, credential_id

    def cached(self, name: str) -> CachedUser | None:
        """Return a user who is in the cache, or None."""
        return self._known.get(name)

    async def known(self, name: str) -> CachedUser | None:
        """Return a user, or None if there is none.

        Raises:
            StoreUnavailable: users cannot be read.
        """
        return self._known.get(name) or await self._look_up(name)

    async def _in_console(
        self, presented: SessionCredential | SignInCredential | LogoutCredential, *, sign_up: bool
    ) -> Principal:
        kind = "session" if isinstance(presented, SessionCredential) else "token"
        try:
            principal = await self.console.principal(presented, sign_up=sign_up)
        except AuthenticationError:
            self.counts[kind, "refused"] += 1
            raise
        if not isinstance(presented, LogoutCredential):
            self._users_seen[principal.user_name] = self._clock()
        self.counts[kind, "verified"] += 1
        return principal


def _limits(throttle: Throttle | None, attempts: Attempts | None) -> AttemptLimits:
    """Return what limits guessing: at this server, and at all that share the store where they count attempts in it."""
    throttle = throttle or Throttle(alone=attempts is None)
    return OwnLimits(throttle) if attempts is None else SharedLimits(throttle, attempts)
