"""Second factors of the console's sign-in: list, enrol, remove and reset them."""

from datetime import datetime
from typing import Final

import msgspec

from kiteward.audit.events import Event
from kiteward.domain.identity import Secret, SignInStep
from kiteward.domain.second_factors import FactorProof
from kiteward.iam import second_factors
from kiteward.iam.json_api.accounts import Named, PerhapsNamed
from kiteward.iam.json_api.base import AdminOperation, Arguments, Done, Outcome, Request
from kiteward.iam.json_api.shapes import moment
from kiteward.iam.second_factors import Demanded, Enrolment
from kiteward.iam.services import Services

_ENROLLING: Final = frozenset({SignInStep.ENROLMENT})
_SESSION: Final = frozenset({"token", "sessionId"})


class ListedFactor(Outcome):
    """A second factor; `kind` is `totp` for an authenticator app, or `passkey`."""

    factor_id: str
    kind: str
    label: str
    created_at: datetime | None
    used_at: datetime | None


class ListedFactors(Outcome):
    """The second factors of a user, and how many recovery codes are left.

    `required` says whether the caller must have one; `apps` and `passkeys` what can be enrolled here.
    """

    factors: list[ListedFactor]
    recovery_codes: int
    required: bool
    apps: bool
    passkeys: bool


class StartedApp(Outcome):
    """What an authenticator app is to be given: the secret, or the URI that carries it."""

    secret: Secret
    uri: Secret


class AppConfirmed(Arguments):
    """A code that the app shows, and the password of the caller."""

    password: Secret
    code: Secret
    label: str = ""


class PasskeyWanted(Arguments):
    """Whether a passkey is to be made; otherwise one that the caller has is to be used."""

    new: bool = True


class PasskeyOptions(Outcome):
    """What the browser is to ask a device for, as JSON."""

    options: str


class NewPasskey(Arguments):
    """What the device has answered, as JSON, and the password of the caller."""

    password: Secret
    passkey: Secret
    label: str = ""


class Enrolled(Outcome):
    """A new second factor. The first one comes with recovery codes, one in a line, returned only once.

    A session that began without a second factor is replaced by another one. Without a session the user signs in again.
    """

    factor_id: str
    recovery_codes: Secret | None = None
    token: Secret | None = None
    session_id: str = ""


class Proved(Arguments):
    """The password of the caller, and a second factor: a code, or the response of a passkey."""

    password: Secret
    code: Secret = msgspec.field(default_factory=lambda: Secret(""))
    passkey: Secret = msgspec.field(default_factory=lambda: Secret(""))

    def demanded(self) -> Demanded:
        """Return what is to be verified."""
        return Demanded(self.password, FactorProof(self.code, self.passkey))


class FactorRemoved(Proved, kw_only=True):
    """Names a second factor of the caller."""

    factor_id: str


class RecoveryCodes(Outcome):
    """New recovery codes, one in a line, returned only once."""

    recovery_codes: Secret


async def listed(services: Services, request: Request, arguments: PerhapsNamed) -> ListedFactors:
    """List the second factors of a user: the caller's own, or any for administrators."""
    held = await second_factors.list_factors(services, request, arguments.user_name or request.principal.user_name)
    return ListedFactors(
        factors=[
            ListedFactor(
                factor_id=each.factor_id,
                kind=each.kind,
                label=each.label,
                created_at=moment(each.created_at),
                used_at=moment(each.used_at),
            )
            for each in held.factors
        ],
        recovery_codes=held.recovery_codes,
        required=held.required,
        apps=services.factors.apps,
        passkeys=services.factors.rules.passkeys is not None,
    )


async def app_started(services: Services, request: Request, _arguments: Arguments) -> StartedApp:
    """Return what an authenticator app of the caller is to be given. It counts for nothing until it is confirmed."""
    session = await second_factors.own_session(services, request)
    app = await services.factors.started_app(session.user_name)
    return StartedApp(secret=app.secret, uri=app.uri(session.user_name))


async def app_confirmed(services: Services, request: Request, arguments: AppConfirmed) -> Enrolled:
    """Let the authenticator app that was started count from now on."""
    return _enrolled(
        await second_factors.confirm_app(
            services,
            request,
            request.verify_password,
            password=arguments.password,
            code=arguments.code,
            label=arguments.label,
        )
    )


