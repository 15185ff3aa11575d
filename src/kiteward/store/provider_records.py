"""What the store keeps of sign-ins to the console at identity providers, and of sign-outs there."""

from dataclasses import dataclass

from kiteward.store.identity_records import ClaimedRights


@dataclass(frozen=True, slots=True)
class ProviderSignIn:
    """A sign-in at an identity provider, with which a session began.

    Attributes:
        issuer: the provider.
        subject: the user there.
        provider_session: the id of the session there (`sid`), empty where the provider names none.
        issued_at: when the ID token was issued, in seconds since the epoch by the clock of the provider.
        rights: the groups, roles and tags of the user by the ID token.
    """

    issuer: str
    subject: str
    provider_session: str
    issued_at: float
    rights: ClaimedRights


@dataclass(frozen=True, slots=True)
class ProviderLogout:
    """An identity provider's notice that a user has signed out there.

    Attributes:
        issuer: the provider.
        subject: the user there; empty where the notice names a session alone.
        provider_session: the id of the session there; empty where the notice is for all sessions of the user.
        issued_at: when it was issued, in seconds since the epoch by the clock of the provider.
    """

    issuer: str
    subject: str
    provider_session: str
    issued_at: float

    def ends(self, sign_in: ProviderSignIn | None) -> bool:
        """Return whether it ends a session that began with this sign-in; a password has none.

        A notice that names a session ends that one alone. Sessions of its user whose id the provider has not sent may
        be that one, and end as well. A notice for all sessions of a user ends those that began before it: it may
        arrive again.
        """
        if sign_in is None or sign_in.issuer != self.issuer:
            return False
        same_user = bool(self.subject) and sign_in.subject == self.subject
        if self.provider_session and sign_in.provider_session:
            return sign_in.provider_session == self.provider_session and (same_user or not self.subject)
        return same_user and sign_in.issued_at <= self.issued_at
