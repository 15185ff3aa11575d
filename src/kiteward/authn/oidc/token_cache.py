"""Tokens that were verified, by digest: what is in the cache needs neither a signature nor the store again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kiteward.authn.oidc.claims import FederatedIdentity
from kiteward.authn.oidc.key_sets import KeySet
from kiteward.domain.identity import Principal


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
        while len(self._known) >= self._capacity:
            self._remove(next(iter(self._known)))
        self._known[digest] = token
        self._of_user.setdefault(token.principal.user_name, set()).add(digest)

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
