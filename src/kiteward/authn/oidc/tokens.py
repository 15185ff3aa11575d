"""Verifies signed tokens (JWT, RFC 7519) by the rules of RFC 8725 and, for access tokens, of RFC 9068."""

import base64
import binascii
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NoReturn

import jwt

from kiteward.authn.oidc import refusals
from kiteward.authn.oidc.issuers import ALGORITHMS, Issuer
from kiteward.authn.oidc.key_sets import KeySet, PublicKey
from kiteward.domain.addresses import host_in, source_of
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import TokenRejected

LONGEST: Final = 16 * 1024
"""Most characters of a token."""

_LONGEST_SUBJECT: Final = 255
"""Most characters of `sub` (OpenID Connect Core 1.0, 2)."""

_LATEST: Final = 2**53
"""Seconds since the epoch that no time of a token reaches."""

_WORDS: Final = frozenset({"scope", "scp"})
"""The claims with values that are separated by spaces."""

LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
"""The member of the claim `events` of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.4)."""


class TokenUse(Enum):
    """What a token is presented for. A token for one use is refused for another (RFC 8725, 3.12).

    ACCESS: to make requests. ID: who has signed in to the console, for whose client it is. LOGOUT: who has signed out
    at the issuer (OpenID Connect Back-Channel Logout 1.0, 2.4).

    The value has the accepted values of the header `typ`, in small letters.
    """

    ACCESS = frozenset({"", "jwt", "at+jwt"})
    ID = frozenset({"", "jwt", "id+jwt"})
    LOGOUT = frozenset({"logout+jwt"})


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token whose signature and registered claims are right.

    Attributes:
        issuer: who issued it.
        subject: whom it is about, unique at the issuer; empty only for the use LOGOUT.
        claims: all its claims.
        issued_at: seconds since the epoch.
        expires_at: until when it is accepted, leeway included, in seconds since the epoch.
        generation: that of the keys of the issuer by which it was verified, as `KeySet.generation`.
    """

    issuer: Issuer
    subject: str
    claims: Mapping[str, Any]
    issued_at: float
    expires_at: float
    generation: int = 0


@dataclass(frozen=True, slots=True)
class _Unverified:
    """What a token says of itself before its signature is verified."""

    text: str
    algorithm: str
    key_id: str | None
    kind: str
    claims: Mapping[str, Any]


class TokenVerifier:
    """Verifies the tokens of the configured issuers."""

    def __init__(self, key_sets: Iterable[KeySet], *, clock: Callable[[], float] = time.time) -> None:
        """Set up a verifier.

        Args:
            key_sets: the issuers, each with its keys.
            clock: returns seconds since the epoch.
        """
        self._key_sets = {each.issuer.name: each for each in key_sets}
        self._clock = clock
        self._jws = jwt.PyJWS(list(ALGORITHMS), {"enforce_minimum_key_length": True})

    @property
    def issuers(self) -> Mapping[str, Issuer]:
        """The issuers by name."""
        return {name: each.issuer for name, each in self._key_sets.items()}

    def key_set(self, issuer: str) -> KeySet:
        """Return the keys of a configured issuer, by its name."""
        return self._key_sets[issuer]

    async def verify(self, token: str, use: TokenUse = TokenUse.ACCESS, *, address: str = "") -> VerifiedToken:
        """Verify a token.

        It awaits nothing but keys that are not known yet.

        Args:
            token: the token, in compact form.
            use: what it is presented for.
            address: where the request comes from, as `host:port`.

        Raises:
            TokenRejected: it is not accepted; the message says why, and shows no part of it.
        """
        unverified = _read(token)
        name = unverified.claims.get("iss")
        key_set = self._key_sets.get(name) if isinstance(name, str) else None
        if key_set is None:
            raise refusals.unknown_issuer()
        issuer = key_set.issuer
        if unverified.algorithm not in issuer.algorithms:
            raise refusals.refused(
                ErrorCode.TOKEN_ALGORITHM, f"its algorithm is none of {', '.join(sorted(issuer.algorithms))}"
            )
        if unverified.kind not in use.value or (_is_logout(unverified.claims) != (use is TokenUse.LOGOUT)):
            raise refusals.refused(ErrorCode.TOKEN_KIND, "it is a token for another use (`typ`)")
        subject = _subject_if_acceptable(issuer, unverified.claims, use, self._clock())
        source = source_of(host_in(address)) or use.name  # what providers send through this server has no address
        await self._require_signature(key_set, unverified, subject, source)
        _require_claims(issuer, unverified.claims, use, self._clock())
        verified = VerifiedToken(
            issuer,
            "" if use is TokenUse.LOGOUT and "sub" not in unverified.claims else _subject(unverified.claims),
            unverified.claims,
            float(unverified.claims["iat"]),
            _expires_at(issuer, unverified.claims, use) + issuer.leeway,
            key_set.generation,
        )
        if verified.subject:
            key_set.verified(verified.subject)
        return verified

    async def _require_signature(
        self, key_set: KeySet, unverified: _Unverified, subject: str | None, source: str
    ) -> None:
        """Require that a key of the issuer has signed a token.

        Args:
            key_set: the keys of the issuer.
            unverified: the token.
            subject: as of `KeySet.find`.
            source: as of `KeySet.find`.

        Raises:
            TokenRejected: none has.
        """
        keys = await key_set.find(unverified.key_id, unverified.algorithm, subject=subject, source=source)
        if _is_signed(self._jws, unverified, keys):
            return
        # The issuer may have put another key in the place of one, or sends no ids of keys.
        newer = await key_set.find_again(unverified.key_id, unverified.algorithm)
        if newer is None or not _is_signed(self._jws, unverified, newer):
            raise refusals.refused(ErrorCode.TOKEN_SIGNATURE, "its signature is not by a key of its issuer")


def _is_signed(jws: jwt.PyJWS, unverified: _Unverified, keys: Iterable[PublicKey]) -> bool:
    for key in keys:
        try:
            jws.decode_complete(unverified.text, key.key, algorithms=[unverified.algorithm])
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        return True
    return False


def _read(token: str) -> _Unverified:
    """Read a token without verifying it.

    Raises:
        TokenRejected: it is none, or has what is not understood here.
    """
    if len(token) > LONGEST:
        raise refusals.refused(
            ErrorCode.TOKEN_TOO_LONG, f"it has more than {LONGEST} characters: leave claims out of it", limit=LONGEST
        )
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  header, claims and signature
        raise refusals.malformed("it has not three parts")
    header, claims = _object(parts[0], "header"), _object(parts[1], "claims")
    if "crit" in header:
        raise refusals.refused(ErrorCode.TOKEN_CRITICAL_HEADER, "its header demands extensions (`crit`)")
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not isinstance(algorithm, str) or not isinstance(kind, str) or not isinstance(key_id, str | None):
        raise refusals.malformed("a member of its header is not a text")
    return _Unverified(token, algorithm, key_id, kind.lower().removeprefix("application/"), claims)


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        encoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        found = json.loads(encoded, parse_constant=_refuse_constant, object_pairs_hook=_members)
    except (binascii.Error, ValueError, RecursionError):
        raise refusals.malformed(f"its {what}") from None
    if not isinstance(found, dict):
        raise refusals.malformed(f"its {what}")
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")  # RFC 7519, 4
    return found


def _refuse_constant(_text: str) -> NoReturn:
    raise ValueError("not JSON")


def _is_logout(claims: Mapping[str, Any]) -> bool:
    events = claims.get("events")
    return isinstance(events, dict) and LOGOUT_EVENT in events


def _require_claims(issuer: Issuer, claims: Mapping[str, Any], use: TokenUse, now: float) -> None:
    """Require that the claims of a token make it acceptable.

    Raises:
        TokenRejected: they do not.
    """
    _require_times(issuer, claims, now)
    _require_audience(issuer, claims, use)
    if _is_limited_in_age(issuer, use):
        _require_recent(issuer, claims, now)
    if use is TokenUse.ACCESS:
        _require_understood(claims)
        _require_party(issuer, claims)
        _require_values(issuer.required_claims, claims)
    elif use is TokenUse.ID and issuer.client is not None:
        _require_values(issuer.client.required_claims, claims)


def _subject_if_acceptable(issuer: Issuer, claims: Mapping[str, Any], use: TokenUse, now: float) -> str | None:
    """Return the subject of claims that make a token acceptable if its signature is right; else None."""
    try:
        _require_claims(issuer, claims, use, now)
        return _subject(claims)
    except TokenRejected:
        return None


def _require_times(issuer: Issuer, claims: Mapping[str, Any], now: float) -> None:
    for name in ("exp", "iat", "nbf"):
        if not _is_time(claims.get(name, 0 if name == "nbf" else None)):
            raise refusals.missing_claim(name)
    if now >= claims["exp"] + issuer.leeway:
        raise refusals.expired(claims["exp"])
    for name in ("iat", "nbf"):
        _require_past(issuer, claims, name, now)


def _require_past(issuer: Issuer, claims: Mapping[str, Any], name: str, now: float) -> None:
    if claims.get(name, 0) > now + issuer.leeway:
        begins = refusals.shown_time(claims[name])
        raise refusals.refused(
            ErrorCode.TOKEN_NOT_YET_VALID,
            f"it is from the future: it is valid from {begins} (`{name}`); compare the clocks",
            time=begins,
        )


def _require_understood(claims: Mapping[str, Any]) -> None:
    """Require that nothing limits the use of an access token in a way that cannot be enforced here.

    Raises:
        TokenRejected: it is bound to a key (RFC 7800, 3.1), or has limits of RFC 9396.
    """
    if "cnf" in claims:
        raise refusals.refused(
            ErrorCode.TOKEN_KIND, "it is bound to a key of its client (`cnf`), which cannot be proved here"
        )
    if "authorization_details" in claims:
        raise refusals.refused(
            ErrorCode.TOKEN_KIND, "its limits (`authorization_details`) are not understood here: request another one"
        )


def _is_limited_in_age(issuer: Issuer, use: TokenUse) -> bool:
    return issuer.authentication_age > 0 and use is not TokenUse.LOGOUT


def _require_recent(issuer: Issuer, claims: Mapping[str, Any], now: float) -> None:
    if not _is_time(claims.get("auth_time")):
        raise refusals.missing_claim("auth_time")
    at = claims["auth_time"]
    if now >= at + issuer.authentication_age + issuer.leeway:
        raise refusals.authenticated_long_ago(at)
    _require_past(issuer, claims, "auth_time", now)


def _expires_at(issuer: Issuer, claims: Mapping[str, Any], use: TokenUse) -> float:
    """Return when an acceptable token ends, leeway not included: at its expiry, or as its authentication gets old."""
    ends = [float(claims["exp"])]
    if _is_limited_in_age(issuer, use):
        ends.append(claims["auth_time"] + issuer.authentication_age)
    return min(ends)


def _require_party(issuer: Issuer, claims: Mapping[str, Any]) -> None:
    if issuer.authorized_parties and str(claims.get("azp")) not in issuer.authorized_parties:
        raise refusals.refused(
            ErrorCode.TOKEN_PARTY, "the client that requested it (`azp`) is none of authorizedParties"
        )


def _require_values(required: Mapping[str, frozenset[str]], claims: Mapping[str, Any]) -> None:
    for name, values in required.items():
        value = listed(claims, name)
        if value is None:
            raise refusals.missing_claim(name)
        if values and values.isdisjoint(texts_of(value)):
            raise refusals.refused(
                ErrorCode.TOKEN_CLAIM_VALUE, f"its claim `{name}` has none of the required values", name=name
            )


def _require_audience(issuer: Issuer, claims: Mapping[str, Any], use: TokenUse) -> None:
    expected = issuer.audiences
    if use is not TokenUse.ACCESS:
        expected = frozenset() if issuer.client is None else frozenset({issuer.client.client_id})
    given = claims.get("aud")
    if not (isinstance(given, str) or (isinstance(given, list) and all(isinstance(each, str) for each in given))):
        raise refusals.missing_claim("aud")
    if expected.isdisjoint([given] if isinstance(given, str) else given):
        raise refusals.refused(
            ErrorCode.TOKEN_AUDIENCE, f"it is for somebody else: `aud` must be {' or '.join(sorted(expected))}"
        )


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or len(subject) > _LONGEST_SUBJECT or not subject.isprintable():
        raise refusals.missing_claim("sub")
    return subject


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return the value of a claim, by its name or the path to a nested one; None where there is none."""
    if name in claims:
        return claims[name]
    here: Any = claims
    while name:
        if not isinstance(here, dict):
            return None
        if name in here:
            return here[name]
        first, _, name = name.partition("/")
        here = here.get(first)
    return None


def listed(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim as of `claim`; `scope` and `scp` as lists of their words (RFC 8693, 4.2)."""
    value = claim(claims, name)
    return value.split(" ") if name in _WORDS and isinstance(value, str) else value


def texts_of(value: Any) -> list[str]:
    """Return a claim that holds texts, or one, as a list; true and false as JSON writes them. Others are left out."""
    values = value if isinstance(value, list) else [value]
    return [_text_of(each) for each in values if isinstance(each, str | bool | int)]


def _text_of(value: str | bool | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
