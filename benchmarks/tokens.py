"""What a request costs whose credential is a verified token, beside a cached password: `python -m benchmarks.tokens`.

A request is read as a client sends it, authenticated and answered, without a network and without what it asks for. It
prints microseconds of processor time, the lowest of several rounds that take turns, and ratios to the password.
"""

import asyncio
import base64
import functools
import itertools
import struct
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, cast

import hpack
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from kiteward.api.grpc.service import GrpcService
from kiteward.api.rest.credentials import presented_credential
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authn.oidc.authentication import TokenAuthenticator
from kiteward.authn.oidc.issuers import Issuer, NameRule
from kiteward.authn.oidc.key_sets import KeySet
from kiteward.authn.oidc.tokens import TokenVerifier
from kiteward.domain.identity import PasswordCredential, PresentedCredential, Secret, without_colon
from kiteward.domain.naming import NamingRules
from kiteward.gateway.call import Call
from kiteward.gateway.gateway import Gateway
from kiteward.net.asgi import Receive, Scope, Send
from kiteward.net.http1.server import HttpServer
from kiteward.net.http2.framing import DATA, HEADERS, MAX_FRAME_SIZE
from kiteward.net.http2.session import PREFACE, Connection, Role
from kiteward.store.identity_records import GroupRole, IdentityRecord
from kiteward.store.records import HashSchemes, UserRecord

_PASSWORD: Final = "Kite-ward-1"
_ROUNDS: Final = 7
_CALLS: Final = 500
_AT_ONCE: Final = 10
_ISSUER: Final = Issuer("https://idp.example", frozenset({"kiteward"}), NameRule("idp_{sub}"), groups_claim="groups")
_HEAD: Final = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/milvus.proto.milvus.MilvusService/ListCredUsers"),
    (b":authority", b"127.0.0.1:19530"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
    (b"user-agent", b"grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)"),
    (b"grpc-accept-encoding", b"identity, deflate, gzip"),
)
_EMPTY_MESSAGE: Final = bytes(5)
_INDEXED: Final = 3 * 1024
"""Bytes of a value that clients let their table remember, which has 4 KiB (RFC 7541, 4.2)."""

_SETTINGS: Final = 0x4
_CONTINUATION: Final = 0x9
_END_STREAM: Final = 0x1
_END_HEADERS: Final = 0x4

Measurement = Callable[[], Awaitable[float]]
"""Returns the microseconds of one request."""


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


