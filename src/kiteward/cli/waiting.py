"""How long a command waits for the answer of a server."""

from typing import Final

SECONDS: Final = 60.0
"""Longer than a server takes for a request by its default (`proxy.http.requestTimeoutMs`)."""

LONG: Final = "kiteward/policy/"
"""The endpoints that take as long as what they are given wants, below `/v2/`."""


def seconds_for(path: str) -> float | None:
    """Return after how many seconds without an answer a command gives up, by its endpoint; None for never."""
    return None if path.startswith(LONG) else SECONDS
