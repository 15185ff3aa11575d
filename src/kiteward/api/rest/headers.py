"""Headers of requests and responses: the caller's options, cross-origin rules, security headers."""

import re
from collections.abc import Set
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from kiteward.api.rest import credentials
from kiteward.api.rest.endpoints import LONGEST_TIMEOUT
from kiteward.api.rest.settings import ANY_ORIGIN
from kiteward.api.rest.status import INVALID_PARAMETER, RestFailure
from kiteward.engine import metadata as engine_metadata

REQUEST_TIMEOUT: Final = "Request-Timeout"
ALLOW_INT64: Final = "Accept-Type-Allow-Int64"
DATABASE: Final = "DB-Name"
REQUEST_ID: Final = "X-Request-Id"
TRACE_ID: Final = "X-Milvus-Trace-Id"
TRACE: Final = ("traceparent", "tracestate")

_SECONDS: Final = re.compile(r"[0-9]{1,5}")
_TRUE: Final = frozenset({"1", "t", "T", "true", "True", "TRUE"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "False", "FALSE"})
_CLOSED: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def timeout(request: Request, default: float) -> float:
    """Return the timeout of a request in seconds.

    Args:
        request: the request.
        default: the timeout where the caller gives none.

    Raises:
        RestFailure: 1100 for anything but whole seconds from 1 to a day (contract 5.1).
    """
    given = request.headers.get(REQUEST_TIMEOUT)
    if given is None:
        return default
    seconds = int(given) if _SECONDS.fullmatch(given) else 0
    if not 1 <= seconds <= LONGEST_TIMEOUT:
        raise RestFailure(
            INVALID_PARAMETER,
            f"{REQUEST_TIMEOUT} parse failed, err: it must be a whole number of seconds from 1 to {LONGEST_TIMEOUT}: "
            "invalid parameter",
        )
    return float(seconds)


def allow_int64(request: Request, *, default: bool) -> bool:
    """Return whether the caller accepts 64-bit integers as JSON numbers; an invalid value counts as absent."""
    given = request.headers.get(ALLOW_INT64, "")
    return given in _TRUE or (default and given not in _FALSE)


def database(request: Request) -> str:
    """Return the database of the header, which applies to bodies that name none; or empty."""
    # Milvus reads header bytes as UTF-8; the server library decodes them as Latin-1.
    return request.headers.get(DATABASE, "").encode("latin-1").decode("utf-8", "replace")


def trace(request: Request) -> dict[str, str]:
    """Return the headers of the caller's trace (W3C Trace Context); empty if there are none or they are invalid."""
    return engine_metadata.allowed((key, request.headers[key]) for key in TRACE if key in request.headers)


def is_origin_allowed(request: Request, origins: Set[str]) -> bool:
    """Return whether no page sends this request, or one of this server's origin or of a configured origin.

    Bodies are read whatever their content type says, so that any page could send one without a preflight. Requests from
    other origins are therefore refused; hiding the response from the page would not be enough.
    """
    origin = request.headers.get("origin")
    if origin is None or _is_configured(origin, origins):
        return True
    own = origin.partition("://")[2]
    return bool(own) and own == request.headers.get("host")


def is_preflight(request: Request, origins: Set[str]) -> bool:
    """Return whether this is a preflight request of a browser for a page of a configured origin."""
    origin = request.headers.get("origin")
    asks = request.method == "OPTIONS" and "access-control-request-method" in request.headers
    return asks and origin is not None and _is_configured(origin, origins)


def preflight() -> Response:
    """Return the response to a preflight request; `apply_security_headers` adds the other headers."""
    allowed = f"Authorization, Content-Type, {DATABASE}, {REQUEST_TIMEOUT}, {ALLOW_INT64}"
    return Response(
        status_code=HTTPStatus.NO_CONTENT,
        headers={
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": allowed,
            "Access-Control-Max-Age": "600",
        },
    )


def apply_security_headers(response: Response, request: Request, request_id: str, origins: Set[str]) -> None:
    """Add the headers of every response.

    Args:
        response: the response to add them to.
        request: its request.
        request_id: the id of the request.
        origins: the configured origins.
    """
    headers = response.headers
    headers[REQUEST_ID] = headers[TRACE_ID] = request_id
    headers["Cache-Control"] = "no-store"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers.setdefault("Content-Security-Policy", _CLOSED)
    if request.scope["scheme"] == "https":
        headers["Strict-Transport-Security"] = "max-age=31536000"
    if credentials.is_basic(request.headers.getlist("authorization")):
        headers["WWW-Authenticate"] = 'Basic realm="restricted", charset="UTF-8"'
    elif response.status_code == HTTPStatus.UNAUTHORIZED:
        # A challenge is required (RFC 9110, 15.5.2); with this one, browsers do not ask for a password.
        headers["WWW-Authenticate"] = "Bearer"
    origin = request.headers.get("origin")
    if origins:
        headers.add_vary_header("Origin")
    if origin is not None and _is_configured(origin, origins):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = f"{REQUEST_ID}, {TRACE_ID}"


def closed_but(**sources: str) -> str:
    """Return the content security policy of a page that loads only the given sources.

    Args:
        sources: directive -> source, such as `style_src="'sha256-…'"`.
    """
    return "; ".join([_CLOSED, *(f"{name.replace('_', '-')} {source}" for name, source in sources.items())])


def _is_configured(origin: str, origins: Set[str]) -> bool:
    return origin in origins or ANY_ORIGIN in origins
