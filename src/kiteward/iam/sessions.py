"""Sessions of the console: list and end them. The authenticator begins them."""

from collections.abc import Sequence

from kiteward.authn.sessions import Session
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import NotFound
from kiteward.iam.caller import Caller, is_administrator, require_owner
from kiteward.iam.lookup import stored_user
from kiteward.iam.services import Services


async def list_sessions(services: Services, caller: Caller, user_name: str) -> Sequence[Session]:
    """Return the current sessions of a user, the latest first: the caller's own, or any for administrators.

    Raises:
        AccessDenied: for another user, the caller is not an administrator.
        UserNotFound: there is no such user.
    """
    require_owner(caller, user_name)
    record = await stored_user(services, user_name)
    # A session of an earlier credential has ended, although no request has used it since.
    current = record.credential_id if record.enabled and record.locked_at is None else None
    return [each for each in await services.sessions.of(user_name) if each.record.current_id == current]


async def end_session(services: Services, caller: Caller, session_id: str) -> None:
    """End a session: one of the caller's, or any for administrators; with a one-time password only the one in use.

    Raises:
        NotFound: there is none that the caller may end.
    """
    session = await services.sessions.get(session_id)
    if session is None or not _may_end(caller, session):
        raise NotFound(f"session not found: {session_id}", ErrorDetail(ErrorCode.SESSION_NOT_FOUND), field="sessionId")
    caller.record(userName=session.user_name)
    await services.sessions.end([session.session_id])


def _may_end(caller: Caller, session: Session) -> bool:
    if caller.principal.one_time:
        return is_own_session(caller, session)
    return caller.principal.acts_as(session.user_name) or is_administrator(caller)


async def end_sessions(services: Services, caller: Caller, user_name: str, *, keep_current: bool) -> None:
    """End all sessions of a user; with `keep_current`, except the one that the caller uses.

    Raises:
        AccessDenied: for another user, the caller is not an administrator.
        UserNotFound: there is no such user.
    """
    require_owner(caller, user_name)
    await stored_user(services, user_name)
    ended = [
        session.session_id
        for session in await services.sessions.of(user_name)
        if not (keep_current and is_own_session(caller, session))
    ]
    if ended:
        await services.sessions.end(ended)


def is_own_session(caller: Caller, session: Session) -> bool:
    """Return whether the caller authenticated with this session."""
    return caller.principal.credential == f"session:{session.session_id}"
