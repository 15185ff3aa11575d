"""Makes users of those who sign in by a token for the first time, where that is allowed."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from kiteward.audit.events import Event
from kiteward.authn.oidc import refusals
from kiteward.authn.oidc.claims import FederatedIdentity
from kiteward.authn.oidc.issuers import Issuer, SignUp
from kiteward.authn.oidc.tokens import VerifiedToken
from kiteward.authn.system_events import SystemEventRecorder
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import TokenRejected
from kiteward.store.base import Store
from kiteward.store.records import NO_PASSWORD, UserRecord
from kiteward.store.transaction import Transaction

OPERATION: Final = "SignUp"
"""How the audit trail names it."""


class SignUps:
    """Binds identities to users: to a new one, or to one who was invited. An identity stays bound."""

    def __init__(self, store: Store, *, most_users: int) -> None:
        """Set up without a way to change the store.

        Args:
            store: holds the users.
            most_users: most users there may be.
        """
        self._store = store
        self._most_users = most_users
        self._change: Callable[[], AbstractAsyncContextManager[Transaction]] | None = None
        self._events: SystemEventRecorder | None = None

    def change_by(
        self, change: Callable[[], AbstractAsyncContextManager[Transaction]], events: SystemEventRecorder
    ) -> None:
        """Set what changes the store and what records that."""
        self._change, self._events = change, events

    async def sign_up(self, verified: VerifiedToken, identity: FederatedIdentity) -> None:
        """Bind an identity that signs in nobody yet.

        Args:
            verified: its token.
            identity: the identity.

        Raises:
            TokenRejected: no user is open for it, or the token is too old for its user name.
            KitewardError: as `PolicyCache.change`.
        """
        issuer, name = verified.issuer, identity.user_name
        # Nobody who cannot become a user makes others wait for a transaction.
        _require_open(issuer, identity, await self._store.user(name))
        _require_current(verified, await self._store.tokens_not_before(issuer.name, name))
        if self._change is None or self._events is None:
            raise _nobody(identity)
        details = {"userName": name, "issuer": identity.issuer, "subject": identity.subject}
        async with self._change() as transaction:
            if await transaction.identities.user_of(identity.issuer, identity.subject) is not None:
                return  # another request with the same token was faster
            record = await transaction.users.get(name)
            _require_open(issuer, identity, record)
            _require_current(verified, await transaction.identities.not_before(issuer.name, name))
            if record is None:
                await self._add(transaction, identity)
            else:
                await transaction.identities.settle(name, identity.subject)
            await self._events.store_system_event(transaction, Event.USER_CHANGE, OPERATION, **details)
        self._events.note_system_event(Event.USER_CHANGE, OPERATION, **details)

    async def _add(self, transaction: Transaction, identity: FederatedIdentity) -> None:
        if await transaction.users.count() >= self._most_users:
            raise refusals.refused(ErrorCode.USERS_LIMIT, "its user cannot be created: the limit of users is reached")
        await transaction.users.add(identity.user_name, NO_PASSWORD)
        await transaction.identities.add(identity.user_name, identity.issuer, identity.subject)


def _require_open(issuer: Issuer, identity: FederatedIdentity, record: UserRecord | None) -> None:
    """Require that an identity may be bound to the user of its name.

    Args:
        issuer: the issuer.
        identity: the identity.
        record: the user of that name, or None.

    Raises:
        TokenRejected: somebody else has the name, or nobody was invited.
    """
    if record is None:
        if issuer.sign_up is not SignUp.CREATE:
            raise _nobody(identity)
        return
    held = record.identity
    # Its own subject is there already where another request with a token of it was faster.
    if held is None or held.issuer != identity.issuer or held.subject not in (None, identity.subject):
        raise refusals.refused(
            ErrorCode.IDENTITY_NAME_TAKEN,
            "the user name that is made from its claims belongs to somebody else: ask an administrator",
            reason=f"{_shown(identity)} would become `{identity.user_name}`, who is "
            + ("a local user" if held is None else f"{held.subject or 'invited'} of {held.issuer}"),
        )


def _require_current(verified: VerifiedToken, not_before: float) -> None:
    """Require that a token was issued since a moment, in seconds since the epoch.

    Raises:
        TokenRejected: it was issued before.
    """
    if verified.issued_at < not_before:
        raise refusals.cut_off(not_before)


def _nobody(identity: FederatedIdentity) -> TokenRejected:
    return refusals.refused(
        ErrorCode.IDENTITY_NOT_INVITED,
        "nobody has invited its user: ask an administrator for an invitation",
        reason=f"{_shown(identity)} is no user; the name of an invitation would be `{identity.user_name}`",
    )


def _shown(identity: FederatedIdentity) -> str:
    return f"the subject {identity.subject} of {identity.issuer}"
