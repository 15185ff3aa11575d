"""An identity provider as the console uses it: the authorization code flow with PKCE (OpenID Connect Core 1.0, 3.1).

Users see an error of their provider as one of a few sentences. Its own text is neither shown nor logged: whoever can
open an address of this server could write it.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

from kiteward.authn.oidc.fetching import FetchFailed
from kiteward.authn.oidc.issuers import Issuer
from kiteward.authn.oidc.provider_answers import refusal_of, rejected
from kiteward.authn.oidc.provider_metadata import ProviderMetadata
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import CapacityExceeded, KeyRejected
from kiteward.domain.identity import Secret

_log = logging.getLogger("kiteward.authn")

_FRESH: Final = 3_600.0
"""Seconds after which the metadata of a provider are read again."""

_KEPT: Final = 86_400.0
"""Seconds for which they are used while they cannot be read again."""

_PAUSE: Final = 5.0
"""Seconds between two attempts to read them while that fails."""

_AT_ONCE: Final = 8
"""Most codes that are exchanged at the same time: an unauthenticated client sends as many as it likes."""

_OK: Final = 200
_REFUSED: Final = range(400, 500)

_OF_THE_USER: Final = (ErrorCode.SIGN_IN_DENIED, ErrorCode.SIGN_IN_UNFINISHED)
"""What an operator does not read about in the log: a user has given up, or has something left to do at the provider."""


class ProviderClient(Protocol):
    """Asks an identity provider; `IssuerClient` implements it."""

    async def metadata(self) -> Mapping[str, Any]:
        """Return what the provider says of itself; raises FetchFailed."""
        ...

    async def exchange(
        self, address: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, Any]]:
        """Send a form, and return the status and the JSON object of the response, also where it reports a failure.

        Raises:
            FetchFailed: there is no response, or it has no JSON object.
        """
        ...


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What a provider issues for an authorization code.

    Attributes:
        id_token: says who has signed in.
        access_token: issued with it; it is used for nothing but the check that the two belong together.
    """

    id_token: Secret
    access_token: Secret


