"""Reports failed authentication to clients that hide the gRPC status of `Connect` (decision 0033)."""

import re
from typing import Final

from kiteward.domain.errors import AuthenticationError, KitewardError, PayloadMalformed
from kiteward.milvus import messages

_CODE: Final = 1400
"""Milvus' code for an unauthenticated caller."""
_LEGACY_CODE: Final = messages.ErrorCode.UnexpectedError

_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})\b", re.ASCII)
_HIDES_FROM: Final = (2, 6)
"""The first version of pymilvus that reports every gRPC status of `Connect` as an unavailable server."""


def refused_connect_response(operation: str, error: KitewardError, request: bytes) -> bytes | None:
    """Return the response that reports failed authentication, or None where the gRPC status reports it.

    A client that mistakes the response for a success is refused at its next call.

    Args:
        operation: the RPC.
        error: why it is refused.
        request: the request message, as far as it was read.
    """
    if operation != "Connect" or not isinstance(error, AuthenticationError) or not _hides_status(request):
        return None
    return messages.failure(operation, code=_CODE, legacy_code=_LEGACY_CODE, reason=str(error))


def _hides_status(request: bytes) -> bool:
    """Return whether the client that sent this `Connect` hides its gRPC status from the user."""
    try:
        client = messages.read_request(messages.ConnectRequest, request).client_info
    except PayloadMalformed:
        return False
    version = _VERSION.match(client.sdk_version)
    if client.sdk_type != "Python" or version is None:
        return False
    return (int(version[1]), int(version[2])) >= _HIDES_FROM
