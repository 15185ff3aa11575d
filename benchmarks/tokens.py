"""What it costs to authenticate by a verified token, beside a cached password: `python -m benchmarks.tokens`.

It prints microseconds of one call in process, the lowest of several rounds that take turns, and ratios to the password.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authn.oidc.authentication import TokenAuthenticator
from kiteward.authn.oidc.issuers import Issuer, NameRule
from kiteward.authn.oidc.key_sets import KeySet
from kiteward.authn.oidc.tokens import TokenVerifier
from kiteward.domain.identity import PasswordCredential, PresentedCredential, Secret, without_colon
from kiteward.domain.naming import NamingRules
from kiteward.store.identity_records import GroupRole, IdentityRecord
from kiteward.store.records import HashSchemes, UserRecord

_PASSWORD: Final = "Kite-ward-1"
_ROUNDS: Final = 15
_CALLS: Final = 2_000
_ISSUER: Final = Issuer("https://idp.example", frozenset({"kiteward"}), NameRule("idp_{sub}"), groups_claim="groups")


class Publisher:
    """Publishes the key of the issuer."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    async def key_set(self) -> Mapping[str, Any]:
        return {"keys": [{**jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": "k"}]}

    def token(self, filler: int) -> str:
        """Return a token with so many further characters in its claims."""
        now = int(time.time())
        claims = {"iss": _ISSUER.name, "sub": "alice", "aud": "kiteward", "iat": now, "exp": now + 3600}
        return jwt.encode({**claims, "x": "x" * filler}, self.key, "ES256", {"kid": "k"})


class TwoUsers:
    """The part of a store that an authenticator reads: a local and a federated user."""

    def __init__(self, password_hash: str) -> None:
        identity = IdentityRecord("idp_alice", _ISSUER.name, "alice", 0.0)
        self.local = UserRecord("alice", password_hash, "c", description="", created_at=0, changed_at=0, roles=("r",))
        self.federated = UserRecord("idp_alice", "!", "c", "", 0, 0, ("r",), identity=identity)

    async def user(self, _name: str) -> UserRecord:
        return self.local

    async def federated_user(self, _issuer: str, _subject: str) -> UserRecord:
        return self.federated

    async def group_roles(self, _issuer: str | None) -> Sequence[GroupRole]:
        return ()

    async def hash_schemes(self, _names: object) -> HashSchemes:
        return HashSchemes(frozenset(), None)


async def measure() -> Mapping[str, float]:
    """Return the microseconds of a call by kind of credential."""
    hasher, publisher = PasswordHasher(TESTING), Publisher()
    store: Any = TwoUsers(await hasher.hash(Secret(_PASSWORD)))
    verifier = TokenVerifier([KeySet(_ISSUER, publisher)])
    tokens = TokenAuthenticator(verifier, store, naming=NamingRules(), most_users=10)
    authenticator = Authenticator(store, hasher, tokens=tokens)
    credentials: Mapping[str, PresentedCredential] = {
        "password": PasswordCredential("alice", Secret(_PASSWORD)),
        "token of 1 KB": without_colon(publisher.token(600)),
        "token of 16 KB": without_colon(publisher.token(11_500)),
    }
    lowest: dict[str, float] = {}
    for _ in range(_ROUNDS):
        for name, credential in credentials.items():
            took = await _timed(functools.partial(authenticator.authenticate, credential, address="127.0.0.1:1"))
            lowest[name] = min(took, lowest.get(name, took))
    short = publisher.token(600)
    lowest["token of 1 KB that is not remembered, without the store"] = await _timed(lambda: verifier.verify(short))
    hasher.close()
    return lowest


async def _timed(call: Callable[[], Any]) -> float:
    await call()
    begun = time.process_time()
    for _ in range(_CALLS):
        await call()
    return (time.process_time() - begun) / _CALLS * 1e6


if __name__ == "__main__":
    found = asyncio.run(measure())
    for name, microseconds in found.items():
        print(f"{name}: {microseconds:.2f} µs, {microseconds / found['password']:.2f} times a cached password")
