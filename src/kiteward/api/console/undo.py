"""Undo: the notice about a change offers to take it back, for a while, to the session that made it (decision 0083)."""

import contextlib
import json
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from starlette.responses import RedirectResponse, Response

from kiteward.api.console.failures import failed_page
from kiteward.api.console.inverses import inverse_of
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.way_back import DONE, UNDO, without_notice
from kiteward.domain.errors import RequestRefused, StoreError
from kiteward.domain.identity import Secret
from kiteward.gateway.client import GatewayClient
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.undoing import Change, Difference, Kind, Scope, Undoing

_OFFERED_FOR: Final = 600.0
"""Seconds in which a change can be undone."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """An undo that waits for its ticket.

    Attributes:
        change: what is undone.
        request_id: the request that has changed it.
        back: the address to return to.
    """

    change: Change
    request_id: str
    back: str

    def packed(self) -> Secret:
        """Return it as a text, for a store."""
        return Secret(json.dumps({UNDO: asdict(self)}))

    @classmethod
    def unpacked(cls, packed: Secret) -> Self | None:
        """Return what `packed` has made a text of; None for a text of another kind."""
        read = json.loads(packed.reveal())
        if not isinstance(read, dict) or UNDO not in read:
            return None
        held = read[UNDO]
        change, scope = held["change"], held["change"]["scope"]
        return cls(
            Change(
                Scope(**{**scope, "kind": Kind(scope["kind"]), "among": tuple(scope["among"])}),
                change["owners"],
                tuple(Difference(**each) for each in change["differences"]),
                change["others"],
            ),
            held["request_id"],
            held["back"],
        )


async def offer(request: ConsoleRequest, response: Response) -> Response:
    """Return the response to a form, which leads to a page that offers to undo what the form has changed.

    Only a notice offers it, so that nothing else leads there.
    """
    change = request.noted.only_one
    if change is None or not isinstance(response, RedirectResponse):
        return response
    location = response.headers["location"]
    if DONE not in parse_qs(urlsplit(location).query):
        return response
    kept = _Offer(change, request.client.request_id, without_notice(location))
    # The change is made. Without a place to keep it, it is one that cannot be undone.
    with contextlib.suppress(StoreError):
        ticket = await request.tickets.put(*request.session(), kept, seconds=_OFFERED_FOR)
        response.headers["location"] += f"&{UNDO}={ticket}"
    return response


async def offered(request: ConsoleRequest) -> str:
    """Return the ticket of the undo that a page is to offer; empty where there is none any more."""
    ticket = request.query_value(UNDO)
    if not ticket or not request.query_value(DONE) or request.me is None:
        return ""
    with contextlib.suppress(StoreError):
        if await request.tickets.waits(request.session()[0], ticket):
            return ticket
    return ""


async def undo(request: ConsoleRequest) -> Response:
    """Undo the change of a ticket, all of it or nothing, with the privileges that the user has now."""
    waiting = await request.tickets.take(*request.session(), request.form_raw(UNDO), _Offer)
    if waiting is None:
        return failed_page(request, HTTPStatus.GONE, "undo.gone")
    required = Undoing(waiting.change, waiting.request_id)
    client = replace(request.client, watch=lambda _operation, _request: required)
    try:
        await _send(client, waiting.change)
    except RequestRefused as error:
        reason = request.reason(error.details)
        return failed_page(request, HTTPStatus.CONFLICT, "undo.refused", reason, back=waiting.back)
    return request.redirect(waiting.back, done="undone")


async def _send(client: GatewayClient, change: Change) -> None:
    wanted = inverse_of(change)
    if isinstance(wanted, tuple):
        operation, arguments = wanted
        outcome: Any = ADMIN_OPERATIONS[operation].outcome
        await client.invoke(operation, arguments, outcome)
    else:
        await client.call(wanted)


async def _gone(request: ConsoleRequest) -> Response:
    return failed_page(request, HTTPStatus.GONE, "undo.gone")


PAGES: Final = (Page("undo", _gone, undo),)
