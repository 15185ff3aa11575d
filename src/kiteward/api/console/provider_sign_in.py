"""Signing in to the console through an identity provider, and the notices by which providers end sessions.

A link of the sign-in page leads to `sign-in/<provider>`, which sends the browser to the provider. The provider sends it
back to `sign-in/<provider>/callback`, where the session begins. That page leads on by itself: the browser was sent by
another site, so that it would not send the cookie of the new session with a redirect.
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse, Response

from kiteward.api.console import security
from kiteward.api.console.attempts import LIFETIME, Attempt, mark_of
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.sign_in import browser_of, own_page, resumed
from kiteward.api.console.sign_in import form as sign_in_form
from kiteward.api.console.sign_in_options import CALLBACK, LOGOUT, SIGN_IN, path_of
from kiteward.authn.oidc.provider_answers import rejected
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import (
    AccessDenied,
    AuthenticationError,
    CapacityExceeded,
    NotFound,
    RequestRefused,
)
from kiteward.domain.identity import LogoutCredential, Secret, SessionCredential, SignInCredential
from kiteward.iam.json_api.accounts import Me
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.json_api.sessions import BegunSession, EndedByProvider, NewSession

if TYPE_CHECKING:  # loaded where an identity provider is configured
    from kiteward.authn.oidc.provider import SignInProvider

_MOST_ATTEMPTS: Final = 4
"""Sign-ins that may be in progress in one browser; one more replaces all of them."""

_SHOWN: Final = (AccessDenied, AuthenticationError, CapacityExceeded, RequestRefused)
"""Errors that the page for signing in reports."""


async def begin(request: ConsoleRequest) -> Response:
    """Send the browser to the provider, with a cookie by which this browser alone can come back."""
    provider, back_to = _provider(request), own_page(request.query_value("next"))
    attempt = Attempt.begin(provider.name, back_to, now=request.sign_in.clock())
    try:
        url = await provider.authorization_url(
            redirect_uri=_redirect_uri(request, provider),
            state=attempt.state,
            nonce=attempt.nonce,
            challenge=attempt.challenge,
        )
    except AuthenticationError as error:
        return await sign_in_form(request, back_to, errors={"": request.reason(error.details)})
    response = RedirectResponse(url, HTTPStatus.SEE_OTHER)
    under_way = security.attempt_marks(request.http_request)
    if len(under_way) >= _MOST_ATTEMPTS:
        for mark in under_way:
            security.clear_attempt_cookie(response, request.http_request, mark)
    security.set_attempt_cookie(
        response, request.http_request, mark_of(attempt.state), attempt.cookie, lifetime=LIFETIME
    )
    return response


async def finish(request: ConsoleRequest) -> Response:
    """Begin a session for the user whom the provider has signed in, and lead to the page that was asked for."""
    provider, state = _provider(request), request.query_value("state")
    cookie = security.attempt_cookie(request.http_request, mark_of(state))
    attempt = Attempt.finish(provider.name, cookie, state=state, now=request.sign_in.clock())
    back_to = own_page("" if attempt is None else attempt.back_to)
    try:
        token = await _begin_session(request, provider, attempt)
    except _SHOWN as error:
        response = await sign_in_form(request, back_to, errors={"": request.reason(error.details)})
    else:
        response = await _entered(request, back_to, token)
    if cookie:
        security.clear_attempt_cookie(response, request.http_request, mark_of(state))
    return response


async def _entered(request: ConsoleRequest, back_to: str, token: Secret) -> Response:
    """Return the page that leads on after signing in, with what the same user had typed into the form there."""
    kept = request.waiting.take(security.form_ticket(request.http_request), back_to)
    if kept is not None:
        me = await request.client.with_credential(SessionCredential(token)).invoke("WhoAmI", Arguments(), Me)
        kept = kept if kept.user == me.user_name else None
    if kept is None:
        response = request.page("signed_in.html", back_to=back_to)
    else:
        response = resumed(request, back_to, kept, token=token)
    security.set_session_cookie(response, request.http_request, token)
    security.clear_form_cookie(response, request.http_request)
    return response


async def sign_out_there(request: ConsoleRequest) -> Response:
    """Send the browser to the provider to sign out there as well."""
    url = await _provider(request).end_session_url(back=f"{request.sign_in.base_of(request.http_request)}{SIGN_IN}")
    return RedirectResponse(url or SIGN_IN, HTTPStatus.SEE_OTHER)


async def end_by_notice(request: ConsoleRequest) -> Response:
    """End the sessions that a logout token of the provider names (OpenID Connect Back-Channel Logout 1.0, 2.5)."""
    credential = LogoutCredential(_provider(request).issuer, Secret(request.form_raw("logout_token")))
    client = request.client.with_credential(credential)
    try:
        await client.invoke("EndSessionsByProvider", Arguments(), EndedByProvider)
    except AuthenticationError:
        return Response(status_code=HTTPStatus.BAD_REQUEST)
    return Response(status_code=HTTPStatus.OK)


async def _begin_session(request: ConsoleRequest, provider: "SignInProvider", attempt: Attempt | None) -> Secret:
    """Return the token of a new session.

    Raises:
        KitewardError: one of `_SHOWN`, or as `Gateway.handle`. A refusal is recorded in the audit trail.
    """
    presented: SignInCredential | AuthenticationError
    try:
        presented = await _presented(request, provider, attempt)
    except AuthenticationError as error:
        presented = error
    client = request.client.with_credential(presented)
    begun = await client.invoke("BeginSession", NewSession(description=browser_of(request.http_request)), BegunSession)
    if begun.token is None:
        raise AssertionError("a sign-in at an identity provider needs no second factor here")
    token: Secret = begun.token
    return token


async def _presented(request: ConsoleRequest, provider: "SignInProvider", attempt: Attempt | None) -> SignInCredential:
    """Return what the provider has issued for the answer that the browser brings.

    Raises:
        AuthenticationError: the answer does not belong to a sign-in of this browser, or the provider refuses it.
        CapacityExceeded: it cannot be found out now.
    """
    if attempt is None:
        raise rejected(ErrorCode.SIGN_IN_NOT_BEGUN, provider.name, "the answer belongs to no sign-in of this browser")
    query = request.http_request.query_params
    await provider.require_issuer(query.get("iss"))
    error, code = query.get("error"), query.get("code")
    if error is not None or not code:
        raise provider.refusal(error)
    tokens = await provider.redeem(code, verifier=attempt.verifier, redirect_uri=_redirect_uri(request, provider))
    return SignInCredential(provider.issuer, tokens.id_token, tokens.access_token, attempt.nonce)


def _provider(request: ConsoleRequest) -> "SignInProvider":
    """Return the provider that the path names.

    Raises:
        NotFound: there is none of this name through which users sign in.
    """
    provider = request.sign_in.providers.get(request.names["provider"])
    if provider is None:
        raise NotFound("no such identity provider", ErrorDetail(ErrorCode.SIGN_IN_PROVIDER_UNKNOWN))
    return provider


def _redirect_uri(request: ConsoleRequest, provider: "SignInProvider") -> str:
    """Return the address to which a provider sends browsers back, as it is registered there."""
    return f"{request.sign_in.base_of(request.http_request)}{path_of(provider.name, CALLBACK)}"


PAGES: Final = (
    Page("sign-in/{provider}", begin, open=True),
    Page(f"sign-in/{{provider}}/{CALLBACK}", finish, open=True),
    Page(f"sign-in/{{provider}}/{LOGOUT}", sign_out_there, end_by_notice, open=True, from_servers=True),
)
