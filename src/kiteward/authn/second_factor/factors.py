"""Verifies second factors, limited like passwords, and holds sign-ins that wait for one."""

import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.authn.second_factor import recovery_codes, totp
from kiteward.authn.second_factor.rules import NewPasskey, PasskeyRefused, PasskeyRules, SecondFactorRules
from kiteward.authn.second_factor.sealing import FactorKey
from kiteward.authn.shared_throttle import Admission, AttemptLimits, OwnLimits
from kiteward.authn.sign_in import MOST_DESCRIPTION, SignIn
from kiteward.authn.throttle import Throttle
from kiteward.domain.addresses import host_in, source_of
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import FactorRejected, OperationRefused, SessionEnded
from kiteward.domain.identity import Secret
from kiteward.domain.second_factors import FactorKind, FactorProof
from kiteward.store.base import Store
from kiteward.store.factor_records import FactorRecord, TicketRecord
from kiteward.store.sign_in_failures import second_factor_of

_log = logging.getLogger("kiteward.authn")

THROTTLED: Final = "throttled after wrong second factors"
"""Reason, for operators, why a second factor was not verified."""

_TICKET_SECONDS: Final = 300.0
_CHALLENGE_SECONDS: Final = 300.0
"""Seconds in which a second factor, and the response of a passkey, must be presented."""

_ENROLMENT_SECONDS: Final = 900.0
"""Seconds in which the secret of an app must be confirmed."""

_MOST_TICKETS: Final = 8
"""The number of sign-ins of one user that wait for a second factor; one more replaces the oldest."""

_TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class HeldTicket:
    """A valid ticket.

    Attributes:
        ticket_id: its public id.
        sign_in: what it was given for.
    """

    ticket_id: str
    sign_in: TicketRecord


@dataclass(frozen=True, slots=True)
class StartedApp:
    """An authenticator app that is to be confirmed by a code.

    Attributes:
        factor_id: its id.
        secret: what the app is to be given.
    """

    factor_id: str
    secret: Secret

    def uri(self, user_name: str) -> Secret:
        """Return the `otpauth:` URI of it, which apps read from a QR code."""
        return totp.enrolment_uri(self.secret, user_name)


