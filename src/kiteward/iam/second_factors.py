"""Second factors of the console's sign-in: list, enrol, remove and reset them. The authenticator verifies them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Final, Protocol

from kiteward.authn.second_factor import recovery_codes
from kiteward.authn.second_factor.rules import NewPasskey, PasskeyRefused
from kiteward.authn.sessions import Session
from kiteward.authn.sign_in import SignIn
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import (
    AccessDenied,
    AuthenticationError,
    InUse,
    InvalidArgument,
    LimitReached,
    NotFound,
    ProtectedObject,
    StoreError,
)
from kiteward.domain.identity import PasswordCredential, Secret, SignInStep
from kiteward.domain.second_factors import FactorKind, FactorProof
from kiteward.iam.caller import Caller, require_owner
from kiteward.iam.lookup import require_user, stored_user
from kiteward.iam.passwords import VerifyPassword, verified_password
from kiteward.iam.recorded_states import factors_before
from kiteward.iam.services import Services
from kiteward.store.factor_records import FactorRecord
from kiteward.store.transaction import Transaction

MOST_FACTORS: Final = 10
"""Most second factors of one user."""

LONGEST_LABEL: Final = 64
"""Most characters of the name of a second factor."""

_SESSION: Final = "session:"
_LOCAL: Final = "local"


class VerifyFactor(Protocol):
    """Verifies and consumes a second factor of a user, limited and counted like one at the sign-in."""

    async def __call__(self, user_name: str, proof: FactorProof, *, holder: str) -> FactorKind:
        """Return its kind; raises FactorRejected. `holder` is the session that a passkey was asked for in."""
        ...


@dataclass(frozen=True, slots=True)
class Demanded:
    """What a change of second factors demands from its caller, beside the session.

    Attributes:
        password: of the caller.
        proof: a second factor of the caller.
    """

    password: Secret
    proof: FactorProof


@dataclass(frozen=True, slots=True)
class HeldFactors:
    """The second factors of a user.

    Attributes:
        factors: those that are confirmed, the oldest first.
        recovery_codes: how many recovery codes are left.
        required: whether the user must have one; of others than the caller this is not known.
    """

    factors: Sequence[FactorRecord]
    recovery_codes: int
    required: bool = False


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The result of an enrolment.

    Attributes:
        factor_id: the new second factor.
        recovery_codes: the recovery codes of the user, if it is the first one; they are known to nobody else.
        token: of a session that takes the place of the caller's, if that began without a second factor.
        session_id: of that session, or of the caller's; empty where the user has to sign in again.
    """

    factor_id: str
    recovery_codes: Secret | None = None
    token: Secret | None = None
    session_id: str = ""


async def list_factors(services: Services, caller: Caller, user_name: str) -> HeldFactors:
    """Return the second factors of a user: the caller's own, or any for administrators.

    Raises:
        AccessDenied: for another user, the caller is not an administrator.
        UserNotFound: there is no such user.
    """
    require_owner(caller, user_name)
    await stored_user(services, user_name)
    own = caller.principal.user_name == user_name
    required = caller.principal.step is SignInStep.ENROLMENT or services.factors.rules.requires(caller.principal)
    return HeldFactors(
        _confirmed(await services.store.factors(user_name)),
        await services.store.recovery_codes(user_name),
        required=own and required,
    )


async def own_session(services: Services, caller: Caller) -> Session:
    """Return the session of the console that the caller authenticated with.

    Raises:
        AccessDenied: the caller authenticated otherwise.
    """
    credential = caller.principal.credential
    session = (
        await services.sessions.get(credential.removeprefix(_SESSION)) if credential.startswith(_SESSION) else None
    )
    if session is None:
        raise AccessDenied(
            "second factors are enrolled and removed in the console alone",
            ErrorDetail(ErrorCode.CONSOLE_SESSION_NEEDED),
        )
    return session