async def passkey_started(services: Services, request: Request, arguments: PasskeyWanted) -> PasskeyOptions:
    """Return what the browser is to ask a device for."""
    session = await second_factors.own_session(services, request)
    options = await services.factors.passkey_options(session.user_name, session.session_id, new=arguments.new)
    return PasskeyOptions(options=options)


async def passkey_added(services: Services, request: Request, arguments: NewPasskey) -> Enrolled:
    """Add a passkey that a device has made."""
    return _enrolled(
        await second_factors.add_passkey(
            services,
            request,
            request.verify_password,
            password=arguments.password,
            response=arguments.passkey,
            label=arguments.label,
        )
    )


async def removed(services: Services, request: Request, arguments: FactorRemoved) -> Done:
    """Remove a second factor of the caller."""
    await second_factors.remove_factor(
        services,
        request,
        request.verify_password,
        request.verify_factor,
        factor_id=arguments.factor_id,
        demanded=arguments.demanded(),
    )
    return Done()


async def codes_renewed(services: Services, request: Request, arguments: Proved) -> RecoveryCodes:
    """Replace the recovery codes of the caller."""
    codes = await second_factors.renew_recovery_codes(
        services, request, request.verify_password, request.verify_factor, demanded=arguments.demanded()
    )
    return RecoveryCodes(recovery_codes=codes)


async def reset(_services: Services, request: Request, arguments: Named) -> Done:
    """Remove the second factors of another user."""
    await second_factors.reset_factors(request, arguments.user_name)
    return Done()


def _enrolled(enrolment: Enrolment) -> Enrolled:
    return Enrolled(
        factor_id=enrolment.factor_id,
        recovery_codes=enrolment.recovery_codes,
        token=enrolment.token,
        session_id=enrolment.session_id,
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ListFactors",
        "second_factors/list",
        PerhapsNamed,
        ListedFactors,
        listed,
        "List the second factors of a user for the console; without a name, the caller's.",
        administrators=False,
        own=True,
        changes=False,
        steps=_ENROLLING,
    ),
    AdminOperation(
        "StartApp",
        "second_factors/start_app",
        Arguments,
        StartedApp,
        app_started,
        "Return what an authenticator app is to be given.",
        administrators=False,
        changes=False,
        rest=False,
        event=None,
        steps=_ENROLLING,
    ),
    AdminOperation(
        "ConfirmApp",
        "second_factors/confirm_app",
        AppConfirmed,
        Enrolled,
        app_confirmed,
        "Enrol an authenticator app.",
        administrators=False,
        rest=False,
        event=Event.USER_CHANGE,
        unrecorded_results=_SESSION,
        steps=_ENROLLING,
    ),
    AdminOperation(
        "StartPasskey",
        "second_factors/start_passkey",
        PasskeyWanted,
        PasskeyOptions,
        passkey_started,
        "Return what a browser is to ask a device for.",
        administrators=False,
        changes=False,
        rest=False,
        event=None,
        steps=_ENROLLING,
    ),
    AdminOperation(
        "AddPasskey",
        "second_factors/add_passkey",
        NewPasskey,
        Enrolled,
        passkey_added,
        "Enrol a passkey.",
        administrators=False,
        rest=False,
        event=Event.USER_CHANGE,
        unrecorded_results=_SESSION,
        steps=_ENROLLING,
    ),
    AdminOperation(
        "RemoveFactor",
        "second_factors/remove",
        FactorRemoved,
        Done,
        removed,
        "Remove a second factor.",
        administrators=False,
        rest=False,
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "RenewRecoveryCodes",
        "second_factors/renew_recovery_codes",
        Proved,
        RecoveryCodes,
        codes_renewed,
        "Replace the recovery codes.",
        administrators=False,
        rest=False,
        event=Event.USER_CHANGE,
    ),
    AdminOperation(
        "ResetFactors",
        "users/reset_factors",
        Named,
        Done,
        reset,
        "Remove the second factors of another user, and end the sessions of that user.",
        event=Event.USER_CHANGE,
    ),
)
