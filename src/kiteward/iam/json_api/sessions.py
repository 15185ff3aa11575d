"""Sessions of the console: begin one with a password or through an identity provider, list and end them."""

from datetime import datetime
from typing import Final

import msgspec

from kiteward.audit.events import Event
from kiteward.authn.sessions import Session
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied
from kiteward.domain.identity import Secret, SignInStep
from kiteward.domain.second_factors import FactorKind, FactorProof
from kiteward.iam import sessions
from kiteward.iam.json_api.accounts import PerhapsNamed
from kiteward.iam.json_api.base import AdminOperation, Arguments, Done, Outcome, Request
from kiteward.iam.json_api.shapes import moment
from kiteward.iam.services import Services


class NewSession(Arguments):
    """How the browser describes itself."""

    description: str = ""


class BegunSession(Outcome):
    """What a right password has led to, returned only once: a session's token, or a ticket for a second factor."""

    token: Secret | None = None
    ticket: Secret | None = None


class SignInDue(Outcome):
    """What may be presented as a second factor; `passkeyOptions` is for the browser, empty without passkeys."""

    user_name: str
    apps: bool
    passkey_options: str


class FactorGiven(Arguments):
    """A second factor: a code of an app or a recovery code, or the response of a passkey as JSON."""

    code: Secret = msgspec.field(default_factory=lambda: Secret(""))
    passkey: Secret = msgspec.field(default_factory=lambda: Secret(""))


class SessionNamed(Arguments):
    """Names a session by its public id."""

    session_id: str


class SessionsOf(Arguments):
    """Selects whose sessions to end: the caller's without `userName`. `keepCurrent` excludes the caller's session."""

    user_name: str = ""
    keep_current: bool = False


class ListedSession(Outcome):
    """A session, without its token; `issuer` and `subject` of one that began through an identity provider."""

    session_id: str
    user_name: str
    address: str
    description: str
    current: bool
    began_at: datetime | None
    used_at: datetime | None
    ends_at: datetime | None
    issuer: str | None = None
    subject: str | None = None


class ListedSessions(Outcome):
    """All sessions of a user, the latest first."""

    sessions: list[ListedSession]


class EndedByProvider(Outcome):
    """The users whose sessions an identity provider has ended."""

    user_names: list[str]


async def begun(_services: Services, request: Request, arguments: NewSession) -> BegunSession:
    """Begin a session of the console; the caller must authenticate with a password, or at an identity provider."""
    begun = await request.begin_session(arguments.description)
    return BegunSession(token=begun.token, ticket=begun.ticket)


async def due(services: Services, request: Request, _arguments: Arguments) -> SignInDue:
    """Return what the caller, who presented a password, may present as a second factor."""
    if request.principal.step is not SignInStep.SECOND_FACTOR:
        raise AccessDenied("a second factor follows a password", ErrorDetail(ErrorCode.SESSION_NEEDS_PASSWORD))
    name = request.principal.user_name
    held = [each for each in await services.store.factors(name) if each.confirmed_at is not None]
    usable = services.factors.rules.passkeys is not None and any(each.kind == FactorKind.PASSKEY for each in held)
    holder = request.principal.credential.partition(":")[2]
    return SignInDue(
        user_name=name,
        apps=any(each.kind == FactorKind.TOTP for each in held),
        passkey_options=await services.factors.passkey_options(name, holder, new=False) if usable else "",
    )


async def finished(_services: Services, request: Request, arguments: FactorGiven) -> BegunSession:
    """Begin a session of the console for a caller who presents a second factor after the password."""
    proof = FactorProof(arguments.code, arguments.passkey)
    return BegunSession(token=await request.finish_sign_in(proof))


async def listed(services: Services, request: Request, arguments: PerhapsNamed) -> ListedSessions:
    """List a user's sessions: the caller's own, or any for administrators."""
    name = arguments.user_name or request.principal.user_name
    found = await sessions.list_sessions(services, request, name)
    return ListedSessions(sessions=[_listed(services, request, session) for session in found])


def _listed(services: Services, request: Request, session: Session) -> ListedSession:
    sign_in = session.record.sign_in
    return ListedSession(
        session_id=session.session_id,
        user_name=session.user_name,
        address=session.record.address,
        description=session.record.description,
        current=sessions.is_own_session(request, session),
        began_at=moment(session.began_at),
        used_at=moment(session.used_at),
        ends_at=moment(services.sessions.rules.ends_at(session.began_at, session.used_at)),
        issuer=None if sign_in is None else sign_in.issuer,
        subject=None if sign_in is None else sign_in.subject,
    )


async def ended(services: Services, request: Request, arguments: SessionNamed) -> Done:
    """End a session: one of the caller's own, or any for administrators."""
    await sessions.end_session(services, request, arguments.session_id)
    return Done()


async def all_ended(services: Services, request: Request, arguments: SessionsOf) -> Done:
    """End all sessions of a user: the caller's own, or any for administrators."""
    name = arguments.user_name or request.principal.user_name
    await sessions.end_sessions(services, request, name, keep_current=arguments.keep_current)
    return Done()


async def ended_by_provider(_services: Services, request: Request, _arguments: Arguments) -> EndedByProvider:
    """End the sessions that the notice of an identity provider is about; the notice is the credential of the call."""
    user_names = list(await request.end_by_provider())
    request.record(userNames=user_names)
    return EndedByProvider(user_names=user_names)


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "BeginSession",
        "sessions/begin",
        NewSession,
        BegunSession,
        begun,
        "Start a console session.",
        administrators=False,
        changes=False,
        rest=False,
        event=Event.SESSION,
        one_time_password=True,
    ),
    AdminOperation(
        "DescribeSignIn",
        "sessions/describe_sign_in",
        Arguments,
        SignInDue,
        due,
        "Return what may be presented as a second factor.",
        administrators=False,
        changes=False,
        rest=False,
        event=None,
        steps=frozenset({SignInStep.SECOND_FACTOR}),
    ),
    AdminOperation(
        "FinishSignIn",
        "sessions/finish_sign_in",
        FactorGiven,
        BegunSession,
        finished,
        "Start a console session with a second factor.",
        administrators=False,
        changes=False,
        rest=False,
        event=Event.SESSION,
        steps=frozenset({SignInStep.SECOND_FACTOR}),
    ),
    AdminOperation(
        "ListSessions",
        "sessions/list",
        PerhapsNamed,
        ListedSessions,
        listed,
        "List the console sessions of a user; without a name, the caller's.",
        administrators=False,
        own=True,
        changes=False,
    ),
    AdminOperation(
        "EndSession",
        "sessions/end",
        SessionNamed,
        Done,
        ended,
        "End a console session.",
        administrators=False,
        own=True,
        changes=False,
        event=Event.SESSION,
        one_time_password=True,
        steps=frozenset({SignInStep.ENROLMENT}),
    ),
    AdminOperation(
        "EndSessions",
        "sessions/end_all",
        SessionsOf,
        Done,
        all_ended,
        "End all console sessions of a user; without a name, the caller's.",
        administrators=False,
        own=True,
        changes=False,
        event=Event.SESSION,
    ),
    AdminOperation(
        "EndSessionsByProvider",
        "sessions/end_by_provider",
        Arguments,
        EndedByProvider,
        ended_by_provider,
        "End the console sessions that an identity provider has ended.",
        administrators=False,
        changes=False,
        rest=False,
        event=Event.SESSION,
    ),
)
