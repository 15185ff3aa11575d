"""Known attacks on tokens (RFC 8725, 2; OWASP ASVS 5, 9 and 10). All run against an identity provider of our own."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from tests.support.issuer import Issuer, Response, SigningKey, encoded, private_key, running_issuer
from tests.unit.authn.oidc.verifying import configured, refusal, verifier_of

from kiteward.authn.oidc.fetching import FetchFailed, IssuerClient
from kiteward.authn.oidc.issuers import ALGORITHMS, Client, KeySource
from kiteward.authn.oidc.provider import SignInProvider
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import KeyRejected
from kiteward.domain.identity import Secret

HTTP = "http://127.0.0.1"


def signed_by_secret(secret: bytes, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return a token that is signed by HMAC."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def known_to_all(key: SigningKey) -> list[bytes]:
    """Return the forms of a public key that a verifier could take for a shared secret."""
    public: Any = key.private
    public = public.public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return [
        public.public_bytes(serialization.Encoding.PEM, form),
        public.public_bytes(serialization.Encoding.DER, form),
        json.dumps(key.jwk()).encode(),
        b"",
    ]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_a_public_key_is_no_shared_secret(idp: Issuer, algorithm: str) -> None:
    key = idp.rotate(algorithm)
    async with verifier_of(configured(idp)) as verifier:
        await verifier.verify(idp.token())
        for secret in known_to_all(key):
            for name in ("HS256", "HS384", "hs256", algorithm):
                token = signed_by_secret(secret, {"alg": name, "kid": key.key_id}, idp.claims())
                code = ErrorCode.TOKEN_SIGNATURE if name == algorithm else ErrorCode.TOKEN_ALGORITHM
                assert (await refusal(verifier, token)).code is code


@pytest.mark.parametrize(
    "name", ["none", "None", "NONE", "nOnE", "", "null", None, 0, ["ES256"], "ES256K", "RSA1_5", "dir"]
)
async def test_a_token_without_a_signature_is_refused(idp: Issuer, name: object) -> None:
    async with verifier_of(configured(idp)) as verifier:
        for signature in ("", encoded(b"x" * 64)):
            token = f"{encoded({'alg': name, 'kid': idp.keys[0].key_id})}.{encoded(idp.claims())}.{signature}"
            assert (await refusal(verifier, token)).code in (ErrorCode.TOKEN_ALGORITHM, ErrorCode.TOKEN_MALFORMED)
    assert idp.requests == []


async def test_an_algorithm_of_another_kind_of_key_is_refused(idp: Issuer) -> None:
    keys = {name: SigningKey("same", name, private_key(name)) for name in ("RS256", "ES256", "ES384", "EdDSA")}
    async with verifier_of(configured(idp)) as verifier:
        for name, key in keys.items():
            idp.keys = [key]
            for other in set(ALGORITHMS) - {name}:
                token = idp.token(headers={"alg": other})
                assert (await refusal(verifier, token)).code in (
                    ErrorCode.TOKEN_KEY_UNKNOWN,
                    ErrorCode.TOKEN_SIGNATURE,
                    ErrorCode.TOKEN_KEYS_UNAVAILABLE,
                )


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\0" * 63 + b"\1", b"\xff" * 64])
async def test_a_signature_of_zeros_is_refused(idp: Issuer, signature: bytes) -> None:
    """CVE-2022-21449."""
    async with verifier_of(configured(idp)) as verifier:
        head, claims, _ = idp.token().split(".")
        assert (await refusal(verifier, f"{head}.{claims}.{encoded(signature)}")).code is ErrorCode.TOKEN_SIGNATURE


@pytest.mark.parametrize(
    "key_id",
    [
        "../../../../etc/passwd",
        "/dev/null",
        "file:///dev/null",
        f"{HTTP}:1/keys",
        "key-1' OR '1'='1",
        "key-1\0",
        "KEY-1",
        "key-1 ",
        "",
        "x" * 8000,
        {"kid": "key-1"},
        1,
    ],
)
async def test_a_key_id_is_compared_and_nothing_else(idp: Issuer, key_id: object) -> None:
    async with verifier_of(configured(idp)) as verifier:
        token = idp.token(headers={"kid": key_id})
        error = await refusal(verifier, token)
    assert error.code in (ErrorCode.TOKEN_KEY_UNKNOWN, ErrorCode.TOKEN_MALFORMED)
    assert set(idp.requests) <= {"/keys", "/.well-known/openid-configuration"}


async def test_keys_in_the_header_are_not_used_and_their_addresses_not_asked(idp: Issuer) -> None:
    with running_issuer() as other:
        own = other.keys[0]
        for headers in (
            {"jku": f"{other.url}/keys"},
            {"x5u": f"{other.url}/certificate"},
            {"jwk": own.jwk()},
            {"x5c": [base64.b64encode(b"certificate").decode()]},
            {"jku": f"{other.url}/keys", "x5u": f"{other.url}/keys", "jwk": own.jwk(), "kid": None},
        ):
            async with verifier_of(configured(idp)) as verifier:
                error = await refusal(verifier, idp.token(key=own, headers={"kid": "key-1", **headers}))
                assert error.code is ErrorCode.TOKEN_SIGNATURE
        assert other.requests == []


@pytest.mark.parametrize("crit", [["b64"], ["exp"], [], "b64", None, ["https://x.example"]])
async def test_extensions_that_must_be_understood_are_refused(idp: Issuer, crit: object) -> None:
    header = {"alg": "ES256", "kid": "key-1", "crit": crit, "b64": False}
    async with verifier_of(configured(idp)) as verifier:
        token = f"{encoded(header)}.{encoded(idp.claims())}.{encoded(b'x' * 64)}"
        assert (await refusal(verifier, token)).code is ErrorCode.TOKEN_CRITICAL_HEADER


async def test_a_payload_that_is_not_encoded_is_refused(idp: Issuer) -> None:
    async with verifier_of(configured(idp)) as verifier:
        assert (await refusal(verifier, idp.token(headers={"b64": False}))).code is ErrorCode.TOKEN_SIGNATURE


async def test_a_wrong_issuer_with_the_right_key_is_refused(idp: Issuer) -> None:
    async with verifier_of(configured(idp)) as verifier:
        for name in ("https://evil.example", f"{idp.url}/", idp.url.upper(), f" {idp.url}", f"{idp.url}#", [idp.url]):
            assert (await refusal(verifier, idp.token(iss=name))).code is ErrorCode.TOKEN_ISSUER_UNKNOWN


async def test_the_right_issuer_with_the_key_of_another_issuer_is_refused(idp: Issuer) -> None:
    with running_issuer() as other:
        async with verifier_of(configured(idp), configured(other)) as verifier:
            await verifier.verify(other.token())
            for key_id in ("key-1", None):
                token = idp.token(key=other.keys[0], headers={"kid": key_id})
                assert (await refusal(verifier, token)).code is ErrorCode.TOKEN_SIGNATURE


async def test_metadata_of_another_issuer_is_not_believed(idp: Issuer) -> None:
    with running_issuer() as other:
        idp.metadata = {"issuer": other.url, "jwks_uri": f"{other.url}/keys"}
        async with verifier_of(configured(idp)) as verifier:
            error = await refusal(verifier, idp.token())
        assert error.code is ErrorCode.TOKEN_KEYS_UNAVAILABLE
        assert "names another `issuer`" in error.reason
        assert other.requests == []


@pytest.mark.parametrize("address", ["https://xn--a/", "https://[v1.x]/", f"https://idp.example/{'a' * 70_000}"])
async def test_an_address_of_keys_that_is_none_is_a_failure_like_another(idp: Issuer, address: str) -> None:
    idp.metadata = {"jwks_uri": address}
    async with verifier_of(configured(idp)) as verifier:
        assert (await refusal(verifier, idp.token())).code is ErrorCode.TOKEN_KEYS_UNAVAILABLE


@pytest.mark.parametrize("name", ["jwks_uri", "token_endpoint", "authorization_endpoint", "end_session_endpoint"])
async def test_metadata_of_an_issuer_elsewhere_name_no_service_of_this_machine(
    idp: Issuer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    usual = f"https://idp.example/{name}"
    document = {"issuer": "https://idp.example", "authorization_endpoint": usual, "token_endpoint": usual}
    issuer = configured(idp, name="https://idp.example", client=Client("console", Secret("")))
    client = IssuerClient(issuer)
    for address in (f"{idp.url}/keys", "https://127.0.0.1/keys", "https://localhost:9/", "http://[::1]/"):
        told = {**document, name: address}

        async def metadata(told: dict[str, str] = told) -> dict[str, str]:
            return told

        monkeypatch.setattr(client, "metadata", metadata)
        read: Callable[[], Any] = client.key_set if name == "jwks_uri" else SignInProvider(issuer, client)._described
        with pytest.raises((FetchFailed, KeyRejected)):
            await read()
    await client.close()
    assert idp.requests == []


@pytest.mark.parametrize("address", ["http://idp.example/keys", "file:///etc/passwd", "ftp://x/", "/keys", "", 5, None])
async def test_an_unsafe_address_of_keys_is_not_asked(idp: Issuer, address: object) -> None:
    idp.metadata = {"jwks_uri": address}
    async with verifier_of(configured(idp)) as verifier:
        error = await refusal(verifier, idp.token())
    assert error.code is ErrorCode.TOKEN_KEYS_UNAVAILABLE
    assert "jwks_uri" in error.reason


async def test_a_nested_token_is_refused(idp: Issuer) -> None:
    inner = idp.token()
    async with verifier_of(configured(idp)) as verifier:
        for payload in (inner.encode(), json.dumps(inner).encode()):
            token = idp.signed(payload, headers={"cty": "JWT"})
            assert (await refusal(verifier, token)).code is ErrorCode.TOKEN_MALFORMED
        wrapped = idp.signed({"jwt": inner}, headers={"cty": "JWT"})
        assert (await refusal(verifier, wrapped)).code is ErrorCode.TOKEN_ISSUER_UNKNOWN


async def test_an_encrypted_token_is_refused(idp: Issuer) -> None:
    async with verifier_of(configured(idp)) as verifier:
        token = ".".join([encoded({"alg": "RSA-OAEP", "enc": "A256GCM"}), *("eA" for _ in range(4))])
        assert (await refusal(verifier, token)).code is ErrorCode.TOKEN_MALFORMED


async def test_a_token_from_the_future_is_refused_whatever_claim_says_so(idp: Issuer) -> None:
    later = int(time.time()) + 3600
    async with verifier_of(configured(idp)) as verifier:
        future: list[dict[str, Any]] = [{"iat": later}, {"nbf": later}, {"iat": later, "nbf": later, "exp": later + 60}]
        for claims in future:
            assert (await refusal(verifier, idp.token(**claims))).code is ErrorCode.TOKEN_NOT_YET_VALID


@pytest.mark.parametrize(
    "audience", [["kiteward.example"], "kiteward ", "Kiteward", "kite,ward", ["kitewar", "d"], [["kiteward"]]]
)
async def test_an_audience_is_compared_as_a_whole(idp: Issuer, audience: object) -> None:
    async with verifier_of(configured(idp)) as verifier:
        error = await refusal(verifier, idp.token(aud=audience))
    assert error.code in (ErrorCode.TOKEN_AUDIENCE, ErrorCode.TOKEN_CLAIM_MISSING)


async def test_a_signed_token_is_not_accepted_with_another_encoding_of_its_parts(idp: Issuer) -> None:
    head, claims, signature = idp.token().split(".")
    async with verifier_of(configured(idp)) as verifier:
        for token in (
            f"{head}=.{claims}.{signature}",
            f"{head}.{claims}==.{signature}",
            f"{head}.{claims}\n.{signature}",
        ):
            error = await refusal(verifier, token)
            assert error.code in (ErrorCode.TOKEN_SIGNATURE, ErrorCode.TOKEN_MALFORMED)


# An identity provider that misbehaves


async def test_an_issuer_that_responds_slowly_is_given_up_in_time(idp: Issuer) -> None:
    idp.delay = 1.5
    async with verifier_of(configured(idp), patience=0.2) as verifier:
        error = await refusal(verifier, idp.token())
    assert error.code is ErrorCode.TOKEN_KEYS_UNAVAILABLE
    assert "within 0.2 s" in error.reason


async def test_an_issuer_that_sends_byte_after_byte_is_given_up_in_time(idp: Issuer) -> None:
    stopped = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while not stopped.wait(0.02):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: drip(listener.accept()[0]), daemon=True)
        thread.start()
        slow = configured(idp, keys=KeySource(uri=f"{HTTP}:{listener.getsockname()[1]}/keys"))
        async with verifier_of(slow, patience=0.3) as verifier:
            error = await refusal(verifier, idp.token())
        stopped.set()
        thread.join()
    assert error.code is ErrorCode.TOKEN_KEYS_UNAVAILABLE
    assert "within 0.3 s" in error.reason


async def test_an_issuer_that_responds_slowly_delays_nobody_else(idp: Issuer) -> None:
    answering = threading.Event()
    with running_issuer() as slow:

        def hold(*_: object) -> Response:
            answering.wait()
            return 500, {}, b""

        slow.routes["/keys"] = hold
        async with verifier_of(configured(idp), configured(slow)) as verifier:
            waiting = asyncio.create_task(refusal(verifier, slow.token()))
            try:
                assert (await verifier.verify(idp.token())).issuer.name == idp.url
                assert not waiting.done()
            finally:
                answering.set()
            assert (await waiting).code is ErrorCode.TOKEN_KEYS_UNAVAILABLE


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_its_metadata_to_another_host_is_not_followed(idp: Issuer, status: int) -> None:
    path = "/.well-known/openid-configuration"
    with running_issuer() as other:
        other.metadata = {"issuer": idp.url}
        idp.routes[path] = lambda *_: (status, {"location": f"{other.url}{path}"}, b"")
        async with verifier_of(configured(idp)) as verifier:
            error = await refusal(verifier, idp.token(key=other.keys[0]))
        assert error.code is ErrorCode.TOKEN_KEYS_UNAVAILABLE
        assert other.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_its_token_endpoint_gives_no_other_host_the_code_or_the_secret(
    idp: Issuer, status: int
) -> None:
    with running_issuer() as other:
        idp.routes["/token"] = lambda *_: (status, {"location": f"{other.url}/token"}, b"")
        client = IssuerClient(configured(idp))
        with pytest.raises(FetchFailed, match="redirects"):
            await client.exchange(f"{idp.url}/token", {"code": "the code"}, {"authorization": "Basic c2VjcmV0"})
        await client.close()
        assert idp.requests == ["/token"]
        assert other.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_host_is_not_followed(idp: Issuer, status: int) -> None:
    with running_issuer() as other:

        def redirect(_method: str, _target: str, _headers: Mapping[str, str], _body: bytes) -> Response:
            return status, {"location": f"{other.url}/keys"}, b""

        idp.routes["/keys"] = redirect
        async with verifier_of(configured(idp)) as verifier:
            error = await refusal(verifier, idp.token(key=other.keys[0]))
        assert error.code is ErrorCode.TOKEN_KEYS_UNAVAILABLE
        assert "redirects" in error.reason
        assert other.requests == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"x" * (1024 * 1024 + 1), "more than 1048576 bytes"),
        (b"<html>", "not JSON"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"keys": 5}', "no JWK Set"),
        (b"\x1f\x8b", "not JSON"),
    ],
)
async def test_what_is_no_key_set_is_refused(idp: Issuer, body: bytes, words: str) -> None:
    idp.routes["/keys"] = lambda *_: (200, {"content-encoding": "gzip"}, body)
    async with verifier_of(configured(idp)) as verifier:
        error = await refusal(verifier, idp.token())
    assert error.code is ErrorCode.TOKEN_KEYS_UNAVAILABLE
    assert words in error.reason


async def test_an_issuer_that_is_down_is_reported_without_its_address_to_the_client(idp: Issuer) -> None:
    gone = configured(idp, keys=KeySource(uri=f"{HTTP}:1/keys"))
    async with verifier_of(gone) as verifier:
        error = await refusal(verifier, idp.token())
    assert error.code is ErrorCode.TOKEN_KEYS_UNAVAILABLE
    assert "127.0.0.1" not in str(error)
    assert "cannot be reached" in error.reason


def test_only_algorithms_with_published_keys_can_be_configured() -> None:
    assert not any(name.startswith("HS") or name.lower() == "none" for name in ALGORITHMS)
    assert set(ALGORITHMS) <= set(jwt.algorithms.get_default_algorithms())
