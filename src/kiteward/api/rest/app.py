"""The REST service: JSON in, JSON out. It reads the credential from the headers; the gateway authorizes requests.

`build_app` returns the ASGI application. One request passes these steps:

1. A request from a page of an origin that is not allowed is refused. A preflight request is answered if origins are
   configured.
2. `/openapi.json` and `/docs` are public, and browsers get a short text at `/`. Any other path outside the API is 404.
   SCIM (`/scim/v2`) takes the same steps, where it is enabled; it has errors of its own, and takes API keys alone.
3. The caller is authenticated before path and body are examined (contract 5.1). A valid request is authenticated once,
   by its own call of the gateway. A failure before that call, such as an invalid body, is reported only after the
   gateway has authenticated the caller. Unless the caller is authenticated, only `FROM_ANYBODY` bytes of a body are
   read.
4. The handler of the endpoint calls the gateway.
"""

import asyncio
import contextlib
import functools
import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from kiteward.api.rest import bodies, credentials, headers, oauth
from kiteward.api.rest.docs_page import PUBLIC_PATHS, PublicDocument, public_documents
from kiteward.api.rest.endpoint_table import TABLE
from kiteward.api.rest.endpoints import OWN_PREFIX, Answer, RequestContext, Table
from kiteward.api.rest.scim import responses as scim_responses
from kiteward.api.rest.scim import service as scim_service
from kiteward.api.rest.settings import RestSettings
from kiteward.api.rest.status import DEFECT, SUCCESS, TIMED_OUT, TIMEOUT, TOO_LARGE, UNEXPECTED, RestFailure, failure_of
from kiteward.domain.addresses import address_text, source_of
from kiteward.domain.errors import AuthenticationError, KitewardError
from kiteward.gateway.call import new_request_id
from kiteward.gateway.client import GatewayClient
from kiteward.gateway.gateway import Gateway
from kiteward.gateway.large_requests import LARGE as ANYBODYS
from kiteward.net.asgi import wants_page
from kiteward.net.budget import Budget
from kiteward.telemetry import logs

_log = logging.getLogger("kiteward.rest")

FROM_ANYBODY: Final = 16 * 1024
"""Bytes of a body that are read before the caller is authenticated."""

LARGE: Final = 1024 * 1024
"""Size in bytes above which only few bodies are handled at once: decoded, a body takes many times its size."""

LARGE_AT_ONCE: Final = 4

_API: Final = ("/v1", "/v2", "/api")
_CONVERSION_THREADS: Final = 2
_JSON: Final = "application/json; charset=utf-8"
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
_NOT_FOUND: Final = "404 page not found"
_NO_PAGE: Final = "This is Kiteward, a Milvus endpoint for programs. Its REST API is described at /docs."
_V1: Final = "/v1/"
_NO_V1: Final = "version 1 of the REST API is not supported: use /v2/vectordb"

_T = TypeVar("_T")


