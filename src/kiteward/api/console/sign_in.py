"""The pages for signing in and out."""

from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from kiteward.api.console import security
from kiteward.api.console.browsers import browser_named
from kiteward.api.console.forms import Action
from kiteward.api.console.kept_forms import RESUMED_FIELD, USER_FIELD, KeptForm
from kiteward.api.console.request import HOME, SECOND_FACTOR, START, ConsoleRequest, Page, Reason, shown_time
from kiteward.api.console.sign_in_options import SIGN_IN
from kiteward.api.console.way_back import is_own
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, AuthenticationError, NotFound, RequestRefused
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.iam.json_api.accounts import Account, PerhapsNamed
from kiteward.iam.json_api.base import Done
from kiteward.iam.json_api.sessions import BegunSession, ListedSessions, NewSession, SessionNamed, SessionsOf

_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


async def show(request: ConsoleRequest) -> Response:
    """Show the identity providers, and the form for user and password."""
    note = "ended" if request.query_value("why") == "ended" else ""
    return await form(request, request.query_value("next"), note=note)


async def act(request: ConsoleRequest) -> Response:
    """Start a session, if the gateway accepts the password."""
    user, password = request.form_text("user"), Secret(request.form_raw("password"))
    errors = {
        name: request.complaint("field.needed") for name in ("user", "password") if not request.form_raw(name).strip()
    }
    back_to, kept = request.form_raw("next"), KeptForm.read(request.form_raw("kept"))
    if errors:
        return await form(request, back_to, errors=errors, kept=kept)
    try:
        begun = await begin(request, user, password)
    except AuthenticationError:
        return await form(request, back_to, errors={"": request.complaint("sign_in.refused")}, kept=kept)
    except (AccessDenied, RequestRefused) as error:
        return await form(request, back_to, errors={"": request.reason(error.details)}, kept=kept)
    return entered(request, begun, own_page(back_to), kept=kept if kept is not None and kept.user == user else None)


def entered(
    request: ConsoleRequest, begun: BegunSession, path: str, *, done: str = "", kept: KeptForm | None = None
) -> Response:
    """Redirect a browser whose user presented a right password: to a page, or to that for the second factor.

    Args:
        request: the request.
        begun: what the password has led to.
        path: the page to go to.
        done: as of `ConsoleRequest.redirect`.
        kept: what the same user had typed into the form of that page; it leads there by a form of its own.
    """
    if begun.ticket is not None:
        response = request.redirect(SECOND_FACTOR, done=done, next=path)
        if kept is not None:
            fields = [("next", path), ("kept", kept.text)]
            response = request.page("resumed.html", action=SECOND_FACTOR, values=[*fields, (RESUMED_FIELD, "1")])
        security.set_ticket_cookie(response, request.http_request, begun.ticket)
        return response
    token = begun.token or Secret("")
    response = request.redirect(path, done=done) if kept is None else resumed(request, path, kept, token=token)
    security.set_session_cookie(response, request.http_request, token)
    security.clear_form_cookie(response, request.http_request)
    return response


def resumed(request: ConsoleRequest, path: str, kept: KeptForm, *, token: Secret) -> Response:
    """Return the page that leads to a form, with what its user had typed.

    Args:
        request: the request.
        path: the path of the page with the form.
        kept: what was typed.
        token: the token of the new session of the same user.
    """
    fields = [(name, value) for name, values in kept.fields.items() for value in values]
    own = [(security.TOKEN_FIELD, security.form_token(token)), (USER_FIELD, kept.user), (RESUMED_FIELD, "1")]
    return request.page("resumed.html", action=path, values=[*fields, *own])


async def begin(request: ConsoleRequest, user: str, password: Secret) -> BegunSession:
    """Start a session, unless a second factor is to be presented too, and return what begins.

    Raises:
        AuthenticationError: the user or password is wrong.
        KitewardError: as `GatewayClient.invoke`.
    """
    client = request.client.with_credential(PasswordCredential(user, password))
    description = browser_of(request.http_request)
    return await client.invoke("BeginSession", NewSession(description=description), BegunSession)


