"""Secrets that are shown once, on a page of their own, so that reloading it does not repeat the action."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.tickets import OneTimeSecret


def show_once(request: ConsoleRequest, shown: OneTimeSecret) -> Response:
    """Redirect the browser to a page that shows a secret once."""
    return request.redirect(f"/console/once/{request.tickets.put(request.me.credential, shown)}")


def page_of(request: ConsoleRequest, shown: OneTimeSecret) -> Response:
    """Return the page with a secret; revealed because it is shown nowhere else."""
    return request.page(
        "once.html",
        title=shown.title,
        secret=shown.secret.reveal(),
        what=shown.what,
        until=shown.until,
        back=shown.back,
    )


async def show(request: ConsoleRequest) -> Response:
    """Show the secret of a ticket; a reloaded page reports that it was shown already."""
    shown = (
        request.tickets.take(request.me.credential, request.names["ticket"])
        if request.http_request.method == "GET"
        else None
    )
    if shown is not None:
        return page_of(request, shown)
    values = {"title": request.text("once.gone.title"), "what": request.text("once.gone.what"), "detail": None}
    return request.page("error.html", status=HTTPStatus.GONE, **values)


PAGES: Final = (Page("once/{ticket}", show),)
