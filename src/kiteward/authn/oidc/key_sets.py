"""The public keys of an issuer: fetched, refreshed in time, and asked for again when a token names another one."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt

from kiteward.authn.oidc import refusals
from kiteward.authn.oidc.fetch_waiters import FetchWaiters, Sleep
from kiteward.authn.oidc.fetching import FetchFailed
from kiteward.authn.oidc.issuers import Issuer
from kiteward.domain.error_codes import ErrorCode

_log = logging.getLogger("kiteward.authn")

REFRESH: Final = 300.0
"""Seconds after which keys are fetched again, so that a withdrawn one is noticed."""

RETRY: Final = 30.0
"""Seconds after a failure until the next attempt to fetch keys that nobody has asked for."""

LONGEST_UNSEEN: Final = 24 * 3600.0
"""Seconds for which keys are used that could not be fetched again."""

MOST_FETCHES: Final = 2
WINDOW: Final = 60.0
"""Most fetches within so many seconds, whatever tokens are presented."""

_MOST_KEYS: Final = 100
_LEAST_RSA_BITS: Final = 2048
"""Least size of an RSA key (RFC 7518, 3.3)."""

_LARGEST_RSA_BITS: Final = 16_384

_MOST_WAITING: Final = 1_024
_MOST_OF_SOURCE: Final = 128
"""Most tokens with an unknown key that wait for the next fetch, in all and of one source: of no known subject, and as
many of known ones."""

_MOST_IDS: Final = 1_000
"""Most ids of withdrawn keys that are remembered, and of keys that were not found; the earliest are forgotten first."""

_MOST_SUBJECTS: Final = 100_000
"""Most known subjects; those whose last token is the oldest are forgotten first."""

_BY_TYPE: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}
"""Type and curve of a key -> the algorithms that can use it (RFC 7518, 3.1; RFC 8037, 3.1)."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of an issuer.

    Attributes:
        key_id: its id, or None. Several keys may have the same.
        algorithms: the algorithms that it may be used with.
        key: the key, as PyJWT takes it.
        identity: equal for equal keys with the same id and use.
    """

    key_id: str | None
    algorithms: frozenset[str]
    key: Any
    identity: tuple[tuple[str, str], ...]


class KeyFetcher(Protocol):
    """Fetches the JWK Set of an issuer; `IssuerClient` implements it."""

    async def key_set(self) -> Mapping[str, Any]:
        """Return it; raises FetchFailed."""
        ...


@dataclass(frozen=True, slots=True)
class KeySetState:
    """How it is with the keys of an issuer, for operators.

    Attributes:
        keys: how many usable ones there are.
        fetched_ago: seconds since they were fetched, or None before.
        fault: why the last attempt failed, or empty.
    """

    keys: int
    fetched_ago: float | None
    fault: str


class KeySet:
    """The public keys of one issuer.

    Anybody can send tokens that need another key. After a fetch for one that brings no other keys, there is no second
    one for such tokens within `WINDOW`: it is left to tokens of known subjects, of whom one was verified here. A
    subject is known until a fetch is made for it, and again after its next verified token. Tokens by withdrawn keys,
    which many may still have, and for other algorithms than the published key has, cause a fetch only beside no other.
    Tokens of other keys wait for the next fetch, for `WINDOW` at most, whoever causes it; one that names a key that an
    earlier fetch did not bring is refused instead.

    INVARIANT: at most `MOST_FETCHES` fetches are begun within any `WINDOW` seconds.

    Attributes:
        issuer: the issuer.
        generation: another number after each withdrawal of a key, and when all have become too old, so that nothing
            verified by them counts any longer.
        fetches: how many were begun.
    """

    def __init__(
        self,
        issuer: Issuer,
        fetcher: KeyFetcher,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Set up without keys.

        Args:
            issuer: the issuer.
            fetcher: fetches them.
            clock: returns seconds and never goes back.
            sleep: waits by that clock.
        """
        self.issuer = issuer
        self.generation = 0
        self.fetches = 0
        self._fetcher = fetcher
        self._clock = clock
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fault = ""
        self._begun: deque[float] = deque(maxlen=MOST_FETCHES)
        self._running: asyncio.Task[None] | None = None
        # By whether they say that they are of a known subject.
        self._waiting = {
            known: FetchWaiters(_MOST_WAITING, of_source=_MOST_OF_SOURCE, sleep=sleep) for known in (False, True)
        }
        self._subjects: dict[str, None] = {}
        self._withdrawn: dict[str, None] = {}
        self._missed: dict[str | None, None] = {}  # ids that a fetch did not bring although they had been asked for
        self._in_vain: float | None = None  # when a fetch began for no known subject that has brought no other keys

    def verified(self, subject: str) -> None:
        """Note the subject of a token that was verified: it is known from now on."""
        self._subjects.pop(subject, None)
        while len(self._subjects) >= _MOST_SUBJECTS:
            del self._subjects[next(iter(self._subjects))]
        self._subjects[subject] = None

    def state(self) -> KeySetState:
        """Return how it is with the keys."""
        ago = None if self._fetched_at is None else self._clock() - self._fetched_at
        return KeySetState(len(self._keys), ago, self._fault)

    async def find(
        self, key_id: str | None, algorithm: str, *, subject: str | None = None, source: str = ""
    ) -> Sequence[PublicKey]:
        """Return the keys that may have signed a token; they are fetched where there is none.

        Args:
            key_id: the id that the token names, or None.
            algorithm: the algorithm that it names.
            subject: whom the token says that it is about; None where its claims are not acceptable anyway.
            source: where it comes from, as of `addresses.source_of`.

        Returns:
            At least one key.

        Raises:
            TokenRejected: there is none, or the keys cannot be fetched.
        """
        found, before = self._found(key_id, algorithm), self.fetches
        if not found and self._running is not None:
            await asyncio.shield(self._running)
            found = self._found(key_id, algorithm)
        if not found:
            await (self._fetched_alone() if self._is_settled(key_id) else self._wait_for_fetch(key_id, subject, source))
            found = self._found(key_id, algorithm)
        if found:
            return found
        if self._usable():
            if self.fetches != before:
                self._note_missed(key_id)
            raise refusals.refused(
                ErrorCode.TOKEN_KEY_UNKNOWN, "it is signed with a key that its issuer does not publish"
            )
        raise refusals.refused(
            ErrorCode.TOKEN_KEYS_UNAVAILABLE,
            "the keys of its issuer could not be fetched: try again later",
            reason=f"the keys of {self.issuer.name} could not be fetched: {self._fault or 'not yet'}",
        )

    async def find_again(self, key_id: str | None, algorithm: str) -> Sequence[PublicKey] | None:
        """Return the keys as of `find` after another fetch, if one may be made now and brings others; else None.

        Anybody can forge a signature. So there is no such fetch within `WINDOW` of another: a new key may need it.
        """
        before = self._keys
        await self._fetched_alone()
        found = None if self._keys == before else self._found(key_id, algorithm)
        return found or None

    async def refresh(self) -> None:
        """Fetch the keys if it is time to; called again and again."""
        now = self._clock()
        if self._keys and not self._usable():
            self._keys, self.generation = (), self.generation + 1
        due = self._tried_at is None or now - self._tried_at >= (RETRY if self._fault else REFRESH)
        if due and self._wait() <= 0:
            await self._fetched()

    def _found(self, key_id: str | None, algorithm: str) -> Sequence[PublicKey]:
        if not self._usable():
            return ()
        return [
            key
            for key in self._keys
            if algorithm in key.algorithms and (key_id is None or key.key_id is None or key.key_id == key_id)
        ]

    def _usable(self) -> bool:
        """Return whether there are keys that are not too old."""
        return self._fetched_at is not None and self._clock() - self._fetched_at <= LONGEST_UNSEEN

    def _wait(self, *, known: bool = True) -> float:
        """Return the seconds until the next fetch is allowed: for a known subject or no token at all, or else."""
        now = self._clock()
        at = self._begun[0] + WINDOW if len(self._begun) == MOST_FETCHES else now
        if not known and self._in_vain is not None:
            at = max(at, self._in_vain + WINDOW)
        return max(0.0, at - now)

    def _is_settled(self, key_id: str | None) -> bool:
        """Return whether an id is that of a withdrawn key, or of a published one."""
        return key_id in self._withdrawn or (self._usable() and any(key.key_id == key_id for key in self._keys))

    async def _wait_for_fetch(self, key_id: str | None, subject: str | None, source: str) -> None:
        """Return after the next fetch; at once where it would be waited for by too many tokens, or once more."""
        known, before = subject in self._subjects, self.fetches
        while self.fetches == before and (wait := self._wait(known=known)):
            if key_id in self._missed or not await self._waiting[known].wait(source, wait):
                return
        if self.fetches == before or self._running is not None:
            await self._fetched_for(subject)

    async def _fetched_for(self, subject: str | None) -> None:
        """Return after the fetch that runs, or a new one if it may begin now for such a token."""
        if self._running is None:
            known = subject in self._subjects
            if self._wait(known=known) > 0:
                return
            if known:
                self._subjects.pop(str(subject))
            else:
                self._in_vain = self._clock()
        await self._fetched()

    async def _fetched_alone(self) -> None:
        """Return after the fetch that runs, or a new one if there was none within `WINDOW`."""
        if self._running is None:
            if self._begun and self._clock() - self._begun[-1] < WINDOW:
                return
            self._in_vain = self._clock()
        await self._fetched()

    async def _fetched(self) -> None:
        """Return after the fetch that runs, or a new one, which is allowed; a caller that is gone does not end it."""
        if self._running is None:
            self._begun.append(self._clock())
            self.fetches += 1
            self._running = asyncio.create_task(self._fetch())
        await asyncio.shield(self._running)

    async def _fetch(self) -> None:
        try:
            keys = public_keys(await self._fetcher.key_set())
        except FetchFailed as error:
            if str(error) != self._fault:
                _log.warning("the keys of %s could not be fetched: %s", self.issuer.name, error)
            self._fault = str(error)
            self._tried_at = self._clock()
            return
        finally:
            self._running = None
            for waiting in self._waiting.values():
                waiting.wake()
        before, now = ({key.identity for key in each} for each in (self._keys, keys))
        if before - now:
            self.generation += 1
        if before != now:
            self._in_vain = None
        self._note_withdrawn(keys)
        self._keys, self._fault = keys, ""
        self._fetched_at = self._tried_at = self._clock()

    def _note_missed(self, key_id: str | None) -> None:
        """Remember an id that a fetch did not bring although a token with it had come before."""
        self._missed.pop(key_id, None)
        while len(self._missed) >= _MOST_IDS:
            del self._missed[next(iter(self._missed))]
        self._missed[key_id] = None

    def _note_withdrawn(self, keys: Sequence[PublicKey]) -> None:
        """Remember the ids of the present keys that are not among the next ones, and forget those that are."""
        published = {key.key_id for key in keys}
        for each in self._keys:
            if each.key_id is not None and each.key_id not in published:
                self._withdrawn[each.key_id] = None
        self._withdrawn = {key_id: None for key_id in list(self._withdrawn)[-_MOST_IDS:] if key_id not in published}


