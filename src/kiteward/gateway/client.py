"""The in-process client of the gateway: sends requests on behalf of one caller, for everything but gRPC.

REST, the console, the command line, the import and the health port pass and get typed values. Arguments and outcomes of
our own operations pass the gateway as they are. Messages of the protocol are serialised here, because the gateway reads
and forwards them as bytes. Only the gRPC service, which receives bytes, creates a `Call` besides this module.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar, overload

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AuthenticationError, CollectionNotFound, ResponseFailed
from kiteward.domain.identity import PresentedCredential, Principal
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.gateway.call import Call, RequestTurn, new_request_id
from kiteward.gateway.gateway import Gateway
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import Arguments, Outcome
from kiteward.iam.undoing import Watch
from kiteward.milvus import messages

_LEAST: Final = 0.001
"""Seconds of a request's timeout when its deadline has passed already; it fails at once."""

_ADMISSION: Final = "GetVersion"
"""The RPC that is named in a request for admission, which needs a credential and nothing else."""

_DATABASE_NOT_FOUND: Final = 800
_CODES: Final[Mapping[int, ErrorCode]] = {
    2: ErrorCode.ENGINE_UNAVAILABLE,
    4: ErrorCode.ENGINE_BUSY,
    8: ErrorCode.ENGINE_BUSY,
    10: ErrorCode.ENGINE_LACKS_OPERATION,
}
"""`Status.code` of the engine -> the code of ours that says the same (contract 5.1).

Only codes that mean the same in Milvus and in Milvus Lite, which uses 1 and 6 for other failures than Milvus does.
"""

_T = TypeVar("_T")
_P = TypeVar("_P", bound=bytes | Arguments)
_O = TypeVar("_O", bound=Outcome)
_M = TypeVar("_M", bound=messages.ProtocolMessage)


