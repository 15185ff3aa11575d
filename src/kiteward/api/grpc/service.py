"""The gRPC service: reads credential and options of a call from its metadata and passes its bytes to the gateway."""

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Final, NamedTuple

from kiteward.api.grpc import protocol
from kiteward.api.grpc.connect_errors import refused_connect_response
from kiteward.api.grpc.status import GrpcStatus, failure_of
from kiteward.api.grpc.unary_call import Refusal, UnaryCall, UnreadCall
from kiteward.authn.authenticator import WRONG_KEY
from kiteward.domain.errors import (
    AuthenticationError,
    CredentialMalformed,
    CredentialMissing,
    CredentialTooLong,
    KeyRejected,
    KitewardError,
)
from kiteward.domain.identity import (
    LONGEST_CREDENTIAL,
    PasswordCredential,
    PresentedCredential,
    Secret,
    credential_too_long,
    without_colon,
)
from kiteward.engine import metadata as engine_metadata
from kiteward.engine.statuses import StatusCode
from kiteward.gateway.call import Call, new_request_id
from kiteward.gateway.gateway import Gateway
from kiteward.milvus import messages
from kiteward.net.budget import Budget, Claim
from kiteward.net.http2 import IGNORED, Exchange, Head, Http2Limits, Http2Server, Stream

_log = logging.getLogger("kiteward.grpc")

_UNREADABLE: Final = protocol.failure(
    StatusCode.UNAUTHENTICATED,
    f"the call's metadata is larger than can be read: a token may have {LONGEST_CREDENTIAL} bytes",
)

_METHODS: Final = {method.path.encode(): method for method in messages.METHODS.values()}

_FORWARDED: Final = tuple((key.encode(), key) for key in engine_metadata.ALLOWED_KEYS)


def presented_credential(header: str | bytes | None) -> PresentedCredential | AuthenticationError:
    """Return what the `authorization` metadata presents, or why it cannot be read (contract 1.2, 1.3).

    Args:
        header: the value, base64 of `user:password`, of an API key or of a token; None when it is missing.
    """
    if header is None:
        return CredentialMissing("missing authorization in header")
    try:
        decoded = base64.b64decode(header, validate=True)
        if too_long := credential_too_long(len(decoded)):
            return too_long
        text = decoded.decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return CredentialMalformed("invalid token format")
    user, colon, password = text.partition(":")
    if colon:
        return PasswordCredential(user, Secret(password))
    return without_colon(text) if text else KeyRejected(WRONG_KEY)


class Caller(NamedTuple):
    """The method, the credential and the options of a call, read from its head.

    Attributes:
        method: the RPC.
        authorization: the metadata that holds the credential; None when it is missing.
        credential: the presented credential, or why it could not be read.
        forward: metadata to forward to the engine.
        database: the database of the connection, or empty.
        timeout: seconds until the deadline, or None.
        encoding: the encoding of a compressed message, one of `protocol.ENCODINGS`.
        client, client_id: the user agent and the identifier that the client sends, for audit events.
    """

    method: messages.Method
    authorization: bytes | None
    credential: PresentedCredential | AuthenticationError
    forward: Mapping[str, str]
    database: str
    timeout: float | None
    encoding: str
    client: str
    client_id: str

    def __repr__(self) -> str:
        return f"Caller({self.method.name!r})"


def caller_of(head: Head) -> Caller:
    """Return what the head of a request says.

    Raises:
        Refusal: the head is too large, the method is unknown, or metadata is invalid.
    """
    fields = head.fields
    authorization, before = fields.get(b"authorization"), head.before
    if isinstance(before, Caller) and before.authorization == authorization:
        credential = before.credential
    else:
        credential = presented_credential(authorization)
    # Where the credential is what makes it too large, the caller is not authenticated, and gets that answer as ever.
    if head.too_large and not isinstance(credential, CredentialTooLong):
        raise Refusal(StatusCode.INVALID_ARGUMENT, "the call's metadata is larger than allowed")
    method = _METHODS.get(head.path)
    if method is None:
        service, _, name = head.path.decode("latin-1").removeprefix("/").partition("/")
        raise Refusal(StatusCode.UNIMPLEMENTED, f"unknown method {name} for service {service}")
    encoding = fields.get(b"grpc-encoding", b"identity").decode("latin-1")
    if encoding not in protocol.ENCODINGS:
        raise Refusal(StatusCode.UNIMPLEMENTED, f"compression by {encoding} is not supported")
    timeout = fields.get(b"grpc-timeout")
    try:
        seconds = None if timeout is None else protocol.timeout_of(timeout)
    except ValueError as error:
        raise Refusal(StatusCode.INVALID_ARGUMENT, str(error)) from error
    forward = _forwarded(fields)
    return Caller(
        method=method,
        authorization=authorization,
        credential=credential,
        database=forward.pop("dbname", ""),
        forward=forward,
        timeout=seconds,
        encoding=encoding,
        client=fields.get(b"user-agent", b"").decode("latin-1"),
        client_id=fields.get(b"identifier", b"").decode("latin-1"),
    )


