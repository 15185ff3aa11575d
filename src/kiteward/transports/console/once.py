"""Secrets that are shown once, on a page of their own, so that loading it again does not repeat what made them."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from kiteward.transports.console.tickets import Shown
from kiteward.transports.console.visit import Page, Visit


def show_once(visit: Visit, shown: Shown) -> Response:
    """Send the browser to a page that shows a secret this once."""
    return visit.go(f"/console/once/{visit.tickets.put(visit.me.credential, shown)}")


def page_of(visit: Visit, shown: Shown) -> Response:
    """Return the page with a secret; revealed because nobody else will ever tell it."""
    return visit.page(
        "once.html",
        title=shown.title,
        secret=shown.secret.reveal(),
        what=shown.what,
        until=shown.until,
        back=shown.back,
    )


async def show(visit: Visit) -> Response:
    """Show what a ticket is for; whoever loads the page again is told that it was shown."""
    shown = visit.tickets.take(visit.me.credential, visit.names["ticket"]) if visit.request.method == "GET" else None
    if shown is not None:
        return page_of(visit, shown)
    values = {"title": visit.text("once.gone.title"), "what": visit.text("once.gone.what"), "detail": ""}
    return visit.page("error.html", status=HTTPStatus.GONE, **values)


PAGES: Final = (Page("once/{ticket}", show),)
