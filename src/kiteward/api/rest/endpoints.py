"""How an endpoint is declared, and what its handler talks to.

An endpoint is one row: where it is, what its body holds, what it answers, and a handler. Validation, the OpenAPI
document and its page come from the same row:

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
- A handler returns the data, or `Answer` when further members stand beside `data`; those are declared in `extra`.
- A handler decides nothing. It makes messages, calls `context.call`, and shapes what comes back. A failed call raises
  and needs no attention; `RestFailure` reports a failure of the handler's own. Conversions that may take long go
  through `context.run_in_executor`.
- What Kiteward cannot serve is declared with `refused`.
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
    EngineError,
    OperationRefused,
    PayloadMalformed,
    RequestRefused,
)
from kiteward.gateway.client import GatewayClient
from kiteward.iam.json_api.base import Arguments
from kiteward.milvus import messages

PREFIX: Final = "/v2/vectordb/"
"""Where Milvus' endpoints are."""

OWN_PREFIX: Final = "/v2/kiteward/"
"""Where ours are."""

Name = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1})]
"""Text that a required field holds; the schema tells what `required` means."""


class Body(msgspec.Struct, kw_only=True, rename="camel"):
    """What every body may carry."""

    db_name: str = ""


class ResponseData(msgspec.Struct, kw_only=True, rename="camel"):
    """Base of what `data` holds, and of what stands beside it."""


class Nothing(ResponseData):
    """`{}`, the data of a change."""


NOTHING: Final = Nothing()


class Described(ResponseData):
    """Stands beside the data of what has a description."""

    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Data with further members beside it.

    Attributes:
        data: becomes `data`.
        extra: what the endpoint declares in `extra`; None leaves it out.
    """

    data: Any
    extra: ResponseData | None = None


_RAISED_AFTER_AUTHENTICATION: Final = (AccessDenied, EngineError, OperationRefused, PayloadMalformed, RequestRefused)
"""What the gateway raises only after it has authenticated the caller."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_B = TypeVar("_B", bound=msgspec.Struct)
_M = TypeVar("_M", bound=messages.ProtocolMessage)


class RequestContext:
    """What a handler gets: the caller's side of the gateway, for one request.

    Attributes:
        database: body `dbName`, else header `DB-Name`, else empty; the gateway takes `default` then.
        allow_int64: whether 64-bit integers are JSON numbers to this caller, else strings.
        established: whether the gateway has authenticated this caller.
    """

    def __init__(self, client: GatewayClient, executor: Executor, *, allow_int64: bool) -> None:
        self._client = client
        self._executor = executor
        self.database = client.database
        self.allow_int64 = allow_int64
        self.established = False

    @overload
    async def call(self, request: messages.ProtocolMessage, /, *, database: str | None = None) -> Any: ...

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

    async def invoke(self, operation: str, arguments: Arguments) -> msgspec.Raw:
        """Send a request of one of our own operations and return its outcome, in JSON already.

        Raises:
            KitewardError: as `GatewayClient.invoke_json`.
        """
        return msgspec.Raw(await self._establishing(self._client.invoke_json(operation, arguments)))

    async def read_large(self, endpoint: "Endpoint[Any]", read: Callable[[], _T], *, size: int) -> _T:
        """Return what a large body holds, read when its sender may send one and it is the sender's turn.

        Raises:
            KitewardError: as `GatewayClient.read_large`.
        """
        return await self._establishing(self._client.read_large(endpoint.large, read, size=size))

    async def _establishing(self, work: Awaitable[_T]) -> _T:
        """Return what a request to the gateway returns, and note that its caller is authenticated."""
        try:
            answer = await work
        except _RAISED_AFTER_AUTHENTICATION:
            self.established = True
            raise
        self.established = True
        return answer

    def choose_database(self, body: msgspec.Struct, endpoint: "Endpoint[Any]") -> None:
        """Take the database from the body, where it names one."""
        named = body.db_name if isinstance(body, Body) else ""
        self.database = named or (self._client.database if endpoint.database_header else "")

    async def establish(self) -> None:
        """Make sure that the gateway authenticates this caller, where nothing has been asked of it yet.

        An answer that precedes the first call, such as that the body is malformed, tells only those who may ask. The
        gateway remembers whom it authenticated, so that this costs little.

        Raises:
            KitewardError: as `Gateway.handle`, above all AuthenticationError.
        """
        if not self.established:
            await self.call(messages.GetVersionRequest(), database="")

    async def admitted(self) -> str:
        """Return the name of the caller, whom the gateway admits.

        Raises:
            KitewardError: as `Gateway.handle`, above all AuthenticationError.
        """
        principal = await self._client.admit()
        self.established = True
        return principal.user_name

    async def run_in_executor(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run a conversion that may take long in a thread, so that other requests go on meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, functools.partial(function, *args, **kwargs))


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[_B]):
    """One row of the REST table.

    Attributes:
        path: category and action, such as `users/create`.
        body: what the request holds.
        data: the type of `data` in the answer.
        run: does it.
        summary: one sentence for readers of the document.
        extra: what stands beside `data`, if anything.
        database_header: whether `DB-Name` counts where the body names no database.
        served: false for what is only refused by name.
        prefix: what the path stands below.
        large: the RPC that a large body becomes: only who could be allowed that may send one. The default lets
            administrators alone.
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
    large: str = "GetVersion"

    @property
    def tag(self) -> str:
        """What the endpoint is filed under: its category, and whose it is where that is not Milvus."""
        category = self.path.partition("/")[0]
        return category if self.prefix == PREFIX else f"{self.prefix.rstrip('/').rpartition('/')[2]}/{category}"


Table = Mapping[str, Endpoint[Any]]
"""Endpoints by full path."""


def refused(path: str, why: str) -> Endpoint[Body]:
    """Return an endpoint of Milvus that Kiteward does not serve, so that callers learn why.

    Args:
        path: category and action.
        why: completes "… is not offered here: ".
    """

    async def run(_context: RequestContext, _body: Body) -> NoReturn:
        raise RestFailure(UNIMPLEMENTED, f"{path} is not supported: {why}: service unimplemented")

    return Endpoint(path, Body, Nothing, run, f"Not supported: {why}.", served=False)
