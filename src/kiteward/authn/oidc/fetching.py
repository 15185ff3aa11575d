"""Asks identity providers over HTTP: bounded in time and size, without redirects, proxies or cookies."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from kiteward import __version__
from kiteward.authn.oidc.issuers import Issuer, may_name
from kiteward.domain.errors import ConfigurationError

PATIENCE: Final = 10.0
"""Seconds that an identity provider may take for a whole response."""

_LARGEST: Final = 1024 * 1024
"""Most bytes of a response."""

_DISCOVERY: Final = "/.well-known/openid-configuration"
"""Below the address of an issuer (OpenID Connect Discovery 1.0, 4)."""

_WITH_JSON: Final = frozenset({200, 400, 401})
"""The statuses of responses that are read: success, and failures that say why in JSON (RFC 6749, 5.2)."""


class FetchFailed(Exception):
    """An identity provider did not respond as it should. The message says how, without what it has sent."""


class IssuerClient:
    """Asks one identity provider.

    Attributes:
        issuer: the provider.
    """

    def __init__(self, issuer: Issuer, *, patience: float = PATIENCE) -> None:
        """Set up without a connection.

        Args:
            issuer: the provider.
            patience: seconds that it may take for a whole response.

        Raises:
            ConfigurationError: its certificates cannot be read.
        """
        self.issuer = issuer
        self._patience = patience
        self._client = httpx.AsyncClient(
            verify=_trusted(issuer.keys.ca),
            trust_env=False,
            follow_redirects=False,
            timeout=patience,
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=1),
            headers={
                "user-agent": f"kiteward/{__version__}",
                "accept": "application/json",
                "accept-encoding": "identity",
            },
        )

    async def metadata(self) -> Mapping[str, Any]:
        """Return what the provider says of itself.

        Raises:
            FetchFailed: it does not, or it is another issuer.
        """
        found = await self.get(self.issuer.name.rstrip("/") + _DISCOVERY)
        if found.get("issuer") != self.issuer.name:
            raise FetchFailed("its metadata names another `issuer`")
        return found

    async def key_set(self) -> Mapping[str, Any]:
        """Return its JWK Set (RFC 7517, 5), from where the configuration says, or its metadata.

        Raises:
            FetchFailed: there is none.
        """
        source = self.issuer.keys
        if source.file is not None:
            return _read(source.file)
        uri = source.uri
        if not uri:
            found = (await self.metadata()).get("jwks_uri")
            if not may_name(self.issuer.name, found):
                raise FetchFailed("its metadata has no usable `jwks_uri`")
            uri = str(found)
        return await self.get(uri)

    async def get(self, address: str) -> Mapping[str, Any]:
        """Return the JSON object at an address.

        Raises:
            FetchFailed: there is none.
        """
        status, found = await self._send("GET", address)
        if status != httpx.codes.OK:
            raise FetchFailed(f"it responds with status {status}")
        return found

    async def exchange(
        self, address: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, Any]]:
        """Send a form and return the status and the JSON object of the response, also where it reports a failure.

        Raises:
            FetchFailed: there is no response, or no JSON object in it.
        """
        return await self._send("POST", address, data=dict(form), headers=dict(headers))

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def _send(self, method: str, address: str, **parts: Any) -> tuple[int, Mapping[str, Any]]:
        try:
            request = self._client.build_request(method, address, **parts)
            async with asyncio.timeout(self._patience):
                response = await self._client.send(request, stream=True)
                try:
                    return response.status_code, await _object(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise FetchFailed(f"it did not respond within {self._patience:g} s") from None
        # UnicodeError: a host that is no international name, which may be one of the provider's metadata.
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, UnicodeError) as error:
            raise FetchFailed(f"it cannot be reached ({type(error).__name__})") from error


async def _object(response: httpx.Response) -> Mapping[str, Any]:
    if response.is_redirect:
        raise FetchFailed(
            f"it redirects (status {response.status_code}), which is not followed: name the final address"
        )
    if response.status_code not in _WITH_JSON:
        raise FetchFailed(f"it responds with status {response.status_code}")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _LARGEST:
            raise FetchFailed(f"its response has more than {_LARGEST} bytes")
    return _parsed(bytes(body))


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return _parsed(file.read_bytes())
    except OSError as error:
        raise FetchFailed(f"the file with its keys cannot be read: {error.strerror}") from error


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise FetchFailed("what it sends is not JSON") from None
    if not isinstance(found, dict):
        raise FetchFailed("what it sends is no JSON object")
    return found


def _trusted(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"caFile of kiteward.oidc cannot be used: {ca} holds no certificates") from error
