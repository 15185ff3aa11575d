"""One request of a browser: who makes it, what its form holds, and the ways to answer it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kiteward.api.console import security
from kiteward.api.console.language import Language
from kiteward.api.console.navigation import sections
from kiteward.api.console.tickets import Tickets
from kiteward.domain.errors import KitewardError
from kiteward.domain.identity import Secret
from kiteward.gateway.client import GatewayClient

HOME: Final = "/console/account"
SIGN_IN: Final = "/console/sign-in"
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@dataclass(slots=True)
class ConsoleRequest:
    """One request of a browser.

    Attributes:
        http_request: what came.
        client: asks the gateway as whoever is signed in.
        text: the language of the page.
        templates: the pages.
        assets: the address of each file that pages load.
        tickets: secrets that wait to be shown.
        token: the session's token, if the browser sends one.
        me: who is signed in, or None on the page for signing in.
        form: what was typed.
        names: what stands in the path.
    """

    http_request: Request
    client: GatewayClient
    text: Language
    templates: jinja2.Environment
    assets: Mapping[str, str]
    tickets: Tickets
    token: Secret | None = None
    me: Any = None
    form: Mapping[str, list[str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def form_text(self, name: str) -> str:
        """Return what a field of the form holds, without spaces around it."""
        return self.form_raw(name).strip()

    def form_raw(self, name: str) -> str:
        """Return what a field of the form holds, as it is; for passwords."""
        return next(iter(self.form.get(name, ())), "")

    def form_values(self, name: str) -> list[str]:
        """Return all values of a field that may be given several times."""
        return list(self.form.get(name, ()))

    def number(self, name: str) -> int | None:
        """Return what a field for a whole number holds, 0 where it is empty, None where it holds something else."""
        given = self.form_text(name) or "0"
        return int(given) if _NUMBER.fullmatch(given) else None

    def query_value(self, name: str) -> str:
        """Return what the address asks for."""
        return str(self.http_request.query_params.get(name, ""))

    def reason(self, error: KitewardError) -> str:
        """Return what an error says, in the language of the page; the key of each sentence is a code of the error."""
        sentences = [
            self.text(f"reason.{detail.code}", **{"message": str(error), **detail.parameters})
            for detail in error.details
        ]
        return self.text("reason.separator").join(sentences)

    def page(self, template: str, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """Return a page."""
        done = self.query_value("done")
        html = self.templates.get_template(template).render(
            t=self.text,
            me=self.me,
            path=self.http_request.url.path,
            sections=sections(self.me),
            assets=self.assets,
            csrf=security.form_token(self.token) if self.token is not None and self.me is not None else "",
            done=self.text(f"done.{done}") if f"done.{done}" in self.text.texts else "",
            **{"errors": {}, "form": self.form, **values},
        )
        return HTMLResponse(html, status)

    def page_with_errors(self, template: str, errors: Mapping[str, str], **values: Any) -> Response:
        """Return a page with a form that could not be taken, and why, by field."""
        return self.page(template, status=HTTPStatus.UNPROCESSABLE_ENTITY, errors=errors, **values)

    def redirect(self, path: str, *, done: str = "", **query: str) -> Response:
        """Send the browser to another page, which says what was done."""
        arguments = urlencode({**({"done": done} if done else {}), **query})
        return RedirectResponse(f"{path}?{arguments}" if arguments else path, HTTPStatus.SEE_OTHER)


Handler = Callable[[ConsoleRequest], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        path: below `/console/`; `{name}` stands for a name.
        show: answers GET.
        act: answers POST: what its form asks for.
        open: whether it is there for those who have not signed in.
    """

    path: str
    show: Handler
    act: Handler | None = None
    open: bool = False


def read_form(body: bytes) -> dict[str, list[str]]:
    """Return what a form holds.

    Raises:
        ValueError: it is none.
    """
    return parse_qs(body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=5_000)


def shown_time(moment: datetime | None) -> str:
    """Return a time as pages show it, or empty."""
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M")