class Authenticating:
    """The part of a gateway, and an application of ASGI, that authenticates callers and does nothing else."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def handle(self, call: Call[bytes]) -> bytes:
        """Answer a call of gRPC."""
        await self._authenticator.authenticate(call.credential, address=call.address)
        return b""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        await self._authenticator.authenticate(presented_credential(values), address="127.0.0.1:1")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


class Wire(asyncio.Transport):
    """A transport without a network."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 19530)})
        self.protocol: asyncio.Protocol
        self.sent = bytearray()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast("asyncio.Protocol", protocol)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        self.sent += data

    async def written(self, before: int) -> None:
        """Return once more than so many bytes have been written."""
        while len(self.sent) == before:  # noqa: ASYNC110  an event would cost more than what is measured
            await asyncio.sleep(0)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Ignore them."""

    def pause_reading(self) -> None:
        """Ignore it."""

    def resume_reading(self) -> None:
        """Ignore it."""

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        raise AssertionError("the server has broken off the connection")

    close = abort

    def get_write_buffer_size(self) -> int:
        return 0


def grpc_requests(credential: str, *, pymilvus: bool) -> list[bytes]:
    """Return what a client of gRPC sends: its preface, and then some calls at a time.

    Args:
        credential: what it presents.
        pymilvus: whether it is pymilvus, which sends the time with each call and does without Huffman coding; the SDKs
            of Go, Java and Node send the same head with each call.
    """
    encoder = hpack.Encoder()
    authorization = base64.b64encode(credential.encode())
    kind = hpack.HeaderTuple if len(authorization) < _INDEXED else hpack.NeverIndexedHeaderTuple
    sent = [PREFACE + _frame(_SETTINGS, 0, 0, b"")]
    for number in range(_CALLS):
        now = b"%d" % (1_790_000_000_000 + number * pymilvus)
        own = (kind(b"authorization", authorization), hpack.HeaderTuple(b"client-request-unixmsec", now))
        block = encoder.encode((*itertools.starmap(hpack.HeaderTuple, _HEAD), *own), huffman=not pymilvus)
        stream = 2 * number + 1
        parts = [block[at : at + MAX_FRAME_SIZE] for at in range(0, len(block), MAX_FRAME_SIZE)]
        frames = [
            _frame(_CONTINUATION if at else HEADERS, _END_HEADERS if part is parts[-1] else 0, stream, part)
            for at, part in enumerate(parts)
        ]
        sent.append(b"".join(frames) + _frame(DATA, _END_STREAM, stream, _EMPTY_MESSAGE))
    return [sent[0], *(b"".join(sent[at : at + _AT_ONCE]) for at in range(1, _CALLS, _AT_ONCE))]


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    upper, lower = divmod(len(payload), 1 << 8)
    return struct.pack(">HBBBL", upper, lower, kind, flags, stream) + payload


def rest_request(authorization: str) -> bytes:
    """Return a request of a client of REST."""
    host = "Host: 127.0.0.1:19530\r\nUser-Agent: python-requests/2.32\r\nContent-Length: 0\r\n"
    return f"POST /v2/vectordb/users/list HTTP/1.1\r\n{host}Authorization: {authorization}\r\n\r\n".encode()


async def by_grpc(authenticator: Authenticator, sent: Sequence[bytes]) -> float:
    """Return the microseconds of one call."""
    wire = Wire()
    GrpcService(cast("Gateway", Authenticating(authenticator))).adopt(wire, sent[0], lambda: None)
    begun = time.process_time()
    for data in sent[1:]:
        before = len(wire.sent)
        wire.protocol.data_received(data)
        await wire.written(before)
    return (time.process_time() - begun) / _CALLS * 1e6


async def by_rest(authenticator: Authenticator, request: bytes) -> float:
    """Return the microseconds of one request."""
    wire = Wire()
    server = HttpServer(Authenticating(authenticator))
    server.adopt(wire, b"", lambda: None)
    begun = time.process_time()
    for _ in range(_CALLS):
        before = len(wire.sent)
        wire.protocol.data_received(request)
        await wire.written(before)
    return (time.process_time() - begun) / _CALLS * 1e6


async def decoded(sent: Sequence[bytes]) -> float:
    """Return the microseconds in which a session decodes one call of gRPC."""
    session = Connection(Role.SERVER)
    session.initiate_connection()
    begun = time.process_time()
    for data in sent:
        session.receive_data(data)
        session.events()
    return (time.process_time() - begun) / _CALLS * 1e6


async def authenticated(authenticator: Authenticator, credential: PresentedCredential) -> float:
    """Return the microseconds in which a credential that was read before is authenticated."""
    begun = time.process_time()
    for _ in range(_CALLS):
        await authenticator.authenticate(credential, address="127.0.0.1:1")
    return (time.process_time() - begun) / _CALLS * 1e6


async def verified(verifier: TokenVerifier, token: str) -> float:
    """Return the microseconds in which a token is verified that is not in the cache, without the store."""
    begun = time.process_time()
    for _ in range(_CALLS):
        await verifier.verify(token)
    return (time.process_time() - begun) / _CALLS * 1e6


def measurements(authenticator: Authenticator, publisher: Publisher) -> dict[str, dict[str, Measurement]]:
    """Return what is measured: part -> kind of credential -> how."""
    password = f"alice:{_PASSWORD}"
    texts = {
        "password": password,
        "token of 1 KB": publisher.token(600),
        "token of 5 KB": publisher.token(3_500),
        "token of 16 KB": publisher.token(11_500),
    }
    found: dict[str, dict[str, Measurement]] = {}
    for kind, text in texts.items():
        known = PasswordCredential("alice", Secret(_PASSWORD)) if text == password else without_colon(text)
        python, other = (grpc_requests(text, pymilvus=pymilvus) for pymilvus in (True, False))
        request = rest_request(f"Bearer {text}")
        for part, how in (
            ("authentication alone", functools.partial(authenticated, authenticator, known)),
            ("gRPC, from pymilvus", functools.partial(by_grpc, authenticator, python)),
            ("of which decoding", functools.partial(decoded, python)),
            ("gRPC, from another SDK", functools.partial(by_grpc, authenticator, other)),
            ("of which decoding Huffman codes", functools.partial(decoded, other)),
            ("REST", functools.partial(by_rest, authenticator, request)),
        ):
            found.setdefault(part, {})[kind] = how
    return found


async def measure() -> Mapping[str, Mapping[str, float]]:
    """Return the microseconds of a request by part and kind of credential."""
    hasher, publisher = PasswordHasher(TESTING), Publisher()
    store: Any = TwoUsers(await hasher.hash(Secret(_PASSWORD)))
    verifier = TokenVerifier([KeySet(_ISSUER, publisher)])
    tokens = TokenAuthenticator(verifier, store, naming=NamingRules(), most_users=10)
    planned = measurements(Authenticator(store, hasher, tokens=tokens), publisher)
    planned["authentication alone"]["token of 1 KB, not cached"] = functools.partial(
        verified, verifier, publisher.token(600)
    )
    lowest: dict[str, dict[str, float]] = {part: {} for part in planned}
    for _, (part, kinds) in itertools.product(range(_ROUNDS), planned.items()):
        for kind, how in kinds.items():
            took = await how()
            lowest[part][kind] = min(took, lowest[part].get(kind, took))
    hasher.close()
    return lowest


if __name__ == "__main__":
    for part, kinds in asyncio.run(measure()).items():
        print(f"{part}:")
        for kind, microseconds in kinds.items():
            print(f"  {kind}: {microseconds:.2f} µs, {microseconds / kinds['password']:.2f} times a password")
