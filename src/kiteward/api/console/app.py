"""The console service: pages in the language of the browser, with the privileges of the signed-in user.

One request passes these steps:

1. Static files are public. A path of no page is 404.
2. A form is accepted only from pages of the console.
3. The gateway authenticates the caller by the session's token, as for any call. Without a session there is only the
   page for signing in. Then the form is read, which must contain the session's form token.
4. The handler of the page calls the gateway. A refusal of the gateway becomes a page that reports it.
"""

import asyncio
import contextlib
import functools
import hashlib
import logging
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from importlib import resources
from typing import Any, Final
from urllib.parse import urlencode

import jinja2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import compile_path

from kiteward.api.console import security
from kiteward.api.console.display import BY_BROWSER, Display
from kiteward.api.console.failures import failed_page, refused_page
from kiteward.api.console.inverses import NotedChanges
from kiteward.api.console.kept_forms import RESUMED_FIELD, USER_FIELD, WAITING_SECONDS, KeptForm, WaitingForms
from kiteward.api.console.language import catalogues, chosen
from kiteward.api.console.pages import PAGES
from kiteward.api.console.request import ENROLMENT, HOME, START, ConsoleRequest, Page, Reason, read_form, shown_time
from kiteward.api.console.sign_in import form as sign_in_form
from kiteward.api.console.sign_in import own_page
from kiteward.api.console.sign_in_options import SIGN_IN, SignInOptions
from kiteward.api.console.tickets import MemoryTickets, Tickets
from kiteward.api.console.undo import offer, offered
from kiteward.domain.addresses import address_text
from kiteward.domain.errors import AuthenticationError, CredentialMissing, KitewardError
from kiteward.domain.identity import SessionCredential
from kiteward.domain.moments import written
from kiteward.gateway.call import new_request_id
from kiteward.gateway.client import GatewayClient
from kiteward.gateway.gateway import Gateway
from kiteward.iam.json_api.accounts import Me
from kiteward.iam.json_api.base import Arguments
from kiteward.net.asgi import Receive, Scope, Send

_log = logging.getLogger("kiteward.console")

ROOT_PATH: Final = "/console"
_STATIC: Final = f"{ROOT_PATH}/static/"
_SECONDS: Final = 30.0
_FROM_ANYBODY: Final = 64 * 1024
_MOST_FORM: Final = 512 * 1024
"""The maximum size of a form in bytes: on the page for signing in, and on pages that need a session."""

_FORM: Final = "application/x-www-form-urlencoded"
_FOREVER: Final = "public, max-age=31536000, immutable"


_WITH_ONE_TIME_PASSWORD: Final = ("account", "sign-out")
"""The pages for a user whose one-time password has to be changed first."""

_WHILE_ENROLLING: Final = ("second-factors", "second-factors/app", "second-factors/passkey", "sign-out")
"""The pages for a user who has to enrol a second factor first."""


class _Unfit(Exception):
    """A request that no page of the console sends."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class _File:
    """A static file."""

    content: bytes
    media_type: str


@functools.cache
def _templates() -> jinja2.Environment:
    """Return the templates. They are compiled when they are first used, once in a process."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("kiteward.api.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters |= {"moment": _moment, "second": _second, "written": written}
    return templates


