"""Writes resources, lists and errors as SCIM answers (RFC 7644, 3.4.2, 3.9 and 3.12)."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

from kiteward.api.rest.scim.requests import Projection
from kiteward.api.rest.status import RestFailure
from kiteward.domain import errors
from kiteward.domain.error_codes import ErrorCode

MEDIA_TYPE: Final = "application/scim+json"
LIST_URN: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR_URN: Final = "urn:ietf:params:scim:api:messages:2.0:Error"

_ALWAYS: Final = frozenset({"schemas", "id"})

BY_CODE: Final[Mapping[ErrorCode, tuple[HTTPStatus, str]]] = {
    ErrorCode.SCIM_FILTER_INVALID: (HTTPStatus.BAD_REQUEST, "invalidFilter"),
    ErrorCode.SCIM_PATH_INVALID: (HTTPStatus.BAD_REQUEST, "invalidPath"),
    ErrorCode.SCIM_NO_TARGET: (HTTPStatus.BAD_REQUEST, "noTarget"),
    ErrorCode.SCIM_SYNTAX_INVALID: (HTTPStatus.BAD_REQUEST, "invalidSyntax"),
    ErrorCode.SCIM_VALUE_INVALID: (HTTPStatus.BAD_REQUEST, "invalidValue"),
    ErrorCode.SCIM_READ_ONLY: (HTTPStatus.BAD_REQUEST, "mutability"),
    ErrorCode.SCIM_NAME_TAKEN: (HTTPStatus.CONFLICT, "uniqueness"),
    ErrorCode.USER_EXISTS: (HTTPStatus.CONFLICT, "uniqueness"),
    ErrorCode.SCIM_VERSION_DIFFERS: (HTTPStatus.PRECONDITION_FAILED, ""),
}
"""The status and `scimType` of codes; other errors have those of their class."""

BY_CLASS: Final[Mapping[type[errors.KitewardError], tuple[HTTPStatus, str]]] = {
    errors.KitewardError: (HTTPStatus.INTERNAL_SERVER_ERROR, ""),
    errors.AuthenticationError: (HTTPStatus.UNAUTHORIZED, ""),
    errors.AccessDenied: (HTTPStatus.FORBIDDEN, ""),
    errors.OperationRefused: (HTTPStatus.NOT_IMPLEMENTED, ""),
    errors.PayloadMalformed: (HTTPStatus.BAD_REQUEST, "invalidSyntax"),
    errors.RequestRefused: (HTTPStatus.BAD_REQUEST, "invalidValue"),
    errors.NotFound: (HTTPStatus.NOT_FOUND, ""),
    errors.AlreadyExists: (HTTPStatus.CONFLICT, "uniqueness"),
    errors.ProtectedObject: (HTTPStatus.FORBIDDEN, ""),
    errors.LimitReached: (HTTPStatus.FORBIDDEN, ""),
    errors.StoreError: (HTTPStatus.SERVICE_UNAVAILABLE, ""),
    # A change that may have been made is not repeated by itself.
    errors.CommitUnknown: (HTTPStatus.INTERNAL_SERVER_ERROR, ""),
    errors.AuditUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, ""),
    errors.CapacityExceeded: (HTTPStatus.TOO_MANY_REQUESTS, ""),
    errors.NotReady: (HTTPStatus.SERVICE_UNAVAILABLE, ""),
}
"""The status and `scimType` of an error; a class without a row has those of its nearest ancestor."""


def resource(
    document: Mapping[str, Any], base: str, *, projection: Projection, status: int = HTTPStatus.OK
) -> Response:
    """Return the response with a resource.

    Args:
        document: the resource.
        base: the address of the API.
        projection: which attributes are returned.
        status: the HTTP status.
    """
    located = located_at(document, base)
    response = answer(projected(located, projection), status)
    meta = located["meta"]
    response.headers["ETag"] = meta["version"]
    if status == HTTPStatus.CREATED:
        response.headers["Location"] = meta["location"]
    return response


def listed(
    documents: Sequence[Mapping[str, Any]], base: str, *, total: int, start: int, projection: Projection
) -> Response:
    """Return the response with a page of resources.

    Args:
        documents: the resources.
        base: the address of the API.
        total: how many there are in all.
        start: the number of the first one, counted from 1.
        projection: which attributes are returned.
    """
    found = [projected(located_at(each, base), projection) for each in documents]
    return answer(
        {
            "schemas": [LIST_URN],
            "totalResults": total,
            "startIndex": max(1, start),
            "itemsPerPage": len(found),
            "Resources": found,
        }
    )


def located_at(document: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Return a document with the addresses of itself and of what it refers to."""
    kind = document["meta"]["resourceType"]
    place = f"{base}/{kind}" if "id" not in document else f"{base}/{kind}s/{document['id']}"
    located = {**document, "meta": {**document["meta"], "location": place}}
    for name, endpoint in (("members", "Users"), ("groups", "Groups")):
        if name in document:
            located[name] = [{**each, "$ref": f"{base}/{endpoint}/{each['value']}"} for each in document[name]]
    return located


def projected(document: Mapping[str, Any], projection: Projection) -> dict[str, Any]:
    """Return the attributes of a document that were asked for; `id` and `schemas` always."""
    shown: dict[str, Any] = {}
    for name, value in document.items():
        if name in _ALWAYS or not projection.leaves_out(name):
            shown[name] = value if name in _ALWAYS else _parts(name, value, projection)
    return shown


def _parts(name: str, value: Any, projection: Projection) -> Any:
    if isinstance(value, list):
        return [_parts(name, each, projection) for each in value]
    if not isinstance(value, dict) or name.lower() in projection.wanted:
        return value
    paths = {part: f"{name}.{part}".lower() for part in value}
    if projection.wanted:
        return {part: each for part, each in value.items() if paths[part] in projection.wanted}
    return {part: each for part, each in value.items() if paths[part] not in projection.unwanted}


def failed(error: errors.KitewardError | RestFailure) -> Response:
    """Return the response that reports an error."""
    if isinstance(error, RestFailure):
        status, kind = (error.http if error.http != HTTPStatus.OK else HTTPStatus.BAD_REQUEST), ""
        return _error(status, kind, error.message)
    status, kind = BY_CODE.get(error.code) or next(BY_CLASS[each] for each in type(error).__mro__ if each in BY_CLASS)
    response = _error(status, kind, _text(error, status))
    if isinstance(error, errors.RequestsLimited) and error.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response


def _text(error: errors.KitewardError, status: int) -> str:
    if status == HTTPStatus.UNAUTHORIZED:
        return "the request is not authenticated: send an API key that is accepted, as a bearer token"
    if isinstance(error, errors.StoreError | errors.AuditUnavailable) or status != HTTPStatus.INTERNAL_SERVER_ERROR:
        return str(error)
    return "the request failed"


def _error(status: int, kind: str, detail: str) -> Response:
    content = {"schemas": [ERROR_URN], "status": str(int(status)), "detail": detail}
    return answer({**content, **({"scimType": kind} if kind else {})}, status)


def answer(content: object, status: int = HTTPStatus.OK) -> Response:
    """Return a response with JSON of SCIM's media type."""
    return Response(msgspec.json.encode(content), status, media_type=MEDIA_TYPE)
