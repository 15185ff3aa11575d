"""The page about connecting: snippets for this endpoint, and on request with a new API key in them."""

from typing import Final

from starlette.responses import Response

from kiteward.api.console.one_time_secrets import taken
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.tickets import OneTimeSecret
from kiteward.domain.errors import RequestRefused
from kiteward.iam.json_api.keys import MadeKey, NewKey

_PAGE: Final = "/console/connect"
_LIFETIME: Final = 90 * 24 * 3600


async def show(request: ConsoleRequest) -> Response:
    """Show how programs connect to this endpoint, with a placeholder for the password."""
    return _page(request, f"{request.me.user_name}:PASSWORD")


def _page(request: ConsoleRequest, token: str, *, made: bool = False) -> Response:
    url = request.http_request.url
    return request.page("connect.html", endpoint=f"{url.scheme}://{url.netloc}", token=token, made=made)


async def make_key(request: ConsoleRequest) -> Response:
    """Create a key of the signed-in user, and lead to the page that shows it once, in every snippet."""
    wanted = NewKey(description=request.text("connect.key_description"), expires_in=_LIFETIME)
    try:
        made = await request.client.invoke("CreateApiKey", wanted, MadeKey)
    except RequestRefused as error:
        url = request.http_request.url
        values = {"endpoint": f"{url.scheme}://{url.netloc}", "token": f"{request.me.user_name}:PASSWORD"}
        return request.page_with_errors("connect.html", {"": request.reason(error.details)}, made=False, **values)
    ticket = await request.tickets.put(*request.session(), OneTimeSecret("", "", made.key, _PAGE))
    return request.redirect(f"{_PAGE}/{ticket}")


async def show_key(request: ConsoleRequest) -> Response:
    """Show the snippets with the key of a ticket; revealed because it is shown nowhere else.

    A reloaded page leads to the snippets without it.
    """
    found = None
    if request.http_request.method == "GET":
        found = await taken(request, request.names["ticket"])
    if found is None:
        return request.redirect(_PAGE, done="connect_shown")
    return _page(request, found.secret.reveal(), made=True)


PAGES: Final = (Page("connect", show, make_key), Page("connect/{ticket}", show_key))