class RestApp:
    """The ASGI application; created by `build_app`."""

    def __init__(
        self, gateway: Gateway, settings: RestSettings, table: Table, budget: Budget, *, offers_scim: bool
    ) -> None:
        self._gateway = gateway
        self._offers_scim = offers_scim
        self._budget = budget
        self._settings = settings
        self._table = table
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._executor = ThreadPoolExecutor(_CONVERSION_THREADS, thread_name_prefix="rest-conversion")

    @functools.cached_property
    def _documents(self) -> Mapping[str, PublicDocument]:
        """The public documents by path, made for the first who asks: a start has no need of them."""
        return public_documents(self._table)

    def close(self) -> None:
        """Stop the threads that convert large bodies."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, by the interface of ASGI."""
        if scope["type"] != "http":
            return
        request, request_id = Request(scope, receive), new_request_id()
        logs.bind_request_id(request_id)
        try:
            response = await self._respond(request, request_id)
        except ClientDisconnect:
            return
        except Exception:  # noqa: BLE001  every request gets a response; the log has the details
            _log.exception("request %s: %s failed unexpectedly", request_id, scope["path"])
            text = f"the request failed unexpectedly; its id is {request_id}"
            response = failed(RestFailure(DEFECT, text, http=HTTPStatus.INTERNAL_SERVER_ERROR))
        headers.apply_security_headers(response, request, request_id, self._settings.cors_origins)
        await response(scope, receive, send)

    async def _respond(self, request: Request, request_id: str) -> Response:
        origins = self._settings.cors_origins
        if not headers.is_origin_allowed(request, origins):
            return failed(
                RestFailure(UNEXPECTED, "requests from pages of this origin are not allowed", http=HTTPStatus.FORBIDDEN)
            )
        if headers.is_preflight(request, origins):
            return headers.preflight()
        path = request.scope["path"]
        if path in PUBLIC_PATHS and request.method in {"GET", "HEAD"}:
            return self._documents[path].response()
        if wants_page(request.scope):
            return PlainTextResponse(_NO_PAGE)
        is_scim = self._offers_scim and path.startswith(f"{scim_service.ROOT}/")
        if not is_scim and not any(path == root or path.startswith(f"{root}/") for root in _API):
            return PlainTextResponse(_NOT_FOUND, HTTPStatus.NOT_FOUND)
        return await self._answer_api(request, request_id, is_scim=is_scim)

    async def _answer_api(self, request: Request, request_id: str, *, is_scim: bool) -> Response:
        """Answer one request to the API, or to that of SCIM."""
        usual, endpoint = self._settings.request_timeout, self._table.get(request.scope["path"])
        default = usual if endpoint is None else endpoint.seconds(usual)
        report = scim_responses.failed if is_scim else self._reporter(request)
        run = self._run_scim if is_scim else self._run
        wrong: RestFailure | None = None
        try:
            seconds = headers.timeout(request, default)
        except RestFailure as failure:
            seconds, wrong = default, failure
        context = self._context(request, request_id, seconds, is_scim=is_scim)
        try:
            async with asyncio.timeout(seconds):
                work = run(request, context, wrong, patient=seconds > usual)
                return await _after_authentication(context, work, report)
        except TimeoutError:
            return report(RestFailure(TIMEOUT, TIMED_OUT, http=HTTPStatus.REQUEST_TIMEOUT))

    def _context(self, request: Request, request_id: str, seconds: float, *, is_scim: bool) -> RequestContext:
        read = credentials.api_key_alone if is_scim else credentials.presented_credential
        client = GatewayClient(
            self._gateway,
            read(request.headers.getlist("authorization")),
            transport="scim" if is_scim else "rest",
            address=address_text(*request.client) if request.client else "",
            database=headers.database(request),
            deadline=asyncio.get_running_loop().time() + seconds,
            forward=headers.trace(request),
            request_id=request_id,
            user_agent=request.headers.get("user-agent", ""),
        )
        allow_int64 = headers.allow_int64(request, default=self._settings.allow_int64)
        return RequestContext(client, self._executor, allow_int64=allow_int64)

    def _reporter(self, request: Request) -> Callable[[KitewardError | RestFailure], Response]:
        """Return what makes the response to a failed request, in the form that its endpoint has."""
        path = request.scope["path"]
        endpoint = self._table.get(path)
        if endpoint is not None and endpoint.oauth:
            return oauth.failed
        return functools.partial(_reported, detailed=path.startswith(OWN_PREFIX))

    async def _run(
        self, request: Request, context: RequestContext, wrong: RestFailure | None, *, patient: bool
    ) -> Response:
        """Look up the endpoint, read the body and call the handler.

        Args:
            request: the HTTP request.
            context: the caller's access to the gateway.
            wrong: what is wrong with the headers, or None.
            patient: whether the caller asks for more time than the default, which only authenticated callers get.
        """
        if wrong is not None:
            raise wrong
        endpoint = self._table.get(request.scope["path"])
        if endpoint is None or request.method != "POST":
            text = _NO_V1 if request.scope["path"].startswith(_V1) else _NOT_FOUND
            raise RestFailure(UNEXPECTED, text, http=HTTPStatus.NOT_FOUND)
        if patient:
            await context.establish()
        with contextlib.ExitStack() as held:
            if endpoint.oauth:
                raw = await self._read(request, context, held, limit=min(oauth.LARGEST_FORM, self._settings.max_body))
                form = oauth.decode(endpoint.body, raw, request.headers.get("content-type", ""))
                return oauth.succeeded(await _unless_gone(request, endpoint.run(context, form)))
            raw = await self._read(request, context, held, limit=self._settings.max_body)
            async with self._large if len(raw) > LARGE else contextlib.nullcontext():
                read = functools.partial(bodies.decode, endpoint.body, raw)
                body = read() if len(raw) <= ANYBODYS else await context.read_large(endpoint.large, read, size=len(raw))
                context.choose_database(body, endpoint)
                return _succeeded(await _unless_gone(request, endpoint.run(context, body)))

    async def _run_scim(
        self, request: Request, context: RequestContext, wrong: RestFailure | None, *, patient: bool
    ) -> Response:
        """Read the body of a request to SCIM and carry it out. Arguments as of `_run`."""
        if wrong is not None:
            raise wrong
        if patient:
            await context.establish()
        with contextlib.ExitStack() as held:
            raw = await self._read(request, context, held, limit=self._settings.max_body)
            async with self._large if len(raw) > LARGE else contextlib.nullcontext():
                return await _unless_gone(request, scim_service.answered(request, raw, context))

    async def _read(
        self, request: Request, context: RequestContext, held: contextlib.ExitStack, *, limit: int
    ) -> bytearray:
        """Return the body, once the memory budget has room for it; `held` releases that room.

        Raises:
            RestFailure: 413, the body is larger than `limit` bytes.
            KitewardError: the body is larger than `FROM_ANYBODY`, and its caller is not authenticated or there is no
                room.
        """
        declared = request.headers.get("content-length", "")
        if _LENGTH.fullmatch(declared) and int(declared) > limit:
            raise _too_large(limit)
        # A chunked body may turn out to be as large as the limit.
        most = int(declared) if _LENGTH.fullmatch(declared) else limit
        read, claim = bytearray(), None
        async for chunk in request.stream():
            if len(read) + len(chunk) > limit:
                raise _too_large(limit)
            if claim is None and len(read) + len(chunk) > FROM_ANYBODY:
                claim = self._budget.of_user(
                    await context.admitted(), source_of(request.client[0] if request.client else "")
                )
                held.callback(claim.close)
                await claim.wait_for(most)
            read += chunk
        if claim is not None:
            claim.resize(len(read))
        return read


