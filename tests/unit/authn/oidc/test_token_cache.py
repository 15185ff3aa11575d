"""The cache of verified tokens: what goes, and when; and what many tokens of one user take."""

from dataclasses import replace

import pytest

from kiteward.authn.oidc.claims import FederatedIdentity
from kiteward.authn.oidc.fetching import FetchFailed
from kiteward.authn.oidc.issuers import Issuer, NameRule
from kiteward.authn.oidc.key_sets import KeySet
from kiteward.authn.oidc.token_cache import CachedToken, TokenCache
from kiteward.domain.identity import Principal
from kiteward.store.identity_records import ClaimedRights

IDP = "https://idp.example"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class NoKeys:
    async def key_set(self) -> dict[str, object]:
        raise FetchFailed("there are none")


KEYS = KeySet(Issuer(IDP, frozenset({"kiteward"}), NameRule("idp_{sub}")), NoKeys())


def token(user: str = "alice", *, groups: tuple[str, ...] = (), expires_at: float = 2000.0) -> CachedToken:
    principal = Principal(f"idp_{user}", frozenset(groups), credential=f"oidc:{IDP}#{user}")
    identity = FederatedIdentity(IDP, user, f"idp_{user}", ClaimedRights(groups))
    return CachedToken(principal, identity, expires_at, KEYS, KEYS.generation, 900.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> TokenCache:
    return TokenCache(clock=clock, capacity=5_000)


def test_expired_tokens_go_when_another_is_added_whatever_was_added_first(clock: Clock, cache: TokenCache) -> None:
    cache.put(b"long", token(expires_at=9000.0))
    for number in range(1_000):
        cache.put(b"%d" % number, token(f"user{number}", expires_at=1100.0 + number))
    clock.now = 2099.0
    cache.put(b"new", token("bob", expires_at=9000.0))
    assert len(cache) == 2
    assert cache.get(b"long") is not None
    assert cache.get(b"999") is None


def test_a_token_that_was_put_again_with_a_later_expiry_stays_until_then(clock: Clock, cache: TokenCache) -> None:
    cache.put(b"a", token(expires_at=1100.0))
    cache.put(b"a", token(expires_at=3000.0))
    clock.now = 1200.0
    cache.put(b"b", token("bob", expires_at=3000.0))
    assert cache.get(b"a") is not None


def test_expiries_of_tokens_that_were_forgotten_do_not_pile_up(cache: TokenCache) -> None:
    for number in range(20_000):
        cache.put(b"%d" % number, token(expires_at=1e9))
        cache.forget(["idp_alice"])
    assert len(cache) == 0
    assert len(cache._expiries) <= 1_100


def test_tokens_of_a_user_that_say_alike_share_it(cache: TokenCache) -> None:
    groups = tuple(f"group {number}" for number in range(100))
    first, same, other = token(groups=groups), token(groups=groups), token(groups=groups[1:])
    for name, each in ((b"first", first), (b"same", same), (b"other", other), (b"bob", token("bob", groups=groups))):
        cache.put(name, each)
    found = cache.get(b"same")
    assert found == same
    assert found is not None
    assert found.identity is first.identity
    assert found.principal is first.principal
    assert cache.get(b"other") == other
    bob = cache.get(b"bob")
    assert bob is not None
    assert bob.principal.user_name == "idp_bob"


def test_a_principal_of_another_credential_is_not_shared(cache: TokenCache) -> None:
    first = token()
    renamed = replace(first, principal=replace(first.principal, credential="oidc:other"))
    cache.put(b"first", first)
    cache.put(b"renamed", renamed)
    found = cache.get(b"renamed")
    assert found is not None
    assert found.principal.credential == "oidc:other"


def test_the_oldest_go_beyond_the_capacity(clock: Clock) -> None:
    cache = TokenCache(clock=clock, capacity=2)
    for number in range(4):
        cache.put(b"%d" % number, token(f"user{number}"))
    assert [cache.get(b"%d" % number) is not None for number in range(4)] == [False, False, True, True]