async def confirm_app(
    services: Services, caller: Caller, verify: VerifyPassword, *, password: Secret, code: Secret, label: str
) -> Enrolment:
    """Let the authenticator app that the caller has started count from now on.

    Args:
        services: what services work with.
        caller: whose it is, with a session of the console.
        verify: verifies the password.
        password: of the caller.
        code: that the app shows.
        label: its name for people, or empty.

    Raises:
        AccessDenied: the caller has no session of the console.
        OldPasswordWrong: the password is wrong.
        NotFound: no app was started lately.
        InvalidArgument: the code is wrong, or the name is not acceptable.
        LimitReached: there are too many.
    """
    session = await own_session(services, caller)
    name = session.user_name
    _check_label(label)
    await verified_password(verify, PasswordCredential(name, password), field="password")
    app = await services.factors.unconfirmed_app(name)
    if app is None:
        raise _not_started()
    step = services.factors.step_of(app, code)
    if step is None:
        raise InvalidArgument("the app shows another code", ErrorDetail(ErrorCode.APP_CODE_WRONG), field="code")
    async with caller.change() as transaction:
        codes = await _room_for_another(transaction, name)
        if not await transaction.factors.confirm(app.factor_id, name, label=label, step=step, now=time.time()):
            raise _not_started()
    caller.record(kind=str(FactorKind.TOTP))
    return await _enrolled(services, session, Enrolment(app.factor_id, codes), FactorKind.TOTP)


async def add_passkey(
    services: Services, caller: Caller, verify: VerifyPassword, *, password: Secret, response: Secret, label: str
) -> Enrolment:
    """Add a passkey that a device of the caller has made.

    Args:
        services: what services work with.
        caller: whose it is, with a session of the console.
        verify: verifies the password.
        password: of the caller.
        response: what the browser got from the device, as JSON.
        label: its name for people, or empty.

    Raises:
        InvalidArgument: the response is not accepted, or the name is not acceptable.
        AccessDenied, OldPasswordWrong, LimitReached: as `confirm_app`.
        OperationRefused: it is not configured for which pages passkeys are.
    """
    session = await own_session(services, caller)
    name = session.user_name
    _check_label(label)
    await verified_password(verify, PasswordCredential(name, password), field="password")
    try:
        passkey = await services.factors.made_passkey(name, response, holder=session.session_id)
    except PasskeyRefused as refused:
        raise _refused(str(refused)) from None
    factor = _passkey(name, passkey, label)
    async with caller.change() as transaction:
        codes = await _room_for_another(transaction, name)
        if await transaction.factors.has_passkey(passkey.credential_id):
            raise _refused("it was enrolled before")
        await transaction.factors.add(factor)
    caller.record(kind=str(FactorKind.PASSKEY))
    return await _enrolled(services, session, Enrolment(factor.factor_id, codes), FactorKind.PASSKEY)


def _passkey(name: str, made: NewPasskey, label: str) -> FactorRecord:
    """Return a passkey as it is stored: it has proved itself by being made."""
    now = time.time()
    return FactorRecord(
        token_hex(8),
        name,
        FactorKind.PASSKEY,
        label,
        now,
        confirmed_at=now,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
    )


async def remove_factor(
    services: Services,
    caller: Caller,
    verify: VerifyPassword,
    verify_factor: VerifyFactor,
    *,
    factor_id: str,
    demanded: Demanded,
) -> None:
    """Remove a second factor of the caller. With the last one, the recovery codes go.

    Raises:
        AccessDenied: the caller has no session of the console.
        OldPasswordWrong, FactorRejected: what is demanded is wrong.
        NotFound: the caller has no such second factor.
        InUse: it is the last one, and the caller must have one.
    """
    name = await _prove(services, caller, verify, verify_factor, demanded)
    async with caller.change() as transaction:
        held = _confirmed(await transaction.factors.of(name))
        last = [each.factor_id for each in held] == [factor_id]
        if last and services.factors.rules.requires(caller.principal):
            raise InUse(
                "this is the only second factor, and there must be one: enrol another one first",
                ErrorDetail(ErrorCode.FACTOR_NEEDED),
            )
        removed = [each for each in held if each.factor_id == factor_id]
        caller.record(before=factors_before(removed))
        if not await transaction.factors.remove(factor_id, name):
            raise NotFound(
                f"second factor not found: {factor_id}", ErrorDetail(ErrorCode.FACTOR_NOT_FOUND), field="factorId"
            )
        if last:
            await transaction.factors.replace_codes(name, ())