class ConsoleApp:
    """The ASGI application; serves the paths below `/console`, and redirects there from `/`."""

    def __init__(
        self,
        gateway: Gateway,
        pages: Iterable[Page] = PAGES,
        *,
        tickets: Tickets | None = None,
        sign_in: SignInOptions | None = None,
        embedded_engine: bool = False,
    ) -> None:
        self._gateway = gateway
        self._embedded_engine = embedded_engine
        self._sign_in = sign_in or SignInOptions()
        self._pages = [(compile_path(f"{ROOT_PATH}/{page.path}")[0], page) for page in pages]
        self._files = _files()
        self._assets = {
            name: f"{_STATIC}{name}?{hashlib.sha256(file.content).hexdigest()[:16]}"
            for name, file in self._files.items()
        }
        self._tickets: Tickets = tickets or MemoryTickets()
        self._waiting = WaitingForms()
        self._languages = catalogues()
        self._templates = _templates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, by the interface of ASGI."""
        if scope["type"] != "http":
            return
        http_request, request_id = Request(scope, receive), new_request_id()
        request = self._console_request(http_request, request_id)
        try:
            async with asyncio.timeout(_SECONDS):
                response = await self._respond(request)
        except ClientDisconnect:
            return
        except TimeoutError:
            response = failed_page(request, HTTPStatus.SERVICE_UNAVAILABLE, "error.slow")
        except Exception:  # noqa: BLE001  every request gets a response; the log has the details
            _log.exception("request %s: %s failed unexpectedly", request_id, scope["path"])
            response = failed_page(request, HTTPStatus.INTERNAL_SERVER_ERROR, "error.defect", Reason(request_id))
        security.apply_security_headers(response, http_request, request_id)
        await response(scope, receive, send)

    def _console_request(self, http_request: Request, request_id: str) -> ConsoleRequest:
        token, noted = security.session_token(http_request), NotedChanges()
        credential = CredentialMissing("nobody is signed in") if token is None else SessionCredential(token)
        client = GatewayClient(
            self._gateway,
            credential,
            transport="console",
            address=address_text(*http_request.client) if http_request.client else "",
            deadline=asyncio.get_running_loop().time() + _SECONDS,
            request_id=request_id,
            user_agent=http_request.headers.get("user-agent", ""),
            watch=noted.watch,
        )
        display = Display.read(security.display_cookie(http_request))
        language = display.language
        if language == BY_BROWSER:
            language = chosen(http_request.headers.get("accept-language", ""))
        return ConsoleRequest(
            http_request,
            client,
            replace(self._languages[language], zone=display.zone),
            self._templates,
            self._assets,
            self._tickets,
            self._sign_in,
            self._waiting,
            token,
            display=display,
            embedded_engine=self._embedded_engine,
            noted=noted,
        )

    async def _respond(self, request: ConsoleRequest) -> Response:
        path, method = request.http_request.scope["path"], request.http_request.method
        if path.startswith(_STATIC):
            return self._file(path.removeprefix(_STATIC), method, asked=request.http_request.url.query)
        if path in ("/", ROOT_PATH, f"{ROOT_PATH}/"):
            return RedirectResponse(START, HTTPStatus.SEE_OTHER)
        found = self._find(path)
        try:
            if method not in ("GET", "HEAD"):
                _require_form(request.http_request, ours=found is None or not found[0].from_servers)
            return await self._answer(request, found)
        except _Unfit as unfit:
            return failed_page(request, unfit.status, unfit.text)
        except AuthenticationError:
            return await _signed_out(request)
        except KitewardError as error:
            return refused_page(request, error)

    def _find(self, path: str) -> tuple[Page, Mapping[str, str]] | None:
        for pattern, page in self._pages:
            match = pattern.match(path)
            if match is not None:
                return page, match.groupdict()
        return None

    @staticmethod
    async def _answer(request: ConsoleRequest, found: tuple[Page, Mapping[str, str]] | None) -> Response:
        if found is None or not found[0].open:
            if request.token is None:
                # Nothing was presented that could be rejected, so there is nothing to ask the gateway, or to record.
                raise CredentialMissing("nobody is signed in")
            request.me = await request.client.invoke("WhoAmI", Arguments(), Me)
        if found is None:
            raise _Unfit(HTTPStatus.NOT_FOUND, "error.no_page")
        page, names = found
        first = _first_page(request.me, page)
        if first:
            return request.redirect(first)
        request.names = names
        if request.http_request.method != "POST":
            request.undo = await offered(request)
            return await page.show(request)
        request.form = await _form_of(request.http_request, _FROM_ANYBODY if page.open else _MOST_FORM)
        if page.act is None:
            raise _Unfit(HTTPStatus.METHOD_NOT_ALLOWED, "error.method")
        given = request.form_raw(security.TOKEN_FIELD)
        if not page.open and (request.token is None or not security.is_form_token(given, request.token)):
            raise _Unfit(HTTPStatus.FORBIDDEN, "error.form")
        if request.form_text(RESUMED_FIELD) and not page.open:
            return await _resumed(request, page)
        return await offer(request, await page.act(request))

    def _file(self, name: str, method: str, *, asked: str) -> Response:
        file = self._files.get(name)
        if file is None or method not in ("GET", "HEAD"):
            return Response(status_code=HTTPStatus.NOT_FOUND)
        # A page of a server of another version asks for another content, which must not be taken for this one.
        caching = _FOREVER if self._assets[name] == f"{_STATIC}{name}?{asked}" else "no-store"
        return Response(file.content, media_type=file.media_type, headers={"Cache-Control": caching})


def build_console(
    gateway: Gateway,
    *,
    tickets: Tickets | None = None,
    sign_in: SignInOptions | None = None,
    embedded_engine: bool = False,
) -> ConsoleApp:
    """Return the ASGI application of the console.

    Args:
        gateway: answers the requests of the pages.
        tickets: the secrets that wait to be shown; None for those of a single server.
        sign_in: how users may sign in; None for passwords alone.
        embedded_engine: whether the engine is the embedded one, which can do less than a Milvus.
    """
    return ConsoleApp(gateway, tickets=tickets, sign_in=sign_in, embedded_engine=embedded_engine)


def _first_page(me: Any, page: Page) -> str:
    """Return the path of the page that a user has to use before a page, or empty."""
    if me is None:
        return ""
    if me.one_time_password:
        return "" if page.path in _WITH_ONE_TIME_PASSWORD else HOME
    return ENROLMENT if me.enrolment_due and page.path not in _WHILE_ENROLLING else ""


def _require_form(http_request: Request, *, ours: bool) -> None:
    """Check the head of a request that a form must have sent; its body is not read yet.

    Args:
        http_request: the request.
        ours: whether the form must be one of the console's own pages.

    Raises:
        _Unfit: the method, the origin or the content type is another.
    """
    if http_request.method != "POST":
        raise _Unfit(HTTPStatus.METHOD_NOT_ALLOWED, "error.method")
    if ours and not security.is_same_origin(http_request):
        raise _Unfit(HTTPStatus.FORBIDDEN, "error.foreign")
    if http_request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise _Unfit(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "error.form")


async def _form_of(http_request: Request, limit: int) -> Mapping[str, list[str]]:
    """Return the fields of a form: name -> values.

    Args:
        http_request: the request with the form.
        limit: the maximum size in bytes.

    Raises:
        _Unfit: the body is too large, or not a form.
    """
    body = bytearray()
    async for chunk in http_request.stream():
        body += chunk
        if len(body) > limit:
            raise _Unfit(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "error.form")
    try:
        return read_form(bytes(body))
    except ValueError:
        raise _Unfit(HTTPStatus.BAD_REQUEST, "error.form") from None


def _files() -> dict[str, _File]:
    directory = resources.files(__package__) / "static"
    return {
        each.name: _File(each.read_bytes(), mimetypes.guess_type(each.name)[0] or "application/octet-stream")
        for each in directory.iterdir()
        if each.is_file()
    }


@jinja2.pass_context
def _moment(context: jinja2.runtime.Context, moment: datetime | None) -> str:
    """Return a time in the time zone of the page."""
    return shown_time(moment, context["display"].time_zone)


@jinja2.pass_context
def _second(context: jinja2.runtime.Context, moment: datetime) -> str:
    """Return a time to the second, in the time zone of the page."""
    return moment.astimezone(context["display"].time_zone).strftime("%Y-%m-%d %H:%M:%S")


async def _resumed(request: ConsoleRequest, page: Page) -> Response:
    """Return the page of a form with what its user had typed before the session ended; nobody else gets the values."""
    if request.form_raw(USER_FIELD) != request.me.user_name:
        request.form = {}
    return await page.show(request)


async def _signed_out(request: ConsoleRequest) -> Response:
    """Lead the browser to the page for signing in, and from there back to the requested page.

    What was typed into a form goes through that page, and waits here where its user may go to an identity provider.
    """
    http_request, kept = request.http_request, None
    path, asked = request.here(), {}
    if http_request.method == "POST":
        # What was read before cannot be read again.
        with contextlib.suppress(_Unfit, RuntimeError):
            kept = KeptForm.of(request.form or await _form_of(http_request, _FROM_ANYBODY))
    response: Response
    if kept is not None:
        response = await sign_in_form(request, path, note="ended", kept=kept)
        if request.sign_in.providers:
            ticket = request.waiting.put(kept, own_page(path))
            security.set_form_cookie(response, http_request, ticket, lifetime=WAITING_SECONDS)
    else:
        if request.token is not None or http_request.method == "POST":
            asked["why"] = "ended"
        if path not in (HOME, START):
            asked["next"] = path
        response = RedirectResponse(f"{SIGN_IN}?{urlencode(asked)}" if asked else SIGN_IN, HTTPStatus.SEE_OTHER)
    security.clear_session_cookie(response, http_request)
    return response