class SecondFactors:
    """The second factors of all users, as the store has them.

    Failures are counted apart from wrong passwords, by the same rules, and lock the user in the same way: a right
    password must not end the wait after wrong codes. What was accepted is consumed in the store before it counts, so
    that it is accepted once by all servers that share it.
    """

    def __init__(
        self,
        store: Store,
        rules: SecondFactorRules | None = None,
        *,
        key: FactorKey | None = None,
        limits: AttemptLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what they are verified by.

        Args:
            store: holds them.
            rules: who must have one, and for which pages passkeys are; None for the defaults.
            key: seals the secrets of authenticator apps; None where there can be none.
            limits: limits guessing, apart from those of passwords; None for those of a single server.
            clock: returns seconds since the epoch.
        """
        self.rules = rules or SecondFactorRules()
        self._store = store
        self._key = key
        self._limits: AttemptLimits = limits or OwnLimits(Throttle())
        self._clock = clock
        self._lock: Callable[[str], Awaitable[None]] | None = None

    @property
    def apps(self) -> bool:
        """Whether authenticator apps can be enrolled."""
        return self._key is not None

    def on_lockout(self, lock: Callable[[str], Awaitable[None]]) -> None:
        """Set the function that locks a user after too many failures in a row."""
        self._lock = lock

    def clear_failures(self, user_names: Iterable[str]) -> None:
        """Reset the failure counts of users who were unlocked, or whose second factors were reset."""
        for name in user_names:
            self._limits.throttle.clear_failures(second_factor_of(name))

    # Sign-ins that wait for a second factor

    async def begin(self, sign_in: SignIn) -> Secret:
        """Keep a sign-in whose password was right, and return the token of its ticket, whose digest alone is kept.

        Raises:
            StoreUnavailable: it could not be stored.
        """
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock()
        record = TicketRecord(
            sign_in.user_name,
            sign_in.verified_id,
            sign_in.current_id,
            sign_in.address,
            sign_in.description[:MOST_DESCRIPTION],
            now + _TICKET_SECONDS,
        )
        async with self._store.transaction() as transaction:
            await transaction.factors.put_ticket(_digest(token), record, now=now, most=_MOST_TICKETS)
            await transaction.commit()
        return Secret(token)

    async def ticket(self, token: Secret) -> HeldTicket:
        """Return the ticket of a token.

        Raises:
            SessionEnded: there is none, or it has expired.
            StoreUnavailable: it cannot be read.
        """
        digest = _digest(token.reveal())
        record = await self._store.sign_in_ticket(digest)
        if record is None or self._clock() >= record.ends_at:
            raise _over()
        return HeldTicket(digest[:16], record)

    async def finish(self, token: Secret, proof: FactorProof, *, address: str) -> SignIn:
        """Return the sign-in of a ticket, which ends, with the second factor that was presented for it.

        Args:
            token: of the ticket.
            proof: the second factor.
            address: where the request comes from, as `host:port`.

        Raises:
            FactorRejected: the second factor is not accepted; the ticket stays.
            SessionEnded: there is no such ticket, or it has ended.
            StoreUnavailable: as `verify`.
        """
        ticket = await self.ticket(token)
        held = ticket.sign_in
        kind = await self.verify(held.user_name, proof, holder=ticket.ticket_id, address=address)
        async with self._store.transaction() as transaction:
            taken = await transaction.factors.take_ticket(_digest(token.reveal()))
            await transaction.commit()
        if not taken:
            raise _over()
        return SignIn(held.user_name, held.verified_id, held.current_id, address, held.description, factor=kind)

    # Verification

    async def verify(self, user_name: str, proof: FactorProof, *, holder: str, address: str) -> FactorKind:
        """Verify a second factor of a user and consume it, so that it is accepted once.

        Args:
            user_name: the user.
            proof: what was presented.
            holder: the public id of the session or ticket that a passkey was asked for in.
            address: where the request comes from, as `host:port`.

        Raises:
            FactorRejected: it is wrong, was used before, or too many were wrong.
            StoreUnavailable: it cannot be verified, or not be counted.
        """
        name, source = second_factor_of(user_name), source_of(host_in(address))
        throttle = self._limits.throttle
        if not throttle.begin(name, source):
            raise _rejected(THROTTLED)
        right, begun = None, False
        try:
            begun = await self._limits.begin(name, source) is Admission.BEGUN
            if not begun:
                throttle.note_refusal(name, source)
                raise _rejected(THROTTLED)
            try:
                kind = await self._matching(user_name, proof, holder)
            except FactorRejected:
                right = False
                raise
            right = True
        finally:
            # Before anybody gets to know the result: where it cannot be counted, that is an error for a right one too.
            if not begun:
                throttle.end(name, source, right=None)
            elif await self._limits.end(name, source, right=right) and self._lock is not None:
                await self._lock(user_name)
        return kind

    async def _matching(self, user_name: str, proof: FactorProof, holder: str) -> FactorKind:
        held = [each for each in await self._store.factors(user_name) if each.confirmed_at is not None]
        if proof.passkey:
            return await self._by_passkey(user_name, held, proof.passkey, holder)
        code = "".join(proof.code.reveal().split())
        if totp.is_code(code):
            return await self._by_app(held, code)
        async with self._store.transaction() as transaction:
            taken = await transaction.factors.take_code(user_name, recovery_codes.digest_of(user_name, code))
            await transaction.commit()
        if not taken:
            raise _rejected("neither a code of an app nor a recovery code of the user")
        return FactorKind.RECOVERY_CODE

    async def _by_app(self, held: Sequence[FactorRecord], code: str) -> FactorKind:
        now = self._clock()
        for factor in held:
            secret = self._opened(factor) if factor.kind == FactorKind.TOTP else None
            step = None if secret is None else totp.matching_step(secret, code, now)
            if step is not None:
                async with self._store.transaction() as transaction:
                    accepted = await transaction.factors.accept_step(factor.factor_id, step, now=now)
                    await transaction.commit()
                if not accepted:
                    raise _rejected("the code, or a later one, was used before")
                return FactorKind.TOTP
        raise _rejected("wrong code")

    async def _by_passkey(
        self, user_name: str, held: Sequence[FactorRecord], response: Secret, holder: str
    ) -> FactorKind:
        from kiteward.authn.second_factor import passkeys  # noqa: PLC0415  loads a large library

        try:
            factor = _passkey_of(held, passkeys.credential_of(response))
            challenge = await self._taken_challenge(user_name, passkeys.challenge_of(response), holder)
            sign_count = passkeys.used(
                self._passkeys(),
                response,
                challenge=challenge,
                public_key=factor.public_key,
                sign_count=factor.sign_count,
            )
        except PasskeyRefused as refused:
            raise _rejected(f"passkey: {refused}") from None
        async with self._store.transaction() as transaction:
            there = await transaction.factors.note_passkey(factor.factor_id, sign_count=sign_count, now=self._clock())
            await transaction.commit()
        if not there:
            raise _rejected("the passkey was removed meanwhile")
        return FactorKind.PASSKEY

    def _opened(self, factor: FactorRecord) -> Secret | None:
        secret = None if self._key is None else self._key.open(factor.sealed, about=_about(factor))
        if secret is None:
            _log.error(
                "the authenticator app %s of %s cannot be used: its secret was sealed with another key than "
                "kiteward.console.factorKey, or factors.key in the data directory",
                factor.factor_id,
                factor.user_name,
            )
        return secret

    # Enrolment

    async def started_app(self, user_name: str) -> StartedApp:
        """Return the authenticator app of a user that is to be confirmed; a new one unless one was started lately.

        Raises:
            OperationRefused: there is no key to seal its secret with.
            StoreUnavailable: it could not be stored.
        """
        if self._key is None:
            raise OperationRefused(
                "authenticator apps need kiteward.console.factorKeyFile where servers share the store",
                ErrorDetail(ErrorCode.APPS_NOT_CONFIGURED),
            )
        found, now = await self.unconfirmed_app(user_name), self._clock()
        if found is not None:
            return found
        secret, factor_id = totp.new_secret(), secrets.token_hex(8)
        factor = FactorRecord(factor_id, user_name, FactorKind.TOTP, "", now)
        sealed = self._key.seal(secret, about=_about(factor))
        async with self._store.transaction() as transaction:
            await transaction.factors.remove_unconfirmed(user_name)
            await transaction.factors.add(FactorRecord(factor_id, user_name, FactorKind.TOTP, "", now, sealed=sealed))
            await transaction.commit()
        return StartedApp(factor_id, secret)

    async def unconfirmed_app(self, user_name: str) -> StartedApp | None:
        """Return the authenticator app of a user that was started lately and is to be confirmed, or None."""
        earliest = self._clock() - _ENROLMENT_SECONDS
        for factor in await self._store.factors(user_name):
            if factor.confirmed_at is None and factor.created_at > earliest:
                secret = self._opened(factor)
                return None if secret is None else StartedApp(factor.factor_id, secret)
        return None

    def step_of(self, app: StartedApp, code: Secret) -> int | None:
        """Return the time step of a code of an app that is to be confirmed, or None if the code is wrong."""
        text = "".join(code.reveal().split())
        return totp.matching_step(app.secret, text, self._clock()) if totp.is_code(text) else None

    async def passkey_options(self, user_name: str, holder: str, *, new: bool) -> str:
        """Return the options for a passkey, with a challenge that is good for one response, as JSON.

        Args:
            user_name: the user.
            holder: the public id of the session or ticket.
            new: whether one is to be made; else one that the user has is to be used.

        Raises:
            OperationRefused: it is not configured for which pages passkeys are.
            StoreUnavailable: the challenge could not be stored.
        """
        from kiteward.authn.second_factor import passkeys  # noqa: PLC0415

        rules, challenge, now = self._passkeys(), secrets.token_bytes(_TOKEN_BYTES), self._clock()
        known = [each.credential_id for each in await self._store.factors(user_name) if each.credential_id is not None]
        async with self._store.transaction() as transaction:
            await transaction.factors.put_challenge(
                hashlib.sha256(challenge).hexdigest(), user_name, holder, now=now, ends_at=now + _CHALLENGE_SECONDS
            )
            await transaction.commit()
        if new:
            return passkeys.registration_options(rules, user_name, challenge=challenge, known=known)
        return passkeys.authentication_options(rules, challenge=challenge, known=known)

    async def made_passkey(self, user_name: str, response: Secret, *, holder: str) -> NewPasskey:
        """Return the passkey that a device has made for a user. It is not stored yet.

        Raises:
            PasskeyRefused: as `passkeys.made`; or the challenge is not one of this session, or was used.
            OperationRefused: as `passkey_options`.
            StoreUnavailable: the challenge cannot be read.
        """
        from kiteward.authn.second_factor import passkeys  # noqa: PLC0415

        rules, given = self._passkeys(), passkeys.challenge_of(response)
        return passkeys.made(rules, response, challenge=await self._taken_challenge(user_name, given, holder))

    async def _taken_challenge(self, user_name: str, challenge: bytes, holder: str) -> bytes:
        async with self._store.transaction() as transaction:
            taken = await transaction.factors.take_challenge(
                hashlib.sha256(challenge).hexdigest(), user_name, holder, now=self._clock()
            )
            await transaction.commit()
        if not taken:
            raise PasskeyRefused("the challenge is none of this session, has expired or was used")
        return challenge

    def _passkeys(self) -> PasskeyRules:
        if self.rules.passkeys is None:
            raise OperationRefused(
                "passkeys need kiteward.console.passkeys.rpId, the host name of the console",
                ErrorDetail(ErrorCode.PASSKEYS_NOT_CONFIGURED),
            )
        return self.rules.passkeys


def _passkey_of(held: Sequence[FactorRecord], credential_id: str) -> FactorRecord:
    """Return the passkey among second factors that has an id."""
    for factor in held:
        if factor.credential_id == credential_id:
            return factor
    raise PasskeyRefused("no passkey of the user")


def _about(factor: FactorRecord) -> str:
    """Return what the secret of an app is sealed for."""
    return f"{factor.factor_id} {factor.user_name}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _over() -> SessionEnded:
    return SessionEnded("the sign-in took too long, or has ended: sign in again")


def _rejected(reason: str) -> FactorRejected:
    return FactorRejected("the second factor is wrong, was used before, or must wait", reason=reason)
