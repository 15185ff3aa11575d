"""The token endpoint: exchanges a credential of a user for a short-lived API key (RFC 8693)."""

from typing import Final

import msgspec

from kiteward.api.rest.endpoints import OWN_PREFIX, Endpoint, RequestContext
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import Secret
from kiteward.iam.json_api.token_exchange import ExchangedToken, TokenExchange
from kiteward.iam.token_exchange import TokenType, presented_as

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_BEARER: Final = "Bearer"
_REQUESTABLE: Final = (TokenType.API_KEY, TokenType.ACCESS_TOKEN)


class TokenForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a request (RFC 8693, 2.1).

    The service authenticates with an `Authorization` header or with `actor_token`. `scope` are roles, separated by
    spaces. `row_tags` is Kiteward's own: a JSON object of tags for row policies, null for the value that the user has.
    """

    grant_type: str
    subject_token: Secret
    subject_token_type: str
    actor_token: Secret | None = None
    actor_token_type: str = ""
    requested_token_type: str = TokenType.API_KEY
    scope: str = ""
    row_tags: str = ""
    audience: str = ""
    resource: str = ""


class TokenResponse(msgspec.Struct, kw_only=True):
    """A key (RFC 8693, 2.2.1) and what it is restricted to. It is presented as any API key is."""

    access_token: Secret
    issued_token_type: str
    token_type: str
    expires_in: int
    scope: str
    row_tags: dict[str, str]


async def exchange(context: RequestContext, form: TokenForm) -> TokenResponse:
    """Exchange a credential of a user for a short-lived API key of that user."""
    if form.actor_token is not None:
        context.present(presented_as(form.actor_token, form.actor_token_type, field="actor_token_type"))
    _check(form)
    wanted = TokenExchange(
        subject_token=form.subject_token,
        subject_token_type=form.subject_token_type,
        roles=form.scope.split() or None,
        row_tags=_row_tags(form.row_tags),
    )
    found = await context.invoke("ExchangeToken", wanted, ExchangedToken)
    return TokenResponse(
        access_token=found.key,
        issued_token_type=form.requested_token_type,
        token_type=_BEARER,
        expires_in=found.expires_in,
        scope=" ".join(found.roles),
        row_tags=found.row_tags,
    )


def _check(form: TokenForm) -> None:
    if form.grant_type != GRANT_TYPE:
        raise InvalidArgument(f"grant_type must be {GRANT_TYPE}", field="grant_type")
    if form.audience or form.resource:
        raise InvalidArgument("the key is for this server alone: leave audience and resource out", field="audience")
    if form.requested_token_type not in _REQUESTABLE:
        raise InvalidArgument(
            f"requested_token_type must be one of {', '.join(_REQUESTABLE)}", field="requested_token_type"
        )
    if form.actor_token_type and form.actor_token is None:
        raise InvalidArgument("actor_token_type needs an actor_token", field="actor_token")


def _row_tags(text: str) -> dict[str, str | None] | None:
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, str | None])
    except msgspec.DecodeError:
        raise InvalidArgument("row_tags must be a JSON object of texts or null", field="row_tags") from None


ENDPOINTS: Final = (
    Endpoint(
        "token",
        TokenForm,
        TokenResponse,
        exchange,
        "Exchange a credential of a user for a short-lived API key of that user (RFC 8693).",
        prefix=OWN_PREFIX,
        oauth=True,
    ),
)