async def renew_recovery_codes(
    services: Services, caller: Caller, verify: VerifyPassword, verify_factor: VerifyFactor, *, demanded: Demanded
) -> Secret:
    """Replace the recovery codes of the caller, and return the new ones, which are known to nobody else.

    Raises:
        As `remove_factor`, without NotFound and InUse.
    """
    name = await _prove(services, caller, verify, verify_factor, demanded)
    codes = recovery_codes.new_codes()
    async with caller.change() as transaction:
        await transaction.factors.replace_codes(name, [recovery_codes.digest_of(name, code) for code in codes])
    return Secret("\n".join(codes))


async def reset_factors(caller: Caller, user_name: str) -> None:
    """Remove all second factors of a user who has lost them, with the recovery codes, and end the user's sessions.

    Raises:
        ProtectedObject: the caller is that user, who removes them with a password and a second factor.
        UserNotFound: there is no such user.
    """
    principal = caller.principal
    if principal.user_name == user_name and principal.credential != _LOCAL:
        raise ProtectedObject(
            "your own second factors are removed in the console, with the password and one of them",
            ErrorDetail(ErrorCode.OWN_FACTORS),
        )
    async with caller.change() as transaction:
        await require_user(transaction, user_name)
        caller.record(before=factors_before(_confirmed(await transaction.factors.of(user_name))))
        await transaction.users.reset_factors(user_name)


async def _prove(
    services: Services, caller: Caller, verify: VerifyPassword, verify_factor: VerifyFactor, demanded: Demanded
) -> str:
    """Verify what a change demands, and return the name of the caller."""
    session = await own_session(services, caller)
    name = session.user_name
    await verified_password(verify, PasswordCredential(name, demanded.password), field="password")
    kind = await verify_factor(name, demanded.proof, holder=session.session_id)
    caller.record(provedBy=str(kind))
    return name


async def _room_for_another(transaction: Transaction, name: str) -> Secret | None:
    """Return new recovery codes, which are stored, if a user is about to have the first second factor.

    Raises:
        LimitReached: the user has too many.
    """
    held = _confirmed(await transaction.factors.of(name))
    if len(held) >= MOST_FACTORS:
        raise LimitReached(
            f"a user has at most {MOST_FACTORS} second factors: remove one first",
            ErrorDetail(ErrorCode.FACTORS_LIMIT, {"limit": MOST_FACTORS}),
        )
    if held:
        return None
    codes = recovery_codes.new_codes()
    await transaction.factors.replace_codes(name, [recovery_codes.digest_of(name, code) for code in codes])
    return Secret("\n".join(codes))


async def _enrolled(services: Services, session: Session, enrolment: Enrolment, kind: FactorKind) -> Enrolment:
    """Replace the session of the caller, which began without a second factor; no such session is accepted any more.

    The second factor counts by now, and its recovery codes are shown once: where no session can begin, the user signs
    in again.
    """
    record = session.record
    if record.factor:
        return replace(enrolment, session_id=session.session_id)
    sign_in = SignIn(
        record.user_name, record.verified_id, record.current_id, record.address, record.description, factor=kind
    )
    try:
        over = [each.session_id for each in await services.sessions.of(session.user_name) if not each.record.factor]
        await services.sessions.end(over)
        token = await services.sessions.begin(sign_in)
        begun = await services.sessions.find(token)
    except (StoreError, LimitReached, AuthenticationError):
        return enrolment
    return replace(enrolment, token=token, session_id=begun.session_id)


def _confirmed(factors: Sequence[FactorRecord]) -> list[FactorRecord]:
    return [each for each in factors if each.confirmed_at is not None]


def _check_label(label: str) -> None:
    if len(label) > LONGEST_LABEL or not (label.isprintable() or not label):
        raise InvalidArgument(
            f"the name must have at most {LONGEST_LABEL} characters, all of them printable",
            ErrorDetail(ErrorCode.FACTOR_LABEL_INVALID, {"limit": LONGEST_LABEL}),
            field="label",
        )


def _refused(why: str) -> InvalidArgument:
    return InvalidArgument(
        f"the passkey is not accepted: {why}", ErrorDetail(ErrorCode.PASSKEY_REFUSED), field="passkey"
    )


def _not_started() -> NotFound:
    return NotFound(
        "no authenticator app was started in the last minutes: start again", ErrorDetail(ErrorCode.APP_NOT_STARTED)
    )