def build_app(
    gateway: Gateway,
    settings: RestSettings,
    *,
    table: Table = TABLE,
    budget: Budget | None = None,
    offers_scim: bool = False,
) -> RestApp:
    """Return the ASGI application of the REST service.

    Args:
        gateway: answers the requests.
        settings: the settings of the service.
        table: the endpoints.
        budget: the memory budget; None creates one of its own.
        offers_scim: whether SCIM is served too.

    Returns:
        The application; the caller must call `close` when it is no longer served.
    """
    whole = MappingProxyType(dict(table))  # what is deferred is made now, not by the first request
    return RestApp(gateway, settings, whole, budget or Budget(), offers_scim=offers_scim)


async def _after_authentication(
    context: RequestContext, work: Awaitable[Response], report: Callable[[KitewardError | RestFailure], Response]
) -> Response:
    """Return the response of the work, once the gateway has authenticated the caller.

    INVARIANT: an unauthenticated caller gets 401, or why nobody can be authenticated now, and never a success or
    another failure.

    Args:
        context: the caller's access to the gateway.
        work: carries the request out.
        report: returns the response with an error.
    """
    try:
        response = await work
    except AuthenticationError as error:
        return report(error)
    except (KitewardError, RestFailure) as error:
        response = report(error)
    try:
        await context.establish()
    except KitewardError as error:
        return report(error)
    return response


def _reported(error: KitewardError | RestFailure, *, detailed: bool) -> Response:
    return failed(error if isinstance(error, RestFailure) else failure_of(error), detailed=detailed)


async def _unless_gone(request: Request, work: Awaitable[_T]) -> _T:
    """Return the outcome of the work; cancel it when the caller disconnects, as gRPC does.

    Raises:
        ClientDisconnect: the caller has disconnected.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


def _too_large(limit: int) -> RestFailure:
    return RestFailure(
        TOO_LARGE,
        f"the request body is larger than {limit} bytes: parameter too large",
        http=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )


def _succeeded(outcome: object) -> Response:
    answer = outcome if isinstance(outcome, Answer) else Answer(outcome)
    extra = {} if answer.extra is None else msgspec.to_builtins(answer.extra)
    return _json({"code": SUCCESS, "data": answer.data, **extra})


def failed(failure: RestFailure, *, detailed: bool = False) -> Response:
    """Return the response that reports a failure.

    Args:
        failure: what to report.
        detailed: whether `reason`, `field` and `others` are members of the response too, unless the caller is not
            authenticated; clients of Milvus expect only `code` and `message`.
    """
    if failure.message == _NOT_FOUND:
        return PlainTextResponse(failure.message, failure.http)
    content: dict[str, object] = {"code": failure.code, "message": failure.message}
    others = failure.others
    if detailed and failure.http != HTTPStatus.UNAUTHORIZED:
        content |= _details_of(failure)
        content |= {"others": [{"message": each.message, **_details_of(each)} for each in others]} if others else {}
    response = _json(content, failure.http)
    if failure.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(failure.retry_after))
    elif failure.http in {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS}:
        # The client is still sending the rest of the body, which will not be read.
        response.headers["Connection"] = "close"
    return response


def _details_of(failure: RestFailure) -> dict[str, object]:
    told = {"reason": failure.reason, "field": failure.field}
    return {name: value for name, value in told.items() if value}


def _json(content: object, http: int = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(content), http, media_type=_JSON)
