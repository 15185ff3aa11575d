"""Pages that say why a request was not answered as asked."""

import contextlib
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, Final, TypeVar

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Reason
from kiteward.domain.errors import (
    AccessDenied,
    AuditUnavailable,
    CapacityExceeded,
    CollectionNotFound,
    DatabaseNotFound,
    EngineError,
    KitewardError,
    NotFound,
    NotReady,
    OperationRefused,
    OperationUnknown,
    PayloadMalformed,
    RequestRefused,
    StoreError,
)

_T = TypeVar("_T")

_PAGES_OF_ERRORS: Final[tuple[tuple[type[KitewardError], HTTPStatus, str], ...]] = (
    (AccessDenied, HTTPStatus.FORBIDDEN, "error.denied"),
    (NotFound, HTTPStatus.NOT_FOUND, "error.missing"),
    (CollectionNotFound, HTTPStatus.NOT_FOUND, "error.missing"),
    (DatabaseNotFound, HTTPStatus.NOT_FOUND, "error.missing"),
    (RequestRefused, HTTPStatus.UNPROCESSABLE_ENTITY, "error.refused"),
    (EngineError, HTTPStatus.SERVICE_UNAVAILABLE, "error.unavailable"),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE, "error.unavailable"),
    (NotReady, HTTPStatus.SERVICE_UNAVAILABLE, "error.unavailable"),
    (AuditUnavailable, HTTPStatus.SERVICE_UNAVAILABLE, "error.unrecorded"),
    (CapacityExceeded, HTTPStatus.SERVICE_UNAVAILABLE, "error.unavailable"),
    (OperationRefused, HTTPStatus.UNPROCESSABLE_ENTITY, "error.refused"),
    (OperationUnknown, HTTPStatus.UNPROCESSABLE_ENTITY, "error.refused"),
    (PayloadMalformed, HTTPStatus.UNPROCESSABLE_ENTITY, "error.refused"),
)

_SAID_BY_REASON: Final = ("error.denied", "error.missing")
"""The texts that are left out where a reason says more."""


def refused_page(request: ConsoleRequest, error: KitewardError) -> Response:
    """Return the page that reports an error, in the language of the browser.

    Args:
        request: the request that failed.
        error: why.

    Raises:
        KitewardError: the error itself, if no page reports errors of its kind.
    """
    for kind, status, key in _PAGES_OF_ERRORS:
        if isinstance(error, kind):
            return failed_page(request, status, key, request.reason(error.details))
    raise error


def failed_page(
    request: ConsoleRequest,
    status: HTTPStatus,
    key: str,
    detail: Reason | None = None,
    *,
    back: str = "",
    user: str = "",
) -> Response:
    """Return the page that says that a request failed.

    Args:
        request: the request.
        status: the HTTP status.
        key: the prefix of its texts, `<key>.title` and `<key>.what`.
        detail: more about it, or None.
        back: the address that it leads back to; empty for the first page.
        user: the name of a user that is none any more, whose audit trail it leads to; empty for none.
    """
    values: dict[str, Any] = {
        "title": request.text(f"{key}.title"),
        "what": "" if detail is not None and key in _SAID_BY_REASON else request.text(f"{key}.what"),
        "detail": detail,
        "back": back,
        "user": user,
        **({"within": back} if back else {}),
    }
    return request.page("error.html", status=status, **values)


async def if_ready(asked: Awaitable[_T]) -> _T | None:
    """Return what was asked for, or None while the part of the server that it needs is not ready."""
    with contextlib.suppress(StoreError, EngineError, NotReady, AuditUnavailable):
        return await asked
    return None
