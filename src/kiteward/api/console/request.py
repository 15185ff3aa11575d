"""One request of a browser: its user, its form, and methods that make responses."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import partial
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kiteward import __version__
from kiteward.api.console import security
from kiteward.api.console.audit_reasons import error_in_language, in_language
from kiteward.api.console.display import Display
from kiteward.api.console.inverses import NotedChanges
from kiteward.api.console.kept_forms import WaitingForms
from kiteward.api.console.language import NAMES, Language
from kiteward.api.console.navigation import groups
from kiteward.api.console.sign_in_options import CALLBACK, SignInOptions
from kiteward.api.console.tickets import Tickets
from kiteward.api.console.way_back import BACK, CARRIED, as_it_was, cancelling, leaving, returning
from kiteward.domain.error_codes import ErrorDetail
from kiteward.domain.identity import Secret
from kiteward.gateway.client import GatewayClient

HOME: Final = "/console/account"
START: Final = "/console/overview"
"""The page after signing in: administrators see it, others are redirected to `HOME`."""

NONE_SELECTED: Final = "none_selected"
"""What `done` has after a change of nothing: its text reports no success."""

SECOND_FACTOR: Final = "/console/second-step"
ENROLMENT: Final = "/console/second-factors"
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was refused, as a page shows it.

    Attributes:
        sentence: in the language of the page; names are between backticks.
        quoted: the engine's own text, in whatever language it has; empty where there is none.
    """

    sentence: str
    quoted: str = ""


