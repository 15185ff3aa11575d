"""What keeps the console's pages to themselves: the cookie, proof that a form is ours, and the headers of every answer.

Over TLS the cookie is `__Host-kiteward` and Secure. In the open it is `kiteward`: some browsers drop what is Secure on
`http://localhost`, and all of them do elsewhere.
"""

import hashlib
import hmac
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from kiteward.domain.identity import Secret

TOKEN_FIELD: Final = "csrf"  # noqa: S105  the field's name

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
_PURPOSE: Final = b"forms of the console"


def cookie_name(request: Request) -> str:
    """Return the name of the cookie on this kind of connection."""
    return "__Host-kiteward" if _is_tls(request) else "kiteward"


def session_token(request: Request) -> Secret | None:
    """Return the token that the browser sends, if it sends one."""
    token = request.cookies.get(cookie_name(request))
    return Secret(token) if token else None


def set_session_cookie(response: Response, request: Request, token: Secret) -> None:
    """Let the browser keep a session's token until it is closed; revealed because the cookie carries it."""
    response.set_cookie(
        cookie_name(request), token.reveal(), path="/", secure=_is_tls(request), httponly=True, samesite="strict"
    )


def clear_session_cookie(response: Response, request: Request) -> None:
    """Let the browser forget the token."""
    response.delete_cookie(cookie_name(request), path="/", secure=_is_tls(request), httponly=True, samesite="strict")


def form_token(token: Secret) -> str:
    """Return what every form of a session carries; it says nothing of the session's own token."""
    return hmac.new(token.reveal().encode("utf-8", "surrogatepass"), _PURPOSE, hashlib.sha256).hexdigest()


def is_form_token(given: str, token: Secret) -> bool:
    """Tell whether a form is one of the session's."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), form_token(token).encode())


def is_same_origin(request: Request) -> bool:
    """Tell whether one of our own pages sends this form. A browser that says nothing is not believed."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None and origin is None:
        return False
    # The host alone: who ends TLS before us leaves us in the open, and the browser's origin is `https`.
    own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    return own and site in (None, "same-origin")


def apply_security_headers(response: Response, request: Request, request_id: str) -> None:
    """Add what every answer carries."""
    headers = response.headers
    headers["X-Request-Id"] = request_id
    headers["Content-Security-Policy"] = _POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    # Not `no-referrer`: with that, browsers say `Origin: null` even to ourselves.
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    headers.setdefault("Cache-Control", "no-store")
    if _is_tls(request):
        headers["Strict-Transport-Security"] = "max-age=31536000"


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"
