"""The page for theme, language and time zone, which are kept in a cookie of the browser and nowhere else."""

from contextlib import suppress
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console import security
from kiteward.api.console.display import BY_BROWSER, THEMES, Display, zone_named, zone_names
from kiteward.api.console.language import NAMES
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.sign_in import own_page
from kiteward.api.console.sign_in_options import SIGN_IN
from kiteward.api.console.way_back import is_own
from kiteward.domain.errors import KitewardError
from kiteward.iam.json_api.accounts import Me
from kiteward.iam.json_api.base import Arguments


async def show(request: ConsoleRequest) -> Response:
    """Show the form, with all time zones."""
    await _know(request)
    return _page(request, request.query_value("next"))


async def act(request: ConsoleRequest) -> Response:
    """Keep the choices in the browser, and lead back to the page where they were made."""
    zone, back_to = request.form_text("zone"), request.form_raw("next")
    chosen = {"theme": (*THEMES,), "language": (BY_BROWSER, *NAMES)}
    errors = {
        name: request.complaint("choose") for name, known in chosen.items() if request.form_text(name) not in known
    }
    if zone_named(zone) is None:
        errors["zone"] = request.complaint("preferences.zone_unknown")
    if errors:
        await _know(request)
        return _page(request, back_to, errors)
    response = request.redirect(_back(back_to))
    display = Display(request.form_text("theme"), request.form_text("language"), zone)
    security.set_display_cookie(response, request.http_request, display.cookie)
    return response


async def _know(request: ConsoleRequest) -> None:
    """Find out who is signed in, for the frame of the page; it is there for everybody, and for whoever has none."""
    if request.token is not None:
        with suppress(KitewardError):
            request.me = await request.client.invoke("WhoAmI", Arguments(), Me)


def _page(request: ConsoleRequest, back_to: str, errors: dict[str, Any] | None = None) -> Response:
    values: dict[str, Any] = {"zones": zone_names(), "back_to": _back(back_to)}
    if errors:
        return request.page_with_errors("preferences.html", errors, **values)
    return request.page("preferences.html", **values)


def _back(path: str) -> str:
    """Return the path to lead back to; unlike after signing in, it may be the page for signing in."""
    return path if path.partition("?")[0] == SIGN_IN and is_own(path) else own_page(path)


PAGES: Final = (Page("preferences", show, act, open=True),)