def _forwarded(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return the metadata that an engine may see, as `engine_metadata.allowed` does.

    Raises:
        Refusal: gRPC could not carry a value. The call would mean something else without it: without `dbname`, for
            example, another database.
    """
    found: dict[str, str] = {}
    for name, key in _FORWARDED:
        value = fields.get(name)
        if value is None:
            continue
        found[key] = text = value.decode("latin-1")
        if not engine_metadata.is_metadata_text(text):
            raise Refusal(
                StatusCode.INVALID_ARGUMENT, f"the metadata `{key}` has characters other than printable ASCII"
            )
    engine_metadata.drop_malformed_trace(found)
    return found


class _GatewayCallHandler:
    """Passes one call to the gateway. Implements `unary_call.CallHandler`."""

    __slots__ = ("_budget", "_caller", "_gateway", "_late_at", "_loop", "_request_id", "_stream")

    def __init__(self, gateway: Gateway, budget: Budget, caller: Caller, stream: Stream) -> None:
        self._gateway = gateway
        self._budget = budget
        self._caller = caller
        self._stream = stream
        self._loop = stream.loop
        self._late_at = None if caller.timeout is None else self._loop.time() + caller.timeout
        self._request_id = new_request_id()

    async def admit(self) -> Claim:
        """Authenticate the caller and return the claim that counts the bytes of the call.

        Raises:
            Refusal: the caller is not authenticated.
        """
        try:
            principal = await self._gateway.admit(self._call(b""))
        except Exception as error:
            failure = self._failure(error)
            if isinstance(failure, bytes):  # the call has no response message yet: it fails with a gRPC status
                failure = GrpcStatus(StatusCode.UNAVAILABLE, text=str(error))
            raise Refusal(failure.code, failure.text, retry_after=failure.retry_after) from error
        return self._budget.of_user(principal.user_name, self._stream.source)

    async def run(self, message: bytes) -> bytes:
        """Return the response message to a request message of an authenticated caller.

        Raises:
            Refusal: the call ends with a gRPC status instead, or the caller is not authenticated.
        """
        try:
            return await self._gateway.handle(self._call(message))
        except Exception as error:
            failure = self._failure(error, message)
            if isinstance(failure, bytes) and isinstance(error, AuthenticationError):
                raise Refusal(StatusCode.UNAUTHENTICATED, str(error), response=failure) from error
            if isinstance(failure, bytes):
                return failure
            raise Refusal(failure.code, failure.text, retry_after=failure.retry_after) from error

    def _failure(self, error: Exception, message: bytes = b"") -> bytes | GrpcStatus:
        if isinstance(error, KitewardError):
            operation = self._caller.method.name
            return refused_connect_response(operation, error, message) or failure_of(
                operation, error, client=self._caller.client
            )
        _log.error("request %s: %s failed unexpectedly", self._request_id, self._caller.method.name, exc_info=error)
        return GrpcStatus(StatusCode.UNKNOWN, text=f"the request failed unexpectedly; its id is {self._request_id}")

    def _call(self, message: bytes) -> Call[bytes]:
        caller = self._caller
        late_at = self._late_at
        return Call(
            operation=caller.method.name,
            payload=message,
            credential=caller.credential,
            database=caller.database,
            timeout=None if late_at is None else max(0.0, late_at - self._loop.time()),
            forward=caller.forward,
            address=self._stream.address,
            request_id=self._request_id,
            transport="grpc",
            client=caller.client,
            client_id=caller.client_id,
        )


class GrpcService(Http2Server):
    """Serves gRPC on accepted HTTP/2 connections. Implements `listener.ConnectionHandler`."""

    def __init__(self, gateway: Gateway, limits: Http2Limits | None = None, *, budget: Budget | None = None) -> None:
        """Create a service without connections.

        Args:
            gateway: answers the calls.
            limits: the limits of a client; None takes the defaults.
            budget: the memory budget; None creates one of its own.
        """
        super().__init__(self._exchange, limits, budget=budget, unreadable=_UNREADABLE)
        self._gateway = gateway

    def _exchange(self, stream: Stream, head: Head) -> Exchange:
        """Start a call. Requests that are not gRPC or name an unknown method are rejected at once (contract 1.3)."""
        caller = head.kept
        if not isinstance(caller, Caller):
            if (status := protocol.not_grpc(head)) is not None:
                stream.respond(protocol.bare(status))
                return IGNORED
            try:
                caller = caller_of(head)
            except Refusal as refusal:
                stream.respond(protocol.failure(refusal.code, str(refusal)))
                return IGNORED
            if not isinstance(caller.credential, AuthenticationError):  # raised again, it would grow with each call
                head.kept = caller
        kind = UnreadCall if caller.method.streaming else UnaryCall
        work = _GatewayCallHandler(self._gateway, self.budget, caller, stream)
        return kind(stream, work, timeout=caller.timeout, encoding=caller.encoding)
