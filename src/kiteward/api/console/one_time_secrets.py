"""Secrets that are shown once, on a page of their own, so that reloading it does not repeat the action."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from kiteward.api.console.failures import failed_page
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.tickets import OneTimeSecret
from kiteward.api.console.way_back import cancelling, leaving


async def show_once(request: ConsoleRequest, shown: OneTimeSecret) -> Response:
    """Redirect the browser to a page that shows a secret once.

    Raises:
        StoreUnavailable: it could not be kept for that page.
    """
    return request.redirect(address(await request.tickets.put(*request.session(), shown), shown))


def address(ticket: str, shown: OneTimeSecret) -> str:
    """Return the address of the page of a secret; a reloaded one leads to where another is made."""
    return leaving(f"/console/once/{ticket}", shown.back)


async def taken(request: ConsoleRequest, ticket: str) -> OneTimeSecret | None:
    """Return the secret of a ticket, which is good once; None if there is none.

    Raises:
        StoreUnavailable: it is not known whether there is one.
    """
    return await request.tickets.take(*request.session(), ticket, OneTimeSecret)


def page_of(request: ConsoleRequest, shown: OneTimeSecret) -> Response:
    """Return the page with a secret; revealed because it is shown nowhere else."""
    return request.page(
        "once.html",
        title=shown.title,
        secret=shown.secret.reveal(),
        what=shown.what,
        until=shown.until,
        back=shown.back,
        within=shown.back,
    )


async def show(request: ConsoleRequest) -> Response:
    """Show the secret of a ticket; a reloaded page reports that it was shown already."""
    shown = await taken(request, request.names["ticket"]) if request.http_request.method == "GET" else None
    if shown is not None:
        return page_of(request, shown)
    return failed_page(request, HTTPStatus.GONE, "once.gone", back=cancelling("", request.back))


PAGES: Final = (Page("once/{ticket}", show),)