def public_keys(key_set: Mapping[str, Any]) -> tuple[PublicKey, ...]:
    """Return the keys of a JWK Set that can verify signatures. Others in it are left out (RFC 7517, 5).

    Raises:
        FetchFailed: it is no JWK Set, or has no such key.
    """
    listed = key_set.get("keys")
    if not isinstance(listed, list):
        raise FetchFailed("it sends no JWK Set")
    found = tuple(key for each in listed[:_MOST_KEYS] if (key := _public_key(each)) is not None)
    if not found:
        raise FetchFailed("its JWK Set has no key that can verify a signature by an accepted algorithm")
    return found


def _public_key(jwk: object) -> PublicKey | None:
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    uses = jwk.get("key_ops", ["verify"])
    if not isinstance(uses, list) or "verify" not in uses:
        return None
    kind, key_id, only = jwk.get("kty"), jwk.get("kid"), jwk.get("alg")
    algorithms = _BY_TYPE.get((str(kind), "" if kind == "RSA" else str(jwk.get("crv"))), ())
    if only is not None:
        algorithms = tuple(each for each in algorithms if each == only)
    if not algorithms or not isinstance(key_id, str | None):
        return None
    public = {name: jwk[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in jwk}
    try:
        key = jwt.PyJWK(public, algorithm=algorithms[0]).key
    except Exception:  # noqa: BLE001  whatever it makes of such a key, the others are to be used
        return None
    bits = getattr(key, "key_size", _LEAST_RSA_BITS)
    if kind == "RSA" and not _LEAST_RSA_BITS <= bits <= _LARGEST_RSA_BITS:
        return None
    marks = {**public, "kid": key_id or "", "algorithms": " ".join(algorithms)}
    identity = tuple(sorted((name, str(value)) for name, value in marks.items()))
    return PublicKey(key_id, frozenset(algorithms), key, identity)
