"""The declaration of an endpoint, and the context that its handler gets.

An endpoint is one row: its path, the types of its body and of its data, and its handler. Validation, the OpenAPI
document and its page are derived from the same row:

    class PartitionReq(Body):
        collection_name: Name
        partition_name: Name

    class Has(ResponseData):
        has: bool

    async def has(context: RequestContext, body: PartitionReq) -> Has:
        request = messages.HasPartitionRequest(
            db_name=context.database, collection_name=body.collection_name, partition_name=body.partition_name
        )
        response = await context.call(request, messages.BoolResponse)
        return Has(has=response.value)

    ENDPOINTS = (Endpoint("partitions/has", PartitionReq, Has, has, "Return whether a partition exists."),)

and `ENDPOINTS` joins the tuple in `kiteward.api.rest.endpoint_table`.

- Bodies derive from `Body`, what `data` holds from `ResponseData`; both spell `snake_case` fields in camelCase.
  For another spelling write `auto_id: bool = msgspec.field(default=False, name="autoID")`.
- A field without a default is required, and required means given and not empty (contract 5.1); use `Name` for text. A
  field with a default is optional, and JSON `null` at the top level of the body counts as not given. Unknown fields are
  ignored. Every body may carry `dbName`.
- A handler returns the data, or an `Answer` with further members besides `data`; those are declared in `extra`.
- A handler makes no decisions. It builds messages, calls `context.call`, and converts the response. A failed call
  raises, and the handler need not catch it; `RestFailure` reports a failure of the handler itself. Conversions that may
  take long run with `context.run_in_executor`.
- Endpoints that Kiteward cannot serve are declared with `refused`.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, NoReturn, ParamSpec, TypeVar, overload

import msgspec

from kiteward.api.rest.status import UNIMPLEMENTED, RestFailure
from kiteward.domain.errors import (
    AccessDenied,
    AuditUnavailable,
    CapacityExceeded,
    CredentialMissing,
    EngineError,
    InvalidArgument,
    NotReady,
    OperationRefused,
    PayloadMalformed,
    RequestRefused,
    StoreError,
)
from kiteward.domain.identity import PresentedCredential
from kiteward.gateway.client import GatewayClient
from kiteward.iam.json_api.base import Arguments, Outcome
from kiteward.milvus import messages

PREFIX: Final = "/v2/vectordb/"
"""The path prefix of Milvus' endpoints."""

OWN_PREFIX: Final = "/v2/kiteward/"
"""The path prefix of Kiteward's own endpoints."""

Name = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1})]
"""The type of a required text; its schema states that `required` means not empty."""


