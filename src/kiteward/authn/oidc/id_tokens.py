"""What the console demands of an ID token beyond a valid signature (OpenID Connect Core 1.0, 3.1.3.7 and 3.1.3.8)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final

from kiteward.authn.oidc import refusals
from kiteward.authn.oidc.tokens import VerifiedToken
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.identity import SignInCredential

_LONGEST_SESSION: Final = 255

_HASHES: Final[Mapping[str, str]] = {"256": "sha256", "384": "sha384", "512": "sha512", "DSA": "sha512"}
"""The last three characters of the algorithm of a signature -> the hash function of `at_hash`."""


def require_for(presented: SignInCredential, token: VerifiedToken) -> None:
    """Require that an ID token was issued for a sign-in, for this client, and together with its access token.

    Args:
        presented: what the provider issued, with the nonce of the sign-in.
        token: its ID token, verified.

    Raises:
        KeyRejected: it was not.
    """
    claims, client = token.claims, token.issuer.client
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(_bytes(nonce), presented.nonce.encode()):
        raise refusals.refused(ErrorCode.TOKEN_SIGN_IN, "it was issued for another sign-in (`nonce`)")
    several = isinstance(claims.get("aud"), list) and len(claims["aud"]) > 1
    if client is None or (("azp" in claims or several) and claims.get("azp") != client.client_id):
        raise refusals.refused(ErrorCode.TOKEN_PARTY, "it was issued to another client (`azp`)")
    if "at_hash" in claims:
        expected = _hash_of(presented.access_token.reveal(), _algorithm_of(presented.id_token.reveal()))
        given = claims["at_hash"]
        if not isinstance(given, str) or not hmac.compare_digest(_bytes(given), expected):
            raise refusals.refused(ErrorCode.TOKEN_SIGN_IN, "it belongs to another access token (`at_hash`)")


def session_of(claims: Mapping[str, object]) -> str:
    """Return the session at the provider that the claims of a token name (`sid`); empty where they name none.

    Raises:
        KeyRejected: what they name is no id of a session.
    """
    found = claims.get("sid", "")
    if not isinstance(found, str) or len(found) > _LONGEST_SESSION or not found.isprintable():
        raise refusals.missing_claim("sid")
    return found


def _hash_of(access_token: str, algorithm: str) -> bytes:
    digest = hashlib.new(_HASHES[algorithm[-3:]], _bytes(access_token)).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")


def _algorithm_of(token: str) -> str:
    """Return the algorithm of the signature of a token, which was verified."""
    header = token.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["alg"])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
