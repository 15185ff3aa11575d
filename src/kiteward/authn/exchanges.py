"""Exchanges of credentials: what has to be known of them, and whose the keys are that came of one (decision 0066)."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kiteward.authn.key_cache import StoredKey
from kiteward.domain.errors import KeyRejected
from kiteward.domain.identity import PresentedCredential, Principal, TokenCredential
from kiteward.store.exchange_records import IssuedToken
from kiteward.store.identity_records import ClaimedRights

if TYPE_CHECKING:  # both are built on this module
    from kiteward.authn.authenticator import Authenticator
    from kiteward.authn.oidc.authentication import TokenAuthenticator


@dataclass(frozen=True, slots=True)
class Accepted:
    """A credential that was just accepted.

    Attributes:
        principal: its principal.
        expires_at: until when it is accepted, in seconds since the epoch; None where it does not expire.
        token: the token of an identity provider that it is, or None.
        rights: what that token says about rights.
    """

    principal: Principal
    expires_at: float | None = None
    token: IssuedToken | None = None
    rights: ClaimedRights = field(default_factory=ClaimedRights)


async def accept(
    authenticator: "Authenticator", presented: PresentedCredential, *, address: str, sign_up: bool
) -> Accepted:
    """Return a presented credential that is accepted, with what an exchange of it has to know.

    Args, Raises: as of `Authenticator.authenticate`.
    """
    principal = await authenticator.authenticate(presented, address=address, sign_up=sign_up)
    if authenticator.tokens is None or not isinstance(presented, TokenCredential):
        return Accepted(principal, None if principal.key is None else principal.key.expires_at)
    found = authenticator.tokens.accepted(presented)
    if found is None:
        raise KeyRejected("the token has expired")
    return found


async def owner_of(key: StoredKey, owner: Principal, tokens: "TokenAuthenticator | None") -> Principal | None:
    """Return the principal of a key's owner, with what the token said that the key came of.

    Args:
        key: the key.
        owner: the principal of its owner's own credential.
        tokens: knows the issuers; None where none is configured.

    Returns:
        The principal; None where the issuer of that token is not configured any more, so that the key is not accepted.
    """
    exchange = key.lineage[0].exchange
    if exchange is None or exchange.subject_token is None:
        return owner
    if tokens is None:
        return None
    return await tokens.with_rights(owner, exchange.subject_token.issuer, exchange.subject_rights)
