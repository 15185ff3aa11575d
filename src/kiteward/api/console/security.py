"""Protection of the console: the session cookie, form tokens, and the security headers of every response.

Over TLS the cookie is `__Host-kiteward` and Secure. Without TLS it is `kiteward`: some browsers discard Secure cookies
of `http://localhost`, and all of them discard those of other hosts.
"""

import hashlib
import hmac
import re
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
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
_PURPOSE: Final = b"forms of the console"
_YEAR: Final = 365 * 24 * 3600
_MARK: Final = re.compile(r"[A-Za-z0-9_-]+")
"""What the names of our cookies of sign-ins end with. Browsers may have others, whose names cannot be written."""


def cookie_name(request: Request) -> str:
    """Return the name of the cookie, which depends on whether the connection uses TLS."""
    return "__Host-kiteward" if _is_tls(request) else "kiteward"


def session_token(request: Request) -> Secret | None:
    """Return the session's token that the browser sent, or None."""
    token = request.cookies.get(cookie_name(request))
    return Secret(token) if token else None


def set_session_cookie(response: Response, request: Request, token: Secret) -> None:
    """Set the cookie with a session's token, kept until the browser closes; revealed because the cookie contains it."""
    response.set_cookie(
        cookie_name(request), token.reveal(), path="/", secure=_is_tls(request), httponly=True, samesite="strict"
    )


def display_cookie(request: Request) -> str:
    """Return what the browser keeps about how pages look; empty where it sent nothing."""
    return request.cookies.get(_display_cookie_name(request), "")


def set_display_cookie(response: Response, request: Request, value: str) -> None:
    """Set the cookie about how pages look. It has no secret, and lasts for a year.

    Browsers send it with links of other sites too, so that a page they lead to looks as chosen.
    """
    response.set_cookie(
        _display_cookie_name(request),
        value,
        max_age=_YEAR,
        path="/",
        secure=_is_tls(request),
        httponly=True,
        samesite="lax",
    )


def sign_in_ticket(request: Request) -> Secret | None:
    """Return the ticket of a sign-in that waits for a second factor, which the browser sent, or None."""
    token = request.cookies.get(_ticket_cookie_name(request))
    return Secret(token) if token else None


def set_ticket_cookie(response: Response, request: Request, ticket: Secret) -> None:
    """Set the cookie with a ticket, as that of a session; revealed because the cookie contains it."""
    response.set_cookie(
        _ticket_cookie_name(request),
        ticket.reveal(),
        path="/",
        secure=_is_tls(request),
        httponly=True,
        samesite="strict",
    )


def clear_ticket_cookie(response: Response, request: Request) -> None:
    """Delete the cookie with a ticket in the browser."""
    response.delete_cookie(
        _ticket_cookie_name(request), path="/", secure=_is_tls(request), httponly=True, samesite="strict"
    )


def form_ticket(request: Request) -> str:
    """Return the ticket of a form that waits for its user, which the browser sent; empty for none."""
    return request.cookies.get(_form_cookie_name(request), "")


def set_form_cookie(response: Response, request: Request, ticket: Secret, *, lifetime: int) -> None:
    """Set the cookie with the ticket of a form; revealed because the cookie contains it.

    Browsers send it when an identity provider sends them back, as that of a sign-in in progress.

    Args:
        response: sets it.
        request: the request.
        ticket: its value.
        lifetime: seconds for which the browser keeps it.
    """
    _set_returning(response, request, _form_cookie_name(request), ticket, lifetime=lifetime)


def clear_form_cookie(response: Response, request: Request) -> None:
    """Delete the cookie with the ticket of a form in the browser, if it sent one."""
    name = _form_cookie_name(request)
    if name in request.cookies:
        _clear_returning(response, request, name)


def clear_session_cookie(response: Response, request: Request) -> None:
    """Delete the cookie in the browser."""
    response.delete_cookie(cookie_name(request), path="/", secure=_is_tls(request), httponly=True, samesite="strict")


def attempt_cookie(request: Request, mark: str) -> str:
    """Return the value of the cookie of a sign-in that is in progress; empty where the browser sent none.

    Args:
        request: the request.
        mark: what the name of the cookie ends with.
    """
    return request.cookies.get(f"{_attempts(request)}{mark}", "") if _MARK.fullmatch(mark) else ""


def attempt_marks(request: Request) -> list[str]:
    """Return what the names of the cookies of sign-ins in progress end with."""
    prefix = _attempts(request)
    marks = [name.removeprefix(prefix) for name in request.cookies if name.startswith(prefix)]
    return [mark for mark in marks if _MARK.fullmatch(mark)]


def set_attempt_cookie(response: Response, request: Request, mark: str, value: Secret, *, lifetime: int) -> None:
    """Set the cookie of a sign-in at an identity provider; revealed because the cookie contains it.

    Browsers send it when the provider sends them back, which a cookie with `SameSite=Strict` would not allow.

    Args:
        response: sets it.
        request: the request.
        mark: what the name of the cookie ends with.
        value: its value.
        lifetime: seconds for which the browser keeps it.
    """
    _set_returning(response, request, f"{_attempts(request)}{mark}", value, lifetime=lifetime)


def clear_attempt_cookie(response: Response, request: Request, mark: str) -> None:
    """Delete the cookie of a sign-in in the browser."""
    _clear_returning(response, request, f"{_attempts(request)}{mark}")


def _set_returning(response: Response, request: Request, name: str, value: Secret, *, lifetime: int) -> None:
    """Set a cookie that browsers also send when another site, such as an identity provider, sends them back."""
    response.set_cookie(
        name,
        value.reveal(),
        max_age=lifetime,
        path="/",
        secure=_is_tls(request),
        httponly=True,
        samesite="lax",
    )


def _clear_returning(response: Response, request: Request, name: str) -> None:
    response.delete_cookie(name, path="/", secure=_is_tls(request), httponly=True, samesite="lax")


def _attempts(request: Request) -> str:
    """Return what the names of the cookies of sign-ins in progress begin with."""
    return f"{cookie_name(request)}-sign-in-"


def form_token(token: Secret) -> str:
    """Return the form token of a session; the session's token cannot be derived from it."""
    return hmac.new(token.reveal().encode("utf-8", "surrogatepass"), _PURPOSE, hashlib.sha256).hexdigest()


def is_form_token(given: str, token: Secret) -> bool:
    """Return whether `given` is the form token of a session."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), form_token(token).encode())


def is_same_origin(request: Request) -> bool:
    """Return whether a page of this origin sent the request. Without a header that says so, the answer is no."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None and origin is None:
        return False
    # Only the host: behind a proxy that terminates TLS, the browser's origin is `https` and this connection is not.
    own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    return own and site in (None, "same-origin")


def apply_security_headers(response: Response, request: Request, request_id: str) -> None:
    """Add the security headers and the id of the request to a response."""
    headers = response.headers
    headers["X-Request-Id"] = request_id
    headers["Content-Security-Policy"] = _POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    # Not `no-referrer`: with that, browsers send `Origin: null` even to the same origin.
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    headers.setdefault("Cache-Control", "no-store")
    if _is_tls(request):
        headers["Strict-Transport-Security"] = "max-age=31536000"


def _display_cookie_name(request: Request) -> str:
    return f"{cookie_name(request)}-display"


def _form_cookie_name(request: Request) -> str:
    return f"{cookie_name(request)}-form"


def _ticket_cookie_name(request: Request) -> str:
    return f"{cookie_name(request)}-sign-in"


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"
