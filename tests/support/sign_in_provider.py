"""The issuer of `tests.support.issuer` with sign-ins: the authorization code flow with PKCE, and signing out."""

import base64
import hashlib
import html
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote_plus, urlencode

from tests.support.issuer import Issuer, Response

CLIENT_ID = "kiteward console"
CLIENT_SECRET = "s3cret: of+the%client"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass
class Person:
    """The user whom the provider signs in next.

    Attributes:
        subject: the claim `sub`.
        claims: claims of the ID token that replace the usual ones; None removes one.
    """

    subject: str = "subject-1"
    claims: dict[str, Any] = field(default_factory=lambda: {"preferred_username": "ann", "groups": ["searchers"]})


@dataclass
class SignInProvider:
    """Sign-ins at an issuer. Whoever opens the authorization endpoint is signed in as `person` at once.

    Attributes:
        issuer: the issuer.
        person: who signs in next.
        secret: the secret that the client must present; empty for a public client.
        error: what the authorization endpoint answers instead of a code, if anything.
        token_answer: status and body with which the token endpoint answers instead, if any.
        names_issuer: whether answers to the browser name the issuer.
        answer: parameters that answers to the browser have besides, or instead.
        asked: the parameters of each request for authorization.
        redeemed: the codes that were exchanged.
        headers: members of the header of ID tokens.
        at_hash: whether ID tokens have the claim `at_hash`.
        at_hash_by: the hash function of it; empty for the right one.
    """

    issuer: Issuer
    person: Person = field(default_factory=Person)
    secret: str = CLIENT_SECRET
    error: str = ""
    token_answer: tuple[int, bytes] | None = None
    names_issuer: bool = False
    answer: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    redeemed: list[str] = field(default_factory=list)
    headers: dict[str, Any] = field(default_factory=dict)
    at_hash: bool = True
    at_hash_by: str = ""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        url = self.issuer.url
        self.issuer.metadata |= {
            "authorization_endpoint": f"{url}/authorize?realm=a",
            "token_endpoint": f"{url}/token",
            "end_session_endpoint": f"{url}/end",
        }
        self.issuer.routes["/token"] = self._token
        self.issuer.routes["/end"] = self._page
        self.issuer.routes["/authorize"] = self._authorize

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return an entry of `kiteward.oidc`; None removes a key."""
        return self.issuer.settings(
            **{
                "clientId": CLIENT_ID,
                "clientSecret": self.secret or None,
                "signInName": "company",
                "scopes": ["openid", "profile", "groups"],
                "groupRoles": {"searchers": ["reader"]},
                **more,
            }
        )

    def authorize(self, url: str) -> str:
        """Return the address to which a browser is sent back that opens an address of the authorization endpoint."""
        status, headers, _body = self._authorize("GET", url, {}, b"")
        assert status == 302
        return headers["location"]

    def logout_token(self, *, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Return a logout token; a claim that is None is left out."""
        usual = {"aud": CLIENT_ID, "jti": secrets.token_hex(4), "events": {LOGOUT_EVENT: {}}}
        return self.issuer.token(headers={"typ": "logout+jwt", **(headers or {})}, **{**usual, **claims})

    def _authorize(self, _method: str, target: str, _headers: Mapping[str, str], _body: bytes) -> Response:
        query = dict(parse_qsl(target.partition("?")[2]))
        self.asked.append(query)
        code = secrets.token_hex(8)
        self._codes[code] = {**query, "subject": self.person.subject, "claims": json.dumps(self.person.claims)}
        given = {"error": self.error, "error_description": "<b>described</b>"} if self.error else {"code": code}
        if self.names_issuer:
            given["iss"] = self.issuer.url
        given = {name: value for name, value in {"state": query["state"], **given, **self.answer}.items() if value}
        return 302, {"location": f"{query['redirect_uri']}?{urlencode(given)}"}, b""

    def _token(self, _method: str, _target: str, headers: Mapping[str, str], body: bytes) -> Response:
        if self.token_answer is not None:
            return self.token_answer[0], {}, self.token_answer[1]
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if not self._is_client({name.lower(): value for name, value in headers.items()}, form):
            return _answered(401, {"error": "invalid_client"})
        begun = self._codes.pop(form["code"], None)
        verifier = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if begun is None or begun["code_challenge"] != verifier.decode():
            return _answered(400, {"error": "invalid_grant"})
        if begun["redirect_uri"] != form["redirect_uri"] or begun["code_challenge_method"] != "S256":
            return _answered(400, {"error": "invalid_grant"})
        self.redeemed.append(form["code"])
        access_token = secrets.token_hex(16)
        bound = {"at_hash": self._half(access_token)} if self.at_hash else {}
        claims = {"aud": CLIENT_ID, "azp": CLIENT_ID, "nonce": begun["nonce"], **bound, **json.loads(begun["claims"])}
        id_token = self.issuer.token(begun["subject"], headers=self.headers, **claims)
        return _answered(200, {"access_token": access_token, "token_type": "Bearer", "id_token": id_token})

    def _half(self, access_token: str) -> str:
        """Return the claim `at_hash` for an access token (OpenID Connect Core 1.0, 3.1.3.6)."""
        last = self.issuer.keys[-1].algorithm[-3:]
        digest = hashlib.new(self.at_hash_by or ("sha512" if last == "DSA" else f"sha{last}"), access_token.encode())
        return base64.urlsafe_b64encode(digest.digest()[: digest.digest_size // 2]).rstrip(b"=").decode()

    def _is_client(self, headers: Mapping[str, str], form: Mapping[str, str]) -> bool:
        if not self.secret:
            return form.get("client_id") == CLIENT_ID and "authorization" not in headers
        given = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        client, _, secret = given.partition(":")
        return (unquote_plus(client), unquote_plus(secret), "client_id" in form) == (CLIENT_ID, self.secret, False)

    def _page(self, _method: str, _target: str, _headers: Mapping[str, str], _body: bytes) -> Response:
        return 200, {"content-type": "text/html"}, f"<h1>{html.escape('signed out there')}</h1>".encode()


def _answered(status: int, answer: Mapping[str, Any]) -> Response:
    return status, {"content-type": "application/json"}, json.dumps(answer).encode()


def changed(url: str, **parameters: str) -> str:
    """Return an address with some parameters of its query replaced; empty ones are left out."""
    base, _, query = url.partition("?")
    held = {**dict(parse_qsl(query)), **parameters}
    return f"{base}?{urlencode({name: value for name, value in held.items() if value}, quote_via=quote)}"
