"""A client of an identity provider, and the person who signs in with it: four ways to tokens, without a browser.

with OAuthClient(issuer, "kiteward") as client:
    tokens = client.by_password(Person("alice", "Wonder-Land-7"))
    MilvusClient(uri=server.uri, token=tokens.access)
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

CALLBACK: Final = "http://127.0.0.1:1/callback"
"""Where a provider sends its user after the sign-in; nothing listens there, and nothing is asked."""

_PAGES: Final = 20
"""How many pages a user reads until the sign-in has ended, at most."""

_DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a provider issues at a sign-in.

    Attributes:
        access: the access token.
        identity: the ID token; empty where there is none.
        refresh: the refresh token; empty where there is none.
    """

    access: str = field(repr=False)
    identity: str = field(repr=False)
    refresh: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom a provider authenticates.

    Attributes:
        name: the user name.
        password: the password.
        fields: header fields of the requests, by which a proxy in front of the provider names the user.
    """

    name: str
    password: str = field(default="", repr=False)
    fields: Mapping[str, str] = field(default_factory=dict)

    def open(self, url: str) -> str:
        """Open a provider's page, fill in its forms, and return the address at which that has ended.

        It ends at `CALLBACK`, or at a page without a form.
        """
        with httpx.Client(timeout=60, headers=self.fields) as browser:

            def keep_cookies(_response: httpx.Response) -> None:
                for cookie in browser.cookies.jar:
                    cookie.secure = False  # browsers return secure cookies to loopback without TLS too

            browser.event_hooks = {"response": [keep_cookies]}
            response = browser.get(url)
            for _ in range(_PAGES):
                if response.is_redirect:
                    url = urljoin(str(response.url), response.headers["location"])
                    if url.startswith(CALLBACK):
                        return url
                    response = browser.get(url)
                    continue
                assert response.is_success, (response.status_code, response.text)
                form = _Form()
                form.feed(response.text)
                if form.action is None:
                    return str(response.url)
                filled = {"username": self.name, "password": self.password}
                data = {name: value or filled.get(name, "") for name, value in form.fields.items()}
                response = browser.post(urljoin(str(response.url), form.action), data=data)
        raise AssertionError(f"the sign-in did not end: {response.url} {response.text}")


def claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, unverified."""
    return dict(json.loads(_part(token, 1)))


def key_id(token: str) -> str:
    """Return the `kid` of a JWT."""
    return str(json.loads(_part(token, 0))["kid"])


def _part(token: str, number: int) -> bytes:
    part = token.split(".")[number]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class OAuthClient:
    """One client that a provider knows.

    Attributes:
        metadata: what the provider says of itself (OpenID Connect Discovery 1.0, 3).
    """

    def __init__(self, issuer: str, client_id: str, secret: str = "", *, scope: str = "openid") -> None:
        """Read what the provider says of itself.

        Args:
            issuer: the provider's issuer.
            client_id: the client.
            secret: its secret; empty for a public client.
            scope: the scopes that it asks for.
        """
        self._http = httpx.Client(timeout=60)
        self._own = {"client_id": client_id, **({"client_secret": secret} if secret else {})}
        self._client_id = client_id
        self._scope = scope
        self.metadata = self._http.get(f"{issuer}/.well-known/openid-configuration").raise_for_status().json()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def by_password(self, person: Person) -> Tokens:
        """Return the tokens of a person whose password the client has (RFC 6749, 4.3)."""
        return self._tokens(grant_type="password", username=person.name, password=person.password, scope=self._scope)

    def by_own_secret(self, **more: str) -> Tokens:
        """Return the tokens of the client itself (RFC 6749, 4.4).

        Args:
            more: further parameters, such as Hydra's `audience`.
        """
        return self._tokens(grant_type="client_credentials", scope=self._scope, **more)

    def by_code(self, person: Person) -> Tokens:
        """Return the tokens of a person who signs in at the provider's page (RFC 6749, 4.1, with RFC 7636)."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = httpx.URL(
            self.metadata["authorization_endpoint"],
            params={
                "client_id": self._client_id,
                "response_type": "code",
                "scope": self._scope,
                "redirect_uri": CALLBACK,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
        )
        answer = parse_qs(urlsplit(person.open(str(asked))).query)
        assert answer["state"] == [state], answer
        return self._tokens(
            grant_type="authorization_code", code=answer["code"][0], redirect_uri=CALLBACK, code_verifier=verifier
        )

    def by_device(self, person: Person) -> Tokens:
        """Return the tokens of a person who signs in elsewhere for a program without a browser (RFC 8628)."""
        asked = self._http.post(
            self.metadata["device_authorization_endpoint"], data={**self._own, "scope": self._scope}
        ).raise_for_status()
        answer = asked.json()
        person.open(answer["verification_uri_complete"])
        return self._tokens(grant_type=_DEVICE, device_code=answer["device_code"])

    def refreshed(self, tokens: Tokens) -> Tokens:
        """Return new tokens for a sign-in (RFC 6749, 6)."""
        return self._tokens(grant_type="refresh_token", refresh_token=tokens.refresh)

    def keys(self) -> set[str]:
        """Return the ids of the keys that the provider publishes."""
        found = self._http.get(self.metadata["jwks_uri"]).raise_for_status().json()
        return {str(key["kid"]) for key in found["keys"]}

    def _tokens(self, **grant: str) -> Tokens:
        response = self._http.post(self.metadata["token_endpoint"], data={**self._own, **grant})
        assert response.status_code == httpx.codes.OK, (response.status_code, response.text)
        issued = response.json()
        return Tokens(issued["access_token"], issued.get("id_token", ""), issued.get("refresh_token", ""))


class _Form(HTMLParser):
    """Reads the first form of a page that is sent by POST.

    Attributes:
        action: where it is sent; None as long as there is no form.
        fields: its fields, with the values they have.
    """

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._inside = self._submitted = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        kind = attributes.get("type", "submit" if tag == "button" else "text")
        if tag == "form" and self.action is None and attributes.get("method", "").lower() == "post":
            self.action, self._inside = attributes.get("action", ""), True
        elif self._inside and tag in ("input", "button") and attributes.get("name"):
            if kind == "checkbox" or (kind == "submit" and self._submitted):
                return
            self._submitted = self._submitted or kind == "submit"
            self.fields[attributes["name"]] = attributes.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
