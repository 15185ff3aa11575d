"""Begins sessions of the console, finds out who uses them, and ends them for identity providers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from kiteward.authn.local_sign_in import LocalSignIn
from kiteward.authn.second_factor.factors import SecondFactors
from kiteward.authn.sessions import Session, Sessions, session_ended
from kiteward.authn.sign_in import AT_PROVIDER, BegunSignIn, SignIn
from kiteward.authn.user_cache import CachedUser
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, AuthenticationError, KeyRejected, SessionEnded
from kiteward.domain.identity import (
    LogoutCredential,
    PasswordCredential,
    PresentedCredential,
    Principal,
    Secret,
    SessionCredential,
    SignInCredential,
    SignInStep,
    SignInTicket,
)
from kiteward.domain.second_factors import FactorProof
from kiteward.store.base import Store

if TYPE_CHECKING:  # loaded where an identity provider is configured
    from kiteward.authn.oidc.provider_sessions import ProviderSessions


class Users(Protocol):
    """What the authenticator knows of users; the authenticator implements it."""

    @property
    def sessions(self) -> Sessions:
        """The console's sessions."""
        ...

    async def prove(self, presented: PasswordCredential, address: str) -> tuple[Principal, str]:
        """Return the principal of a password and the id of the credential that it matches; raises as `authenticate`."""
        ...

    def cached(self, name: str) -> CachedUser | None:
        """Return a user who is in the cache, or None."""
        ...

    async def known(self, name: str) -> CachedUser | None:
        """Return a user, or None if there is none; raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class SignInRules:
    """Which sign-ins begin a session.

    Attributes:
        passwords: who may sign in with a password.
        providers: verifies what identity providers issue; None where none is configured.
        factors: the second factors of sign-ins with a password; None for the default rules, without a key for apps.
    """

    passwords: LocalSignIn = LocalSignIn.EVERYONE
    providers: "ProviderSessions | None" = None
    factors: SecondFactors | None = None


class ConsoleSignIn:
    """Sign-ins to the console, and the sessions that begin with them.

    Attributes:
        factors: the second factors of sign-ins with a password.
    """

    def __init__(
        self,
        users: Users,
        store: Store,
        rules: SignInRules | None = None,
        *,
        open_to_anybody: bool = False,
        clock: Callable[[], float],
    ) -> None:
        """Take what is known.

        Args:
            users: the users and their sessions.
            store: holds second factors.
            rules: which sign-ins begin a session; None for passwords alone.
            open_to_anybody: whether nobody is authenticated, and no session begins.
            clock: returns seconds since the epoch.
        """
        rules = rules or SignInRules()
        self.factors = rules.factors or SecondFactors(store, clock=clock)
        self._users, self._clock = users, clock
        self._passwords = None if open_to_anybody else rules.passwords
        self._providers = None if open_to_anybody else rules.providers

    async def begin(
        self, presented: PresentedCredential | AuthenticationError, *, address: str, description: str
    ) -> BegunSignIn:
        """Begin a session for a user, unless a second factor is to be presented after the password.

        Args:
            presented: a password, or what an identity provider has issued for a sign-in.
            address: where the request comes from, as `host:port`.
            description: how the browser describes itself.

        Raises:
            AccessDenied: keys, tokens and sessions begin no session, nor does the password of this user.
            LimitReached: there are too many sessions already.
            AuthenticationError, StoreUnavailable: as `Authenticator.authenticate`.
            KitewardError: as `PolicyCache.change`, where the store has the sessions.
        """
        if isinstance(presented, PasswordCredential) and self._passwords is not None:
            sign_in = await self._with_password(presented, self._passwords, address, description)
            if self._has_factor(sign_in.user_name):
                return BegunSignIn(ticket=await self.factors.begin(sign_in))
        elif isinstance(presented, SignInCredential):
            sign_in = await self._at_provider(presented, address, description)
        else:
            raise AccessDenied(
                "a session requires a user name and password, or a sign-in at an identity provider",
                ErrorDetail(ErrorCode.SESSION_NEEDS_PASSWORD),
            )
        return BegunSignIn(token=await self._users.sessions.begin(sign_in))

    async def finish(
        self, presented: PresentedCredential | AuthenticationError, proof: FactorProof, *, address: str
    ) -> Secret:
        """Begin a session for a user who presents a second factor after the password, and return its token.

        Args:
            presented: the ticket that the password has led to.
            proof: the second factor.
            address: where the request comes from, as `host:port`.

        Raises:
            AccessDenied: the credential is not a ticket, or this user may not sign in with a password from there.
            KitewardError: as `SecondFactors.finish` and `begin`.
        """
        if not isinstance(presented, SignInTicket) or self._passwords is None:
            raise AccessDenied("a second factor follows a password", ErrorDetail(ErrorCode.SESSION_NEEDS_PASSWORD))
        self._passwords.require((await self._of_ticket(presented))[0], address)
        sign_in = await self.factors.finish(presented.token, proof, address=address)
        return await self._users.sessions.begin(sign_in)

    async def holder(self, presented: SignInTicket) -> Principal:
        """Return the principal of a ticket, which may present a second factor and nothing else.

        Raises:
            SessionEnded: there is no such ticket, it has ended, or its user was changed.
            StoreUnavailable: it cannot be read.
        """
        principal, ticket_id = await self._of_ticket(presented)
        return replace(principal, credential=f"sign-in:{ticket_id}", one_time=False, step=SignInStep.SECOND_FACTOR)

    async def principal(
        self, presented: SessionCredential | SignInCredential | LogoutCredential, *, sign_up: bool
    ) -> Principal:
        """Return the principal of what only the console presents. Nothing is awaited after the last check.

        Args:
            presented: the token of a session, or what an identity provider has issued.
            sign_up: as of `Authenticator.authenticate`.

        Raises:
            SessionEnded: there is no such session, or what it began with does not count any longer.
            KeyRejected: what the provider has issued is not accepted.
            KitewardError: as of `ProviderSessions.sign_in`.
        """
        if isinstance(presented, SessionCredential):
            return await self._of_session(presented)
        providers = self._required_providers()
        if isinstance(presented, SignInCredential):
            return (await providers.sign_in(presented, sign_up=sign_up))[0]
        issuer = (await providers.logout(presented)).issuer
        # It is no user, and has no roles.
        return Principal(issuer, credential=f"logout:{issuer}")

    async def _of_session(self, presented: SessionCredential) -> Principal:
        sessions = self._users.sessions
        while True:
            session = await sessions.find(presented.token)
            known = await self._users.known(session.user_name)
            principal = None if known is None else await self._still(session, known)
            # It may have ended, or its user may have changed, while the rest was read.
            if not session.ended and self._users.cached(session.user_name) is known:
                break
        if principal is None:
            sessions.refuse(session)
            raise session_ended()
        sessions.touch(session)
        # At a provider, second factors are presented there.
        due = not session.record.factor and self.factors.rules.requires(principal)
        step = SignInStep.ENROLMENT if due else SignInStep.COMPLETE
        return replace(principal, credential=f"session:{session.session_id}", step=step)

    async def _of_ticket(self, presented: SignInTicket) -> tuple[Principal, str]:
        """Return the principal of the password that a ticket was given for, and the public id of the ticket."""
        ticket = await self.factors.ticket(presented.token)
        held = ticket.sign_in
        known = await self._users.known(held.user_name)
        principal = None if known is None else known.principal_for(held.verified_id, self._clock)
        if known is None or principal is None or known.credential_id != held.current_id or not known.second_factor:
            raise SessionEnded("the user was changed in the meantime: sign in again")
        return principal, ticket.ticket_id

    async def end_by_provider(self, presented: PresentedCredential | AuthenticationError) -> Sequence[str]:
        """End the sessions that a logout token is about, and sign-ins in progress; return the users, sorted.

        Raises:
            AccessDenied: it is no logout token.
            KeyRejected: it is not accepted.
            KitewardError: as `PolicyCache.change`, where the store has the sessions.
        """
        if not isinstance(presented, LogoutCredential):
            raise AccessDenied(
                "only identity providers end the sessions that began there",
                ErrorDetail(ErrorCode.SESSIONS_OF_PROVIDER),
            )
        return await self._users.sessions.end_by_provider(await self._required_providers().logout(presented))

    async def _with_password(
        self, presented: PasswordCredential, rule: LocalSignIn, address: str, description: str
    ) -> SignIn:
        principal, credential_id = await self._users.prove(presented, address)
        rule.require(principal, address)
        # Nothing is awaited in between, so the user is still cached with a current credential.
        return SignIn(principal.user_name, credential_id, self._current(principal), address, description)

    async def _at_provider(self, presented: SignInCredential, address: str, description: str) -> SignIn:
        principal, provider = await self._required_providers().sign_in(presented, sign_up=True)
        await self._users.known(principal.user_name)
        current = self._current(principal)
        if not current:
            raise KeyRejected("the user was changed in the meantime: sign in again")
        return SignIn(principal.user_name, current, current, address, description, provider, AT_PROVIDER)

    def _required_providers(self) -> "ProviderSessions":
        if self._providers is None:
            raise KeyRejected("no identity provider is configured")
        return self._providers

    def _has_factor(self, user_name: str) -> bool:
        known = self._users.cached(user_name)
        return known is not None and known.second_factor

    def _current(self, principal: Principal) -> str:
        known = self._users.cached(principal.user_name)
        return "" if known is None else known.credential_id or ""

    async def _still(self, session: Session, known: CachedUser) -> Principal | None:
        """Return the principal of a session, without its credential; None if what it began with does not count."""
        record = session.record
        if known.credential_id != record.current_id:
            return None
        if known.second_factor and not record.factor:
            return None  # it began before its user had a second factor
        if known.identity is not None and record.began_at < known.identity.not_before:
            return None
        own = known.principal_for(record.verified_id, self._clock)
        if own is None or record.sign_in is None:
            return own
        if self._providers is None:
            return None
        return await self._providers.principal(own, known.identity, record.sign_in)
