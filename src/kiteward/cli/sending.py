"""What a command sends as the body of a request, and how long it waits for the answer."""

import json
from collections.abc import Mapping
from typing import Any, Final

from kiteward.domain.errors import InvalidArgument

SECONDS: Final = 60.0
"""Longer than a server takes for a request by its default (`proxy.http.requestTimeoutMs`)."""

LONG: Final = "kiteward/policy/"
"""The endpoints that take as long as what they are given wants, below `/v2/`."""


def body_of(request: Mapping[str, Any]) -> bytes:
    """Return a request as one line of JSON.

    Raises:
        InvalidArgument: it holds a text that is not UTF-8, such as a word of the command line.
    """
    try:
        return json.dumps(request, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidArgument("a value that was given is not UTF-8") from None


def seconds_for(path: str) -> float | None:
    """Return after how many seconds without an answer a command gives up, by its endpoint; None for never."""
    return None if path.startswith(LONG) else SECONDS
