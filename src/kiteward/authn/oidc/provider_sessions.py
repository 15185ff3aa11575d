"""Sessions of the console that begin at an identity provider: who has signed in, and what of that is still true."""

from kiteward.authn.oidc import refusals
from kiteward.authn.oidc.authentication import TokenAuthenticator
from kiteward.authn.oidc.claims import identity_of
from kiteward.authn.oidc.id_tokens import require_for, session_of
from kiteward.authn.oidc.rights import with_rights
from kiteward.authn.oidc.tokens import LOGOUT_EVENT, TokenUse
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.identity import LogoutCredential, Principal, SignInCredential
from kiteward.domain.naming import NamingRules
from kiteward.store.identity_records import IdentityRecord
from kiteward.store.provider_records import ProviderLogout, ProviderSignIn


class ProviderSessions:
    """Verifies what identity providers issue for sign-ins and sign-outs of the console."""

    def __init__(self, tokens: TokenAuthenticator, *, naming: NamingRules) -> None:
        """Take what verifies tokens.

        Args:
            tokens: verifies tokens, and knows whose they are.
            naming: the rules of user names.
        """
        self._tokens = tokens
        self._naming = naming

    async def sign_in(self, presented: SignInCredential, *, sign_up: bool) -> tuple[Principal, ProviderSignIn]:
        """Return the principal of somebody who has signed in at a provider, and the sign-in for the session.

        Args:
            presented: what the provider has issued for it.
            sign_up: whether somebody who signs in for the first time may become a user, which takes a transaction.

        Raises:
            KeyRejected: the ID token is not accepted for this sign-in, or its user is not.
            KitewardError: as `TokenAuthenticator.authenticate`.
        """
        verified = await self._tokens.verifier.verify(presented.id_token.reveal(), TokenUse.ID)
        _require_issuer(verified.issuer.name, presented.issuer)
        require_for(presented, verified)
        identity = identity_of(verified, self._naming)
        principal = await self._tokens.principal(verified, identity, sign_up=sign_up)
        sign_in = ProviderSignIn(
            identity.issuer, identity.subject, session_of(verified.claims), verified.issued_at, identity.rights
        )
        return principal, sign_in

    async def principal(
        self, own: Principal, identity: IdentityRecord | None, sign_in: ProviderSignIn
    ) -> Principal | None:
        """Return the principal of a session; None if its sign-in does not count any longer.

        Args:
            own: the principal of the user.
            identity: whom tokens sign in as the user, now.
            sign_in: how the session began.

        Raises:
            StoreUnavailable: the roles of groups cannot be read.
        """
        issuer = self._tokens.verifier.issuers.get(sign_in.issuer)
        if issuer is None or issuer.client is None or identity is None:
            return None
        if (identity.issuer, identity.subject) != (sign_in.issuer, sign_in.subject):
            return None
        if sign_in.issued_at < identity.not_before:
            return None
        return with_rights(own, sign_in.rights, issuer, await self._tokens.mapping(sign_in.issuer))

    async def logout(self, presented: LogoutCredential) -> ProviderLogout:
        """Return what the logout token of a provider says (OpenID Connect Back-Channel Logout 1.0, 2.6).

        Raises:
            KeyRejected: it is not accepted, or not of this provider.
        """
        verified = await self._tokens.verifier.verify(presented.token.reveal(), TokenUse.LOGOUT)
        _require_issuer(verified.issuer.name, presented.issuer)
        claims = verified.claims
        if "nonce" in claims:
            raise refusals.refused(ErrorCode.TOKEN_KIND, "a logout token has no `nonce`")
        if not isinstance(claims.get("jti"), str) or not claims["jti"]:
            raise refusals.missing_claim("jti")
        if not isinstance(claims["events"][LOGOUT_EVENT], dict):
            raise refusals.missing_claim("events")
        session = session_of(claims)
        if not session and not verified.subject:
            raise refusals.missing_claim("sub")
        return ProviderLogout(verified.issuer.name, verified.subject, session, verified.issued_at)


def _require_issuer(found: str, expected: str) -> None:
    """Require that a token is of the provider that was asked, or that sends it.

    Raises:
        KeyRejected: it is of another one.
    """
    if found != expected:
        raise refusals.refused(ErrorCode.TOKEN_ISSUER_UNKNOWN, "it is of another issuer than the one that was asked")