async def sign_out(request: ConsoleRequest) -> Response:
    """End this session."""
    session, provider = request.me.credential.partition(":")[2], await _provider_of(request)
    await request.client.invoke("EndSession", SessionNamed(session_id=session), Done)
    return _left(request, provider)


async def sign_out_everywhere(request: ConsoleRequest) -> Response:
    """End all sessions of the user."""
    provider = await _provider_of(request)
    await request.client.invoke("EndSessions", SessionsOf(), Done)
    return _left(request, provider)


async def _home(request: ConsoleRequest) -> Response:
    return request.redirect(HOME)


async def _end(request: ConsoleRequest) -> None:
    await request.client.invoke("EndSession", SessionNamed(session_id=request.names["session"]), Done)


async def _session(request: ConsoleRequest) -> dict[str, str]:
    """Return what a text says of the session in the path; `user` in the query string names whose it is."""
    named = PerhapsNamed(user_name=request.query_value("user"))
    found = await request.client.invoke("ListSessions", named, ListedSessions)
    session = next((each for each in found.sessions if each.session_id == request.names["session"]), None)
    if session is None:
        raise NotFound("session not found", ErrorDetail(ErrorCode.SESSION_NOT_FOUND), field="sessionId")
    return {
        "browser": session.description or request.text("unknown"),
        "address": session.address.rpartition(":")[0],
        "began": shown_time(session.began_at, request.display.time_zone),
    }


async def _end_all_of(request: ConsoleRequest) -> None:
    await request.client.invoke("EndSessions", SessionsOf(user_name=request.names["name"]), Done)


def _left(request: ConsoleRequest, provider: str) -> Response:
    response = request.redirect(SIGN_IN, done="signed_out", **({"left": provider} if provider else {}))
    security.clear_session_cookie(response, request.http_request)
    return response


async def _provider_of(request: ConsoleRequest) -> str:
    """Return the name of the identity provider of the signed-in user; empty for a user with a password."""
    if not request.sign_in.providers or request.me.one_time_password:
        return ""
    account = await request.client.invoke("DescribeUserAccount", PerhapsNamed(), Account)
    return request.sign_in.named(account.issuer)


async def form(
    request: ConsoleRequest,
    back_to: str,
    *,
    note: str = "",
    errors: dict[str, Reason] | None = None,
    kept: KeptForm | None = None,
) -> Response:
    """Return the page for signing in.

    Args:
        request: the request.
        back_to: the path of the page to show afterwards.
        note: `ended` where a session has ended.
        errors: what was refused, by field.
        kept: what was typed into a form whose session had ended.
    """
    http_request, options = request.http_request, request.sign_in
    left = options.providers.get(request.query_value("left"))
    values: dict[str, Any] = {
        "back_to": own_page(back_to),
        "note": note,
        "kept": kept,
        "without_tls": http_request.url.scheme != "https" and http_request.url.hostname not in _THIS_MACHINE,
        "providers": list(options.providers),
        "passwords": options.passwords.value,
        "left": left.name if left is not None and await left.end_session_url(back="") else "",
    }
    if errors:
        return request.page_with_errors("sign_in.html", errors, **values)
    return request.page("sign_in.html", status=HTTPStatus.OK if kept is None else HTTPStatus.FORBIDDEN, **values)


def own_page(path: str) -> str:
    """Return the path to go to after signing in: `path` if it is a page of the console, else the first page."""
    return path if is_own(path) and not path.startswith(SIGN_IN) else START


def browser_of(http_request: Request) -> str:
    """Return the browser and the system that a request says it comes from, for the list of sessions."""
    return browser_named(http_request.headers.get("user-agent", ""))


PAGES: Final = (
    Page("sign-in", show, act, open=True),
    Page("sign-out", _home, sign_out),
    Page("sign-out-everywhere", _home, sign_out_everywhere),
    Action("sessions/{session}/end", "session_end", _end, lambda _console_request: HOME, about=_session).page(),
    Action(
        "users/{name}/end-sessions",
        "sessions_end",
        _end_all_of,
        lambda request: f"/console/users/{request.names['name']}",
    ).page(),
)