@dataclass(slots=True)
class ConsoleRequest:
    """One request of a browser.

    Attributes:
        http_request: the HTTP request.
        client: calls the gateway as the signed-in user.
        text: the language of the page.
        templates: the templates of the pages.
        assets: the path of each static file.
        tickets: secrets to be shown.
        sign_in: how users may sign in.
        waiting: forms whose users are at an identity provider.
        token: the session's token, if the browser sent one.
        me: the signed-in user, or None on the page for signing in.
        form: the fields of the form: name -> values.
        names: the names in the path.
        display: how pages look in this browser.
        embedded_engine: whether the engine is the embedded one.
        noted: what its form has changed of what can be undone.
        undo: the ticket of the undo that its page offers; empty for none.
    """

    http_request: Request
    client: GatewayClient
    text: Language
    templates: jinja2.Environment
    assets: Mapping[str, str]
    tickets: Tickets
    sign_in: SignInOptions
    waiting: WaitingForms
    token: Secret | None = None
    me: Any = None
    form: Mapping[str, list[str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    display: Display = field(default_factory=Display)
    embedded_engine: bool = False
    noted: NotedChanges = field(default_factory=NotedChanges)
    undo: str = ""

    def session(self) -> tuple[str, Secret]:
        """Return the public id of the session of a signed-in user, and its token."""
        return self.me.credential.partition(":")[2], self.token or Secret("")

    def form_text(self, name: str) -> str:
        """Return the value of a field, without spaces around it; empty if the form lacks it."""
        return self.form_raw(name).strip()

    def form_raw(self, name: str) -> str:
        """Return the value of a field unchanged, as passwords need it; empty if the form lacks it."""
        return next(iter(self.form.get(name, ())), "")

    def form_values(self, name: str) -> list[str]:
        """Return all values of a field that can occur several times."""
        return list(self.form.get(name, ()))

    def number(self, name: str) -> int | None:
        """Return the value of a field for a whole number: 0 if it is empty, None if it is not a number."""
        given = self.form_text(name) or "0"
        return int(given) if _NUMBER.fullmatch(given) else None

    def query_value(self, name: str) -> str:
        """Return a parameter of the query string, or empty."""
        return str(self.http_request.query_params.get(name, ""))

    def reason(self, details: Iterable[ErrorDetail]) -> Reason:
        """Return a reason in the language of the page: a sentence for each code, and what the engine says apart."""
        found = list(details)
        sentences = [self.text(f"reason.{each.code}", **each.parameters) for each in found]
        return Reason(
            self.text("sentence.separator").join(sentences),
            "\n".join(each.quoted for each in found if each.quoted),
        )

    def complaint(self, key: str) -> Reason:
        """Return a reason that the console itself has, as a text of the catalogue."""
        return Reason(self.text(key))

    def here(self) -> str:
        """Return the address of the page, with its query string unless it was sent as a form or by a provider."""
        path = quote(self.http_request.url.path)
        query = self.http_request.url.query
        sent = self.http_request.method == "POST" or path.endswith(f"/{CALLBACK}")
        return f"{path}?{query}" if query and not sent else path

    def provider_name(self, issuer: str) -> str:
        """Return the name of the identity provider of an issuer; the issuer itself where it has no name."""
        return self.sign_in.named(issuer) or issuer

    @property
    def back(self) -> str:
        """The way back that the browser has sent, unchecked; empty where there is none."""
        return self.query_value(BACK) or self.form_raw(CARRIED)

    def page(self, template: str, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """Return a page, rendered from a template.

        Args:
            template: the name of the template.
            status: the HTTP status.
            values: the variables of the template; `within` is the address whose section of the navigation is that of
                the page, if not its own.
        """
        done = self.query_value("done")
        html = self.templates.get_template(template).render(
            t=self.text,
            me=self.me,
            path=self.http_request.url.path,
            this_page=self.here(),
            navigation=groups(self.me),
            display=self.display,
            languages=NAMES,
            version=__version__,
            documentation=documentation(),
            assets=self.assets,
            because=self.reason,
            provider_name=self.provider_name,
            in_words=partial(in_language, self.text),
            error_in_words=partial(error_in_language, self.text),
            leaving=partial(leaving, here=self.here()),
            as_it_was=partial(as_it_was, back=self.back),
            cancelling=partial(cancelling, back=self.back),
            way_back=self.back,
            csrf=security.form_token(self.token) if self.token is not None and self.me is not None else "",
            done=self.text(f"done.{done}") if f"done.{done}" in self.text.texts else "",
            nothing_done=done == NONE_SELECTED,
            undo=self.undo,
            **{"errors": {}, "form": self.form, "within": self.http_request.url.path, **values},
        )
        return HTMLResponse(html, status)

    def page_with_errors(self, template: str, errors: Mapping[str, Reason], **values: Any) -> Response:
        """Return a page with a form that was not accepted, and the errors by field."""
        return self.page(template, status=HTTPStatus.UNPROCESSABLE_ENTITY, errors=errors, **values)

    def finish(self, path: str, *, done: str = "", removed: str = "", **query: str) -> Response:
        """Redirect the browser to the page that it came from, as that page was, after an action of a page of its own.

        Args:
            path: the path of the page, if the browser came from nowhere else.
            done: as of `redirect`.
            removed: the path of the page of what is not there any more, or empty.
            query: parameters of its query string, if the browser came from nowhere else.
        """
        to = returning(path, self.back, removed=removed)
        return self.redirect(to, done=done, **(query if to == path else {}))

    def stay(self, path: str, *, done: str = "") -> Response:
        """Redirect the browser to the page that has the form, which keeps its way back."""
        return self.redirect(leaving(path, self.back), done=done)

    def redirect(self, path: str, *, done: str = "", **query: str) -> Response:
        """Redirect the browser to another page.

        Args:
            path: the path of the page, perhaps with a query string.
            done: the key, below `done.`, of the text that the page shows about what was done.
            query: parameters of its query string.
        """
        arguments = urlencode({**({"done": done} if done else {}), **query})
        joined = f"{path}{'&' if '?' in path else '?'}{arguments}" if arguments else path
        return RedirectResponse(joined, HTTPStatus.SEE_OTHER)


Handler = Callable[[ConsoleRequest], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        path: the path below `/console/`; `{name}` matches a name.
        show: answers GET.
        act: answers POST, which its form sends.
        open: whether it is available without a session.
        from_servers: whether other servers send its form, which proves by itself who sends it. Those of browsers are
            accepted from pages of the console only.
    """

    path: str
    show: Handler
    act: Handler | None = None
    open: bool = False
    from_servers: bool = False


def read_form(body: bytes) -> dict[str, list[str]]:
    """Return the fields of a form: name -> values.

    Raises:
        ValueError: the body is not a form.
    """
    return parse_qs(body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=5_000)


def shown_time(moment: datetime | None, zone: tzinfo = UTC) -> str:
    """Return a time as pages show it, in a time zone; empty for None."""
    return "" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def documentation() -> str:
    """Return the address of the documentation that the installed package names, or empty."""
    try:
        links = metadata("kiteward").get_all("Project-URL", [])
    except PackageNotFoundError:
        return ""
    found = (link.partition(",")[2].strip() for link in links if link.lower().startswith("documentation,"))
    return next((link for link in found if link.startswith("https://")), "")