class SignInProvider:
    """One identity provider.

    Attributes:
        issuer: its name as an issuer.
        name: its name on the page for signing in, and in the redirect URI.
    """

    def __init__(self, issuer: Issuer, asked: ProviderClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up without metadata, which are read when they are needed first.

        Args:
            issuer: the provider.
            asked: asks it.
            clock: returns seconds and never goes back.

        Raises:
            ValueError: nobody signs in to the console by it.
        """
        if issuer.client is None:
            raise ValueError("an issuer without a client signs in nobody")
        self.issuer, self.name = issuer.name, issuer.sign_in_name
        self._client, self._max_age = issuer.client, issuer.authentication_age
        self._asked = asked
        self._clock = clock
        self._reading = asyncio.Lock()
        self._metadata: ProviderMetadata | None = None
        self._read_at = self._failed_at = float("-inf")
        self._exchanges = asyncio.Semaphore(_AT_ONCE)

    async def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        """Return where to send the browser to sign in.

        Args:
            redirect_uri: where the provider sends it back to, exactly as it is registered there.
            state: comes back with the answer.
            nonce: comes back in the ID token.
            challenge: the code challenge, by the method S256.

        Raises:
            KeyRejected: the provider does not tell where.
        """
        metadata = await self._described()
        return _with_query(
            metadata.authorization_endpoint,
            response_type="code",
            client_id=self._client.client_id,
            redirect_uri=redirect_uri,
            scope=" ".join(self._client.scopes),
            state=state,
            nonce=nonce,
            code_challenge=challenge,
            code_challenge_method="S256",
            **({"max_age": str(self._max_age)} if self._max_age else {}),
        )

    async def end_session_url(self, *, back: str) -> str:
        """Return where to send the browser to sign out at the provider too; empty where it does not offer that.

        Args:
            back: where the provider sends it afterwards, if that is registered there.
        """
        try:
            metadata = await self._described()
        except KeyRejected:
            return ""
        if not metadata.end_session_endpoint:
            return ""
        return _with_query(
            metadata.end_session_endpoint, client_id=self._client.client_id, post_logout_redirect_uri=back
        )

    async def require_issuer(self, given: str | None) -> None:
        """Require that an answer to the browser is of this provider, as far as it says (RFC 9207, 2.4).

        Args:
            given: the parameter `iss` of the answer, if it has one.

        Raises:
            KeyRejected: it is of another one, or does not say it although every answer of this one does, or that is not
                known.
        """
        if given is None and not (await self._described()).names_issuer:
            return
        if given != self.issuer:
            raise rejected(ErrorCode.SIGN_IN_ANSWER_UNUSABLE, self.name, "the answer names another issuer, or none")

    def refusal(self, error: object) -> KeyRejected:
        """Return the refusal of a sign-in that the provider has answered with an error, logged unless it is the user's.

        Args:
            error: the `error` of its answer, which anybody may have written.
        """
        refusal = refusal_of(self.name, error)
        if refusal.code not in _OF_THE_USER:
            _log.warning("%s", refusal)
        return refusal

    async def redeem(self, code: str, *, verifier: Secret, redirect_uri: str) -> IssuedTokens:
        """Exchange an authorization code for tokens (RFC 6749, 4.1.3; RFC 7636, 4.5).

        Args:
            code: the code.
            verifier: the code verifier.
            redirect_uri: the redirect URI of the sign-in.

        Raises:
            KeyRejected: the provider refuses, or answers without an ID token, or not at all.
            CapacityExceeded: too many codes are being exchanged.
        """
        client, metadata = self._client, await self._described()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier.reveal(),
        }
        headers = {}
        if client.secret:
            headers["authorization"] = _basic(client.client_id, client.secret)
        else:
            form["client_id"] = client.client_id
        if self._exchanges.locked():
            raise CapacityExceeded(
                "too many users are signing in at once: try again", ErrorDetail(ErrorCode.SIGN_IN_BUSY)
            )
        async with self._exchanges:
            try:
                status, answer = await self._asked.exchange(metadata.token_endpoint, form, headers)
            except FetchFailed as error:
                raise self._unavailable(f"its token endpoint: {error}") from None
        return self._issued(status, answer)

    def _issued(self, status: int, answer: Mapping[str, Any]) -> IssuedTokens:
        if status in _REFUSED:
            raise self.refusal(answer.get("error"))
        if status != _OK:
            raise self._unavailable(f"its token endpoint answers with status {status}")
        id_token, access_token = answer.get("id_token"), answer.get("access_token", "")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise rejected(ErrorCode.SIGN_IN_ANSWER_UNUSABLE, self.name, "it issued no ID token")
        return IssuedTokens(Secret(id_token), Secret(access_token))

    async def _described(self) -> ProviderMetadata:
        """Return the metadata. They are read again where they are old, by one caller at a time.

        Raises:
            KeyRejected: they could not be read for too long.
        """
        async with self._reading:
            now = self._clock()
            if now - self._read_at >= _FRESH and now - self._failed_at >= _PAUSE:
                try:
                    self._metadata, self._read_at = ProviderMetadata.parse(await self._asked.metadata()), self._clock()
                except FetchFailed as error:
                    self._failed_at = self._clock()
                    _log.warning("the metadata of %s cannot be used: %s", self.issuer, error)
            if self._metadata is None or now - self._read_at >= _KEPT:
                raise self._unavailable("its metadata cannot be read")
            return self._metadata

    def _unavailable(self, reason: str) -> KeyRejected:
        return rejected(ErrorCode.SIGN_IN_PROVIDER_UNAVAILABLE, self.name, f"it cannot be used now: {reason}")


def _basic(client_id: str, secret: Secret) -> str:
    """Return the header of a client that authenticates by `client_secret_basic` (RFC 6749, 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret.reveal())}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _with_query(url: str, **parameters: str) -> str:
    """Return a URL with parameters added to those that it has."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *parameters.items()])
    return urlunsplit(parts._replace(query=query))
