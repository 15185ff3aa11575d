"""Tokens that were verified, by digest: what is in the cache needs neither a signature nor the store again."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from kiteward.authn.oidc.claims import FederatedIdentity
from kiteward.authn.oidc.key_sets import KeySet
from kiteward.domain.identity import Principal

_MOST_STALE: Final = 1_000
"""Most expiries of tokens that have been removed, beside as many as there are tokens."""


@dataclass(frozen=True, slots=True)
class CachedToken:
    """A verified token.

    Attributes:
        principal: the principal of its requests.
        identity: who it is.
        expires_at: until when it is accepted, in seconds since the epoch.
        keys: the keys of its issuer.
        generation: that of these keys when it was verified.
        issued_at: when it was issued, in seconds since the epoch.
    """

    principal: Principal
    identity: FederatedIdentity
    expires_at: float
    keys: KeySet
    generation: int
    issued_at: float


class TokenCache:
    """Verified tokens, under their digests; no token is kept.

    INVARIANT: an entry goes with the next change of its user, and with the next of its issuer's mapping or cut-off.

    Expired tokens go when others are added, and the tokens of a user share what they say alike: programs may present a
    new one with each request, and a token may have a thousand groups.
    """

    def __init__(self, *, clock: Callable[[], float], capacity: int) -> None:
        """Set up without tokens.

        Args:
            clock: returns seconds since the epoch.
            capacity: most tokens; the oldest are removed first.
        """
        self._clock = clock
        self._capacity = capacity
        self._known: dict[bytes, CachedToken] = {}
        self._of_user: dict[str, set[bytes]] = {}
        self._expiries: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self._known)

    def get(self, digest: bytes) -> CachedToken | None:
        """Return a token that is still accepted, or None."""
        known = self._known.get(digest)
        if known is None:
            return None
        if self._clock() < known.expires_at and known.generation == known.keys.generation:
            return known
        self._remove(digest)
        return None

    def put(self, digest: bytes, token: CachedToken) -> None:
        """Add a token that was just verified."""
        self._remove(digest)
        self._remove_expired()
        while len(self._known) >= self._capacity:
            self._remove(next(iter(self._known)))
        held = self._of_user.setdefault(token.principal.user_name, set())
        self._known[digest] = _sharing(token, self._known[next(iter(held))]) if held else token
        held.add(digest)
        heapq.heappush(self._expiries, (token.expires_at, digest))
        if len(self._expiries) > 2 * len(self._known) + _MOST_STALE:
            self._expiries = [(each.expires_at, digest) for digest, each in self._known.items()]
            heapq.heapify(self._expiries)

    def forget(self, user_names: Iterable[str], issuers: Iterable[str] = ()) -> None:
        """Remove the tokens of these users, and all of these issuers."""
        for name in user_names:
            for digest in self._of_user.pop(name, ()):
                self._known.pop(digest, None)
        names = frozenset(issuers)
        if names:
            for digest in [each for each, token in self._known.items() if token.identity.issuer in names]:
                self._remove(digest)

    def clear(self) -> None:
        """Remove every token."""
        self._known.clear()
        self._of_user.clear()
        self._expiries.clear()

    def _remove_expired(self) -> None:
        now = self._clock()
        while self._expiries and self._expiries[0][0] <= now:
            _, digest = heapq.heappop(self._expiries)
            known = self._known.get(digest)
            if known is not None and known.expires_at <= now:
                self._remove(digest)

    def _remove(self, digest: bytes) -> None:
        known = self._known.pop(digest, None)
        if known is None:
            return
        name = known.principal.user_name
        held = self._of_user.get(name)
        if held is not None:
            held.discard(digest)
            if not held:
                del self._of_user[name]


def _sharing(token: CachedToken, other: CachedToken) -> CachedToken:
    """Return a token that refers to what it says like another one of its user, instead of holding it again."""
    if (token.principal, token.principal.credential, token.identity) != (
        other.principal,
        other.principal.credential,
        other.identity,
    ):
        return token
    return replace(token, principal=other.principal, identity=other.identity)
