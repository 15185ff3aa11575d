"""The types of ASGI, the interface between an application and its server."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def wants_page(scope: Scope) -> bool:
    """Return whether a browser requests the page at `/`."""
    accepted = b",".join(value for name, value in scope.get("headers", ()) if name == b"accept")
    return scope.get("path") == "/" and scope.get("method") in ("GET", "HEAD") and b"text/html" in accepted
