"""Requests and responses as OAuth 2.0 has them: a form, JSON without an envelope, and error codes (RFC 6749).

Sources: RFC 6749, sections 3.2 and 5 (token endpoint), RFC 8693, section 2 (token exchange).
"""

import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response

from kiteward.api.rest.status import RestFailure
from kiteward.domain import errors
from kiteward.domain.identity import Secret

_F = TypeVar("_F", bound=msgspec.Struct)

FORM: Final = "application/x-www-form-urlencoded"
"""The content type of requests."""

LARGEST_FORM: Final = 64 * 1024
"""Bytes of a form: two tokens of 16 KiB, each character of them escaped where a client does so, are less."""

_JSON: Final = "application/json; charset=utf-8"
_MOST_PARAMETERS: Final = 32
_NOT_SHOWN: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
"""What `error_description` may not hold (RFC 6749, 5.2)."""

_CODES: Final[Mapping[str, str]] = {
    "grant_type": "unsupported_grant_type",
    "scope": "invalid_scope",
    "audience": "invalid_target",
    "resource": "invalid_target",
}
"""Parameter at fault -> error code; `invalid_request` for any other."""


STATUSES: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""The statuses of responses that report a failure."""


class OAuthFailure(msgspec.Struct):
    """The response to a request that was refused or failed (RFC 6749, 5.2)."""

    error: str
    error_description: str


def decode(kind: type[_F], raw: bytes | bytearray, content_type: str) -> _F:
    """Return a form, decoded into the declared type.

    A parameter without a value counts as not given. One that is not known is refused: misspelt, it would have limited
    the key.

    Args:
        kind: the declared type.
        raw: the bytes of the body.
        content_type: what the request says that they are.

    Raises:
        InvalidArgument: it is no such form. The message names the parameter, never a value.
    """
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise errors.InvalidArgument(f"the content type must be {FORM}")
    given: dict[str, str] = {}
    for name, value in _parameters(raw):
        if name in given:
            raise errors.InvalidArgument(f"the parameter {_readable(name)} is given more than once", field=name)
        given[name] = value
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in given:
        if name not in fields:
            raise errors.InvalidArgument(f"the parameter {_readable(name)} is not supported here", field=name)
    for name, field in fields.items():
        if field.required and name not in given:
            raise errors.InvalidArgument(f"the parameter {name} is missing")
    return kind(
        **{
            fields[name].name: Secret(value) if _is_secret(fields[name].type) else value
            for name, value in given.items()
        }
    )


def succeeded(outcome: object) -> Response:
    """Return the response to a request that succeeded, secrets included."""
    return _json(outcome, HTTPStatus.OK)


def failed(error: errors.KitewardError | RestFailure) -> Response:
    """Return the response that reports a failure."""
    http, code = _code_of(error)
    text = _NOT_SHOWN.sub("'", str(error)) or code
    response = _json(OAuthFailure(code, text), http)
    if isinstance(error, errors.RequestsLimited):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response


def _code_of(error: errors.KitewardError | RestFailure) -> tuple[int, str]:
    match error:
        case errors.AuthenticationError():
            return HTTPStatus.UNAUTHORIZED, "invalid_client"
        case errors.AccessDenied():
            return HTTPStatus.BAD_REQUEST, "unauthorized_client"
        case errors.LimitReached() | errors.CapacityExceeded():
            return HTTPStatus.TOO_MANY_REQUESTS, "temporarily_unavailable"
        case errors.RequestRefused():
            return HTTPStatus.BAD_REQUEST, _CODES.get(error.field, "invalid_request")
        case errors.StoreError() | errors.NotReady() | errors.AuditUnavailable():
            return HTTPStatus.SERVICE_UNAVAILABLE, "temporarily_unavailable"
        case RestFailure(http=http) if http >= HTTPStatus.BAD_REQUEST:
            return http, "invalid_request"
        case RestFailure():
            return HTTPStatus.BAD_REQUEST, "invalid_request"
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR, "server_error"


def _parameters(raw: bytes | bytearray) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:
        raise errors.InvalidArgument(f"the body is no {FORM} of at most {_MOST_PARAMETERS} parameters") from None
    return [(name, value) for name, value in pairs if value]


def _readable(name: str) -> str:
    return repr(name[:64])


def _is_secret(kind: object) -> bool:
    return kind is Secret or kind == Secret | None


def _json(content: object, http: int) -> Response:
    encoded = msgspec.json.encode(content, enc_hook=_revealed)
    return Response(encoded, http, headers={"Pragma": "no-cache"}, media_type=_JSON)


def _revealed(value: object) -> str:
    if not isinstance(value, Secret):
        raise NotImplementedError(f"{type(value).__name__} cannot be encoded as JSON")
    return value.reveal()
