"""Token exchange: the operation behind `/v2/kiteward/token`, whose form is read and written by the REST service."""

from typing import Final

import msgspec

from kiteward.audit.events import Event
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.identity import CredentialReach, Secret
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.services import Services
from kiteward.iam.token_exchange import WantedKey, exchange_token


class TokenExchange(Arguments):
    """The credential of a user with its type, and what the key is to be restricted to. See `WantedKey`."""

    subject_token: Secret
    subject_token_type: str
    roles: list[str] | None = None
    row_tags: dict[str, str | None] | None = None


class ExchangedToken(Outcome):
    """An API key that came of an exchange, returned only once, and its access."""

    key: Secret
    key_id: str
    expires_in: int
    roles: list[str]
    row_tags: dict[str, str] = msgspec.field(default_factory=dict)


async def exchanged(services: Services, request: Request, arguments: TokenExchange) -> ExchangedToken:
    """Exchange the credential of a user for a short-lived API key."""
    wanted = WantedKey(
        arguments.subject_token, arguments.subject_token_type, roles=arguments.roles, tags=arguments.row_tags
    )
    found = await exchange_token(services, request, wanted, request)
    return ExchangedToken(
        key=found.secret,
        key_id=found.record.key_id,
        expires_in=found.lifetime,
        roles=list(found.record.roles or ()),
        row_tags=dict(found.tags),
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ExchangeToken",
        "token",
        TokenExchange,
        ExchangedToken,
        exchanged,
        "Exchange a credential of a user for a short-lived API key of that user (RFC 8693).",
        administrators=False,
        credential=CredentialReach.ANY,
        rest=False,
        event=Event.KEY_CHANGE,
        privilege=PRIVILEGES["ExchangeToken"],
    ),
)
