"""Turns tokens of identity providers into principals."""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final

from kiteward.authn.exchanges import Accepted
from kiteward.authn.oidc import refusals
from kiteward.authn.oidc.claims import FederatedIdentity, credential_of, identity_of
from kiteward.authn.oidc.group_mapping import GroupMapping
from kiteward.authn.oidc.rights import with_rights
from kiteward.authn.oidc.sign_up import SignUps
from kiteward.authn.oidc.token_cache import CachedToken, TokenCache
from kiteward.authn.oidc.tokens import TokenVerifier, VerifiedToken
from kiteward.authn.principals import principal_of
from kiteward.authn.system_events import SystemEventRecorder
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.identity import Principal, TokenCredential
from kiteward.domain.naming import NamingRules
from kiteward.store.base import Store
from kiteward.store.exchange_records import IssuedToken
from kiteward.store.identity_records import ClaimedRights
from kiteward.store.records import UserRecord
from kiteward.store.transaction import Transaction

CAPACITY: Final = 100_000
"""Most verified tokens in the cache."""


class TokenAuthenticator:
    """Authenticates by tokens.

    A verified token is cached with its principal, so that the next request needs no signature, no store and no await.

    INVARIANT: as of `Authenticator`; a change of a user, of a mapping or of a cut-off removes what it concerns from the
    cache before it is acknowledged.

    Attributes:
        verifier: verifies tokens.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        store: Store,
        *,
        naming: NamingRules,
        most_users: int,
        clock: Callable[[], float] = time.time,
        capacity: int = CAPACITY,
    ) -> None:
        """Set up with an empty cache.

        Args:
            verifier: verifies tokens.
            store: holds users and mappings.
            naming: the rules of user names.
            most_users: most users there may be.
            clock: returns seconds since the epoch.
            capacity: most verified tokens in the cache.
        """
        self.verifier = verifier
        self._store = store
        self._naming = naming
        self._clock = clock
        self._cache = TokenCache(clock=clock, capacity=capacity)
        self._sign_ups = SignUps(store, most_users=most_users)
        self._mappings: dict[str, GroupMapping] = {}
        self._rights_seen: dict[str, ClaimedRights] = {}
        self._forgets = 0

    def change_by(
        self, change: Callable[[], AbstractAsyncContextManager[Transaction]], events: SystemEventRecorder
    ) -> None:
        """Set what changes the store, and what records that."""
        self._sign_ups.change_by(change, events)

    def remembered(self, presented: TokenCredential) -> Principal | None:
        """Return the principal of a token that was verified before and is still accepted, or None."""
        known = self._cache.get(presented.digest)
        return None if known is None else known.principal

    def accepted(self, presented: TokenCredential) -> Accepted | None:
        """Return what is known of a token that was just accepted, or None if it has expired since.

        Its expiry does not include the leeway of its issuer: what it is exchanged for does not outlive it.
        """
        known = self._cache.get(presented.digest)
        if known is None:
            return None
        issuer = known.keys.issuer
        issued = IssuedToken(issuer.name, known.issued_at)
        return Accepted(known.principal, known.expires_at - issuer.leeway, issued, known.identity.rights)

    async def with_rights(self, principal: Principal, issuer: str, rights: ClaimedRights) -> Principal | None:
        """Return the principal of a user with what a token said, by the current mapping; None without the issuer.

        Args:
            principal: that of the user.
            issuer: the name of the issuer of the token.
            rights: what the token said about rights.
        """
        known = self.verifier.issuers.get(issuer)
        return None if known is None else with_rights(principal, rights, known, await self.mapping(issuer))

    async def authenticate(self, presented: TokenCredential, *, address: str, sign_up: bool) -> Principal:
        """Verify a token and return its principal.

        Args:
            presented: the token.
            address: where the request comes from, as `host:port`.
            sign_up: whether somebody who signs in for the first time may become a user, which takes a transaction.

        Raises:
            TokenRejected: it is not accepted.
            KitewardError: as `SignUps.sign_up`.
        """
        verified = await self.verifier.verify(presented.token.reveal(), address=address)
        identity = identity_of(verified, self._naming)
        principal = await self.principal(verified, identity, sign_up=sign_up)
        keys = self.verifier.key_set(identity.issuer)
        cached = CachedToken(principal, identity, verified.expires_at, keys, verified.generation, verified.issued_at)
        self._cache.put(presented.digest, cached)
        return principal

    async def principal(self, verified: VerifiedToken, identity: FederatedIdentity, *, sign_up: bool) -> Principal:
        """Return the principal of a verified token. Nothing is awaited after the last check.

        Args:
            verified: the token.
            identity: who it is, as `identity_of` returns it.
            sign_up: as of `authenticate`.

        Raises:
            TokenRejected, KitewardError: as of `authenticate`.
        """
        issuer = verified.issuer
        record, mapping = await self._read(identity)
        if record is None and sign_up:
            await self._sign_ups.sign_up(verified, identity)
            record, mapping = await self._read(identity)
        if record is None:
            raise refusals.refused(ErrorCode.IDENTITY_NOT_INVITED, "its user has been removed: sign in again")
        self._require_open(record, verified)
        if record.identity is not None and record.identity.rights != identity.rights:
            self._rights_seen[record.name] = identity.rights
        principal = with_rights(principal_of(record, root_bypass=False), identity.rights, issuer, mapping)
        return replace(principal, credential=credential_of(identity.issuer, identity.subject))

    def forget(self, user_names: Collection[str], issuers: Collection[str]) -> None:
        """Remove the tokens of these users, and all of these issuers with their mappings, from the cache."""
        self._forgets += 1
        for name in issuers:
            self._mappings.pop(name, None)
        self._cache.forget(user_names, issuers)

    def forget_all(self) -> None:
        """Clear the cache."""
        self._forgets += 1
        self._mappings.clear()
        self._cache.clear()

    def take_rights(self) -> Mapping[str, ClaimedRights]:
        """Return what tokens said about rights, where it is not what is stored, since the previous call."""
        seen, self._rights_seen = self._rights_seen, {}
        return seen

    def return_rights(self, seen: Mapping[str, ClaimedRights]) -> None:
        """Restore what could not be stored. Later ones take precedence."""
        self._rights_seen = {**seen, **self._rights_seen}

    async def mapping(self, issuer: str) -> GroupMapping:
        """Return the roles that groups of an issuer give by the store.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        while (held := self._mappings.get(issuer)) is None:
            before = self._forgets
            held = GroupMapping.of(await self._store.group_roles(issuer))
            if before == self._forgets:
                self._mappings[issuer] = held
        return held

    async def _read(self, identity: FederatedIdentity) -> tuple[UserRecord | None, GroupMapping]:
        """Read the user of an identity and the mapping of its issuer; again if anything was forgotten meanwhile."""
        before = -1
        while before != self._forgets:
            before = self._forgets
            record = await self._store.federated_user(identity.issuer, identity.subject)
            mapping = await self.mapping(identity.issuer)
        return record, mapping

    def _require_open(self, record: UserRecord, verified: VerifiedToken) -> None:
        """Require that a user may sign in by a token now.

        Raises:
            TokenRejected: the user may not, or the token is too old for the user.
        """
        if not record.enabled:
            raise refusals.refused(
                ErrorCode.USER_DISABLED, "its user is disabled", reason=f"the user {record.name} is disabled"
            )
        not_before = 0.0 if record.identity is None else record.identity.not_before
        if verified.issued_at < not_before:
            raise refusals.cut_off(not_before)
        if self._clock() >= verified.expires_at:
            raise refusals.expired(verified.expires_at)
