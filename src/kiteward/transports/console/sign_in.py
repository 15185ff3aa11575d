"""Signing in and out."""

import re
from typing import Any, Final

from starlette.responses import Response

from kiteward.domain.errors import AuthenticationError, RequestRefused
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.gateway.extensions.sessions import NewSession, SessionNamed, SessionsOf
from kiteward.transports.console import guard
from kiteward.transports.console.forms import Action, told
from kiteward.transports.console.visit import HOME, SIGN_IN, Page, Visit

_OUR_PAGE: Final = re.compile(r"/console/[A-Za-z0-9_.~%*/-]*(\?[A-Za-z0-9_.~%*/&=+-]*)?")
_BROWSERS: Final = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")
_SYSTEMS: Final = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "Linux")


async def show(visit: Visit) -> Response:
    """Ask for user and password."""
    return _form(visit, visit.asked("next"), note="ended" if visit.asked("why") == "ended" else "")


async def act(visit: Visit) -> Response:
    """Begin a session, if the gateway lets the user in."""
    user, password = visit.typed("user"), Secret(visit.raw("password"))
    errors = {name: visit.text("field.needed") for name in ("user", "password") if not visit.raw(name).strip()}
    if errors:
        return _form(visit, visit.raw("next"), errors=errors)
    try:
        token = await begin(visit, user, password)
    except AuthenticationError:
        return _form(visit, visit.raw("next"), errors={"": visit.text("sign_in.refused")})
    except RequestRefused as error:
        return _form(visit, visit.raw("next"), errors={"": told(visit, error)})
    response = visit.go(_own_page(visit.raw("next")))
    guard.keep(response, visit.request, token)
    return response


async def begin(visit: Visit, user: str, password: Secret) -> Secret:
    """Begin a session and return its token.

    Raises:
        KitewardError: as the gateway says.
    """
    browser = _browser_of(visit.request.headers.get("user-agent", ""))
    talk = visit.talk.by(PasswordCredential(user, password))
    begun = await talk.extend("BeginSession", NewSession(description=browser))
    token: Secret = begun.token
    return token


async def sign_out(visit: Visit) -> Response:
    """End this session."""
    session = visit.me.credential.partition(":")[2]
    await visit.talk.extend("EndSession", SessionNamed(session_id=session))
    return _left(visit)


async def sign_out_everywhere(visit: Visit) -> Response:
    """End all sessions of the user."""
    await visit.talk.extend("EndSessions", SessionsOf())
    return _left(visit)


async def _home(visit: Visit) -> Response:
    return visit.go(HOME)


async def _end(visit: Visit) -> None:
    await visit.talk.extend("EndSession", SessionNamed(session_id=visit.names["session"]))


async def _end_all_of(visit: Visit) -> None:
    await visit.talk.extend("EndSessions", SessionsOf(user_name=visit.names["name"]))


def _left(visit: Visit) -> Response:
    response = visit.go(SIGN_IN, done="signed_out")
    guard.drop(response, visit.request)
    return response


def _form(visit: Visit, back_to: str, *, note: str = "", errors: dict[str, str] | None = None) -> Response:
    request = visit.request
    in_the_open = request.url.scheme != "https" and request.url.hostname not in _THIS_MACHINE
    values: dict[str, Any] = {"back_to": _own_page(back_to), "note": note, "in_the_open": in_the_open}
    return visit.wrong("sign_in.html", errors, **values) if errors else visit.page("sign_in.html", **values)


def _own_page(path: str) -> str:
    """Return where to go after signing in: a page of ours, whatever the address says."""
    return path if _OUR_PAGE.fullmatch(path) and "//" not in path and not path.startswith(SIGN_IN) else HOME


def _browser_of(user_agent: str) -> str:
    browser = next((name for sign, name in _BROWSERS if sign in user_agent), "")
    system = next((name for name in _SYSTEMS if name in user_agent), "")
    return ", ".join(part for part in (browser, system) if part)


PAGES: Final = (
    Page("sign-in", show, act, open=True),
    Page("sign-out", _home, sign_out),
    Page("sign-out-everywhere", _home, sign_out_everywhere),
    Action("sessions/{session}/end", "session_end", _end, lambda _visit: HOME).page(),
    Action(
        "users/{name}/end-sessions", "sessions_end", _end_all_of, lambda visit: f"/console/users/{visit.names['name']}"
    ).page(),
)