class Body(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The members that every body may have. A member that its endpoint does not know is refused."""

    db_name: str = ""


class ResponseData(msgspec.Struct, kw_only=True, rename="camel"):
    """Base of the types of `data`, and of the further members of a response."""


class Nothing(ResponseData):
    """`{}`, the data of an endpoint that only changes something."""


NOTHING: Final = Nothing()


class Described(ResponseData):
    """The further member of a response about something that has a description."""

    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The data and the further members of a response.

    Attributes:
        data: the member `data`.
        extra: further members, of the type that the endpoint declares in `extra`; None leaves them out.
    """

    data: Any
    extra: ResponseData | None = None


REPORTED_AS_RAISED: Final = (
    AccessDenied,
    AuditUnavailable,
    CapacityExceeded,
    EngineError,
    NotReady,
    OperationRefused,
    PayloadMalformed,
    RequestRefused,
    StoreError,
)
"""Errors that the gateway raises after it has authenticated the caller, or because nobody can be authenticated now.

The caller is not authenticated again after one of them: that may fail for another reason, and a change of which it is
not known whether it was made would be reported as one that was not."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_B = TypeVar("_B", bound=msgspec.Struct)
_M = TypeVar("_M", bound=messages.ProtocolMessage)
_O = TypeVar("_O", bound=Outcome)


class RequestContext:
    """What a handler gets for one request: calls of the gateway with the caller's credential, and the options.

    Attributes:
        database: `dbName` of the body, else header `DB-Name`, else empty, which the gateway takes for `default`.
        allow_int64: whether 64-bit integers are JSON numbers for this caller, else strings.
        established: whether the gateway has authenticated this caller, or said why nobody can be authenticated now.
    """

    def __init__(self, client: GatewayClient, executor: Executor, *, allow_int64: bool) -> None:
        self._client = client
        self._executor = executor
        self.database = client.database
        self.allow_int64 = allow_int64
        self.established = False

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
            database: the database of the connection; None takes that of this request.

        Raises:
            KitewardError: as `GatewayClient.call`.
        """
        database = self.database if database is None else database
        if response is None:
            return await self._establishing(self._client.call(request, database=database))
        return await self._establishing(self._client.call(request, response, database=database))

    async def invoke(self, operation: str, arguments: Arguments, outcome: type[_O]) -> _O:
        """Send a request of one of Kiteward's own operations and return its outcome.

        Raises:
            KitewardError: as `GatewayClient.invoke`.
        """
        return await self._establishing(self._client.invoke(operation, arguments, outcome))

    async def read_large(self, operation: str, read: Callable[[], _T], *, size: int) -> _T:
        """Return a large body, decoded after the caller is authorized to send one and has its turn.

        Args:
            operation: the operation that the body becomes.
            read: decodes the body.
            size: bytes of the body.

        Raises:
            KitewardError: as `GatewayClient.read_large`.
        """
        return await self._establishing(self._client.read_large(operation, read, size=size))

    async def _establishing(self, work: Awaitable[_T]) -> _T:
        """Return the outcome of a request to the gateway, and note whether it may be reported as it is."""
        try:
            answer = await work
        except REPORTED_AS_RAISED:
            self.established = True
            raise
        self.established = True
        return answer

    def choose_database(self, body: msgspec.Struct, endpoint: "Endpoint[Any]") -> None:
        """Set the database from the body, if it names one, else from the header if the endpoint allows that."""
        named = body.db_name if isinstance(body, Body) else ""
        self.database = named or (self._client.database if endpoint.database_header else "")

    def present(self, credential: PresentedCredential) -> None:
        """From now on call the gateway with a credential that the body holds instead of the header.

        Raises:
            InvalidArgument: the header holds one too.
        """
        if not isinstance(self._client.credential, CredentialMissing):
            raise InvalidArgument(
                "the caller presents two credentials: send either an `Authorization` header or one in the body"
            )
        self._client = self._client.with_credential(credential)

    async def establish(self) -> None:
        """Have the gateway authenticate this caller, unless it has done so for this request.

        Failures before the first call of the gateway, such as a malformed body, are reported only to authenticated
        callers. The gateway caches authenticated callers, so that this costs little.

        Raises:
            KitewardError: as `Gateway.handle`, above all AuthenticationError.
        """
        if not self.established:
            await self.call(messages.GetVersionRequest(), database="")

    async def admitted(self) -> str:
        """Return the user name of the caller, after the gateway has admitted it.

        Raises:
            KitewardError: as `Gateway.handle`, above all AuthenticationError.
        """
        principal = await self._client.admit()
        self.established = True
        return principal.user_name

    async def run_in_executor(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run a conversion that may take long in an executor, so that it does not block the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, functools.partial(function, *args, **kwargs))


LONGEST_TIMEOUT: Final = 86_400
"""Seconds; a longer timeout of a request is taken for a mistake."""


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[_B]):
    """One row of the REST table.

    Attributes:
        path: category and action, such as `users/create`.
        body: the type of the request's body.
        data: the type of `data` in the response.
        run: the handler.
        summary: one sentence for the OpenAPI document.
        extra: the type of further members of the response, or None.
        database_header: whether `DB-Name` counts when the body names no database.
        served: false for an endpoint that is always refused.
        prefix: the prefix of the path.
        oauth: whether it takes a form and answers as OAuth 2.0 does (`kiteward.api.rest.oauth`), not JSON as Milvus has
            it.
        large: the RPC that a large body becomes: only callers who could be authorized for it may send one. The default
            restricts large bodies to administrators.
        long: whether the usual timeout does not end it, because it takes as long as what it is given wants.
    """

    path: str
    body: type[_B]
    data: Any
    run: Callable[[RequestContext, _B], Awaitable[Any]]
    summary: str
    extra: type[ResponseData] | None = None
    database_header: bool = True
    served: bool = True
    prefix: str = PREFIX
    oauth: bool = False
    large: str = "GetVersion"
    long: bool = False

    def seconds(self, usual: float) -> float:
        """Return the timeout of a request whose caller asks for no other, in seconds."""
        return float(LONGEST_TIMEOUT) if self.long else usual

    @property
    def tag(self) -> str:
        """The tag in the OpenAPI document: the category, marked where the endpoint is Kiteward's own."""
        category = self.path.partition("/")[0]
        return category if self.prefix == PREFIX else f"{self.prefix.rstrip('/').rpartition('/')[2]}/{category}"


Table = Mapping[str, Endpoint[Any]]
"""The endpoints by full path."""


class AnyBody(Body, forbid_unknown_fields=False):
    """The body of an endpoint that reads nothing of it."""


def refused(path: str, why: str) -> Endpoint[AnyBody]:
    """Return an endpoint of Milvus that Kiteward does not serve; calls fail with the reason.

    Args:
        path: category and action.
        why: the reason; completes "… is not offered here: ".
    """

    async def run(_context: RequestContext, _body: AnyBody) -> NoReturn:
        raise RestFailure(UNIMPLEMENTED, f"{path} is not supported: {why}: service unimplemented")

    return Endpoint(path, AnyBody, Nothing, run, f"Not supported: {why}.", served=False)
