"""The types of ASGI, by which an application and what serves it know one another."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def wants_page(scope: Scope) -> bool:
    """Tell whether a request is that of a browser for the page at `/`."""
    accepted = b",".join(value for name, value in scope.get("headers", ()) if name == b"accept")
    return scope.get("path") == "/" and scope.get("method") in ("GET", "HEAD") and b"text/html" in accepted