@dataclass(frozen=True, slots=True)
class GatewayClient:
    """Sends requests through the gateway as one caller.

    Attributes:
        gateway: handles the requests.
        credential: what the caller presented, or the error that the transport found in it.
        transport: how the caller is connected, for the record: `rest`, `scim`, `console`, `health` or `local`.
        address: the caller's network address as `host:port`.
        database: the database of the connection; empty where there is none.
        deadline: the event loop's time at which the caller gives up, or None.
        forward: metadata of the caller that may be forwarded to the engine.
        request_id: the id by which the caller's request is found again; if empty, each call gets its own.
        user_agent: how the caller's software describes itself, for the record.
        turn: the caller's request, which all calls together make up and which counts once against limits of requests.
        watch: returns what looks at the store in the transaction of a request, by the operation and its typed request;
            None where nothing does.
    """

    gateway: Gateway
    credential: PresentedCredential | AuthenticationError
    transport: str = field(kw_only=True)
    address: str = field(default="", kw_only=True)
    database: str = field(default="", kw_only=True)
    deadline: float | None = field(default=None, kw_only=True)
    forward: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    request_id: str = field(default="", kw_only=True)
    user_agent: str = field(default="", kw_only=True)
    turn: RequestTurn = field(default_factory=RequestTurn, kw_only=True)
    watch: Callable[[str, object], Watch | None] | None = field(default=None, kw_only=True)

    def with_credential(self, credential: PresentedCredential | AuthenticationError) -> "GatewayClient":
        """Return the same client with another credential, or with the error that was found in one."""
        return replace(self, credential=credential)

    @overload
    async def call(
        self, request: messages.ProtocolMessage, /, *, database: str | None = None
    ) -> messages.ProtocolMessage: ...

    @overload
    async def call(
        self, request: messages.ProtocolMessage, response: type[_M], /, *, database: str | None = None
    ) -> _M: ...

    async def call(
        self, request: messages.ProtocolMessage, response: type[Any] | None = None, /, *, database: str | None = None
    ) -> Any:
        """Send a request of the protocol and return the response message.

        Args:
            request: the request message; its type names the RPC.
            response: the type of the response, for the type checker.
            database: the database of the connection; None takes the client's.

        Raises:
            KitewardError: as `Gateway.handle`.
            CollectionNotFound, ResponseFailed: the response reports a failure, as a `code` or in the older `error_code`
                alone (contract 1.7).
            TypeError: the RPC has another response type.
        """
        rpc = messages.rpc_of(type(request))
        if response not in (None, rpc.response):
            raise TypeError(f"{rpc.name} is answered by {rpc.response.DESCRIPTOR.name}")
        answer = await self.gateway.handle(self._call(rpc.name, request.SerializeToString(), database, request))
        message: Any = messages.read_response(rpc.response, answer)
        if rpc.status_field is not None:
            named = getattr(request, "db_name", "") or (self.database if database is None else database)
            status = getattr(message, rpc.status_field) if rpc.status_field else message
            _require_success(rpc.name, status, named or DEFAULT_DATABASE)
        return message

    async def invoke(self, operation: str, arguments: Arguments, outcome: type[_O]) -> _O:
        """Send a request of one of our own operations and return its outcome.

        Raises:
            KitewardError: as `Gateway.handle`.
            InvalidArgument: a required argument is empty.
            TypeError: the operation has another type of arguments or outcome.
        """
        row = ADMIN_OPERATIONS[operation]
        if (type(arguments), outcome) != (row.arguments, row.outcome):
            raise TypeError(f"{operation} takes {row.arguments.__name__} and returns {row.outcome.__name__}")
        returned = await self.gateway.handle(self._call(operation, arguments, "", arguments))
        if not isinstance(returned, outcome):
            raise TypeError(f"{operation} returned {type(returned).__name__}")
        return returned

    async def admit(self) -> Principal:
        """Return the authenticated caller.

        Raises:
            KitewardError: as `Gateway.admit`.
        """
        return await self.gateway.admit(self._call(_ADMISSION, b"", ""))

    async def read_large(self, operation: str, read: Callable[[], _T], *, size: int) -> _T:
        """Call `read` when the caller may send a large request and is next in the queue, and return its result.

        Args:
            operation: the RPC that the request becomes.
            read: reads the request, on the event loop.
            size: bytes of the request.

        Raises:
            KitewardError: as `Gateway.read_large`.
        """
        return await self.gateway.read_large(self._call(operation, b"", ""), read, size=size)

    def _call(self, operation: str, payload: _P, database: str | None, request: object = None) -> Call[_P]:
        return Call(
            operation=operation,
            payload=payload,
            credential=self.credential,
            database=self.database if database is None else database,
            timeout=None if self.deadline is None else max(self.deadline - asyncio.get_running_loop().time(), _LEAST),
            forward=self.forward,
            address=self.address,
            request_id=self.request_id or new_request_id(),
            transport=self.transport,
            client=self.user_agent,
            turn=self.turn,
            watch=None if self.watch is None or request is None else self.watch(operation, request),
        )


def _require_success(operation: str, status: messages.Status, database: str) -> None:
    """Refuse a response whose status reports a failure. Only the engine's do: Kiteward's own handlers raise errors."""
    if status.code == messages.COLLECTION_NOT_FOUND:
        raise CollectionNotFound(status.reason)
    if status.code or status.error_code:
        code = status.code or ResponseFailed.UNEXPECTED
        raise ResponseFailed(status.reason, _detail_of(operation, code, status.reason, database), status=code)


def _detail_of(operation: str, status: int, reason: str, database: str) -> ErrorDetail:
    """Return what a failed response means: by its code if that is clear, else with the engine's text to be quoted."""
    if status == _DATABASE_NOT_FOUND:
        return ErrorDetail(ErrorCode.DATABASE_NOT_FOUND, {"name": database})
    known = _CODES.get(status)
    if known is not None:
        return ErrorDetail(known, {"operation": operation})
    return ErrorDetail(ErrorCode.ENGINE_RESPONSE_FAILED, {"operation": operation, "status": status}, quoted=reason)
