"""A small identity provider on loopback: discovery, a JWK Set with rotation, and tokens of any content."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

AUDIENCE = "kiteward"

Response = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""

_CURVES: Mapping[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def private_key(algorithm: str = "ES256", *, curve: str = "Ed25519") -> PrivateKeyTypes:
    """Return a new private key for an algorithm."""
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm == "EdDSA":
        return ed448.Ed448PrivateKey.generate() if curve == "Ed448" else ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key: PrivateKeyTypes, algorithm: str) -> dict[str, Any]:
    """Return the public part of a key as a JWK."""
    made: Any = jwt.get_algorithm_by_name(algorithm)
    return dict(made.to_jwk(key.public_key(), as_dict=True))


def encoded(part: object) -> str:
    """Return a part of a token: JSON, in base64 without padding."""
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@dataclass
class SigningKey:
    """A key of the issuer.

    Attributes:
        key_id: its id; None for a key without one.
        algorithm: what it signs by.
        private: the key.
        members: members of its JWK beside those of the key itself.
    """

    key_id: str | None
    algorithm: str = "ES256"
    private: PrivateKeyTypes = field(default_factory=private_key, repr=False)
    members: Mapping[str, Any] = field(default_factory=lambda: {"use": "sig"})

    def jwk(self) -> dict[str, Any]:
        """Return what the issuer publishes of it."""
        named = {} if self.key_id is None else {"kid": self.key_id}
        return {**public_jwk(self.private, self.algorithm), "alg": self.algorithm, **named, **self.members}


class Issuer:
    """An identity provider that is running.

    Attributes:
        url: its name and address.
        keys: the keys that it publishes; the last one signs.
        requests: the paths that were requested.
        delay: seconds before each response.
        failing: whether every request is answered by status 500.
        metadata: members that replace or add to those of its metadata; None removes one.
        routes: path -> what answers a request to it: a function of method, target with its query, headers and body.
    """

    def __init__(self, url: str, *, algorithm: str = "ES256") -> None:
        self.url = url
        self.keys = [SigningKey("key-1", algorithm, private_key(algorithm))]
        self.requests: list[str] = []
        self.delay = 0.0
        self.failing = False
        self.metadata: dict[str, Any] = {}
        self.routes: dict[str, Callable[[str, str, Mapping[str, str], bytes], Response]] = {}
        self._rotations = 1

    @property
    def fetches(self) -> int:
        """How often its keys were requested."""
        return self.requests.count("/keys")

    def rotate(self, algorithm: str | None = None, *, keep: int = 1) -> SigningKey:
        """Sign with a new key from now on.

        Args:
            algorithm: its algorithm; None for that of the present key.
            keep: how many of the present keys stay published, the latest ones.

        Returns:
            The new key.
        """
        self._rotations += 1
        name = algorithm or self.keys[-1].algorithm
        key = SigningKey(f"key-{self._rotations}", name, private_key(name))
        self.keys = [*(self.keys[-keep:] if keep else []), key]
        return key

    def claims(self, subject: str = "subject-1", *, lifetime: float = 600.0, **claims: Any) -> dict[str, Any]:
        """Return the claims of a token; None removes one.

        Args:
            subject: the claim `sub`.
            lifetime: seconds from now until it expires.
            claims: others, which replace the usual ones.
        """
        now = int(time.time())
        usual = {"iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + int(lifetime)}
        return {name: value for name, value in {**usual, **claims}.items() if value is not None}

    def token(
        self,
        subject: str = "subject-1",
        *,
        key: SigningKey | None = None,
        headers: Mapping[str, Any] | None = None,
        lifetime: float = 600.0,
        **claims: Any,
    ) -> str:
        """Return a signed token.

        Args:
            subject: the claim `sub`.
            key: what signs it; None for the present key.
            headers: members of its header, which replace the usual ones; None removes one.
            lifetime: seconds from now until it expires.
            claims: claims, as of `claims`.
        """
        key = key or self.keys[-1]
        return self.signed(self.claims(subject, lifetime=lifetime, **claims), key=key, headers=headers)

    def signed(
        self, payload: object, *, key: SigningKey | None = None, headers: Mapping[str, Any] | None = None
    ) -> str:
        """Return a signed token with any payload; `bytes` are taken as they are."""
        key = key or self.keys[-1]
        usual = {"alg": key.algorithm, "typ": "JWT", "kid": key.key_id}
        header = {name: value for name, value in {**usual, **(headers or {})}.items() if value is not None}
        text = f"{encoded(header)}.{encoded(payload)}"
        signature = jwt.get_algorithm_by_name(key.algorithm).sign(text.encode(), key.private)
        return f"{text}.{encoded(signature)}"

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return an entry of `kiteward.oidc` for it; None removes a key."""
        usual = {
            "issuer": self.url,
            "audience": AUDIENCE,
            "userClaim": "preferred_username",
            "userPrefix": "idp_",
            "groupsClaim": "groups",
            "signUp": "create",
        }
        return {name: value for name, value in {**usual, **more}.items() if value is not None}

    def respond(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Return the response to a request."""
        path = target.partition("?")[0]
        self.requests.append(path)
        if self.delay:
            time.sleep(self.delay)
        if self.failing:
            return 500, {}, b""
        if path in self.routes:
            return self.routes[path](method, target, headers, body)
        if path == "/keys":
            return _json({"keys": [key.jwk() for key in self.keys]})
        if path == "/.well-known/openid-configuration":
            usual = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
            return _json({name: value for name, value in {**usual, **self.metadata}.items() if value is not None})
        return 404, {}, b""


def _json(value: object) -> Response:
    return 200, {"content-type": "application/json", "cache-control": "max-age=600"}, json.dumps(value).encode()


@contextlib.contextmanager
def running_issuer(*, algorithm: str = "ES256") -> Iterator[Issuer]:
    """Run an identity provider on a free port of loopback.

    Args:
        algorithm: what it signs by at first.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, content = issuer.respond(self.command, self.path, dict(self.headers), body)
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815  the names of the library

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer = Issuer(f"http://127.0.0.1:{server.server_address[1]}", algorithm=algorithm)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
