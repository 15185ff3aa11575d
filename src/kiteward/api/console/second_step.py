"""The page between the password and the console: it takes a second factor."""

from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console import security
from kiteward.api.console.kept_forms import RESUMED_FIELD, KeptForm
from kiteward.api.console.request import SECOND_FACTOR, ConsoleRequest, Page, Reason
from kiteward.api.console.sign_in import entered, own_page
from kiteward.api.console.sign_in_options import SIGN_IN
from kiteward.domain.errors import AccessDenied, AuthenticationError, FactorRejected, RequestRefused
from kiteward.domain.identity import Secret, SignInTicket
from kiteward.gateway.client import GatewayClient
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.json_api.sessions import BegunSession, FactorGiven, SignInDue


async def show(request: ConsoleRequest) -> Response:
    """Show the form for a second factor."""
    return await _form(request, request.query_value("next"))


async def act(request: ConsoleRequest) -> Response:
    """Start a session, if the gateway accepts the second factor."""
    client, back_to = _client(request), request.form_raw("next")
    kept = KeptForm.read(request.form_raw("kept"))
    code, passkey = Secret(request.form_text("code")), Secret(request.form_raw("passkey"))
    if client is None:
        return _again(request)
    if request.form_text(RESUMED_FIELD):
        return await _form(request, back_to)
    if not code and not passkey:
        return await _form(request, back_to, {"code": request.complaint("field.needed")})
    try:
        begun = await client.invoke("FinishSignIn", FactorGiven(code=code, passkey=passkey), BegunSession)
    except AuthenticationError:
        return _again(request)
    except FactorRejected as error:
        return await _form(request, back_to, {"code" if code else "": request.reason(error.details)})
    except (AccessDenied, RequestRefused) as error:
        return await _form(request, back_to, {"": request.reason(error.details)})
    response = entered(request, begun, own_page(back_to), kept=kept)
    security.clear_ticket_cookie(response, request.http_request)
    return response


async def _form(request: ConsoleRequest, back_to: str, errors: dict[str, Reason] | None = None) -> Response:
    client = _client(request)
    if client is None:
        return _again(request)
    try:
        due = await client.invoke("DescribeSignIn", Arguments(), SignInDue)
    except AuthenticationError:
        return _again(request)
    values: dict[str, Any] = {"due": due, "back_to": own_page(back_to), "here": SECOND_FACTOR}
    values["kept"] = KeptForm.read(request.form_raw("kept"))
    if errors:
        return request.page_with_errors("second_step.html", errors, **values)
    return request.page("second_step.html", **values)


def _client(request: ConsoleRequest) -> GatewayClient | None:
    """Return a client with the ticket of the browser, or None if the browser has none."""
    ticket = security.sign_in_ticket(request.http_request)
    return None if ticket is None else request.client.with_credential(SignInTicket(ticket))


def _again(request: ConsoleRequest) -> Response:
    """Redirect a browser whose ticket is over to the form for user and password."""
    response = request.redirect(SIGN_IN, why="ended")
    security.clear_ticket_cookie(response, request.http_request)
    return response


PAGES: Final = (Page("second-step", show, act, open=True),)
