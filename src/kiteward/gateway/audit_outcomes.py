"""How a request ended, and why, as the audit trail has it."""

from typing import Final

from kiteward.audit.events import HIDDEN, Outcome
from kiteward.authz.policy import decide_oneself
from kiteward.authz.privileges import ObjectType
from kiteward.domain.errors import AccessDenied, AuthenticationError, FactorRejected, OldPasswordWrong
from kiteward.gateway.recording import Recording

_MADE: Final = frozenset({Outcome.SUCCEEDED, Outcome.COMMITTED})


def decision_of(recording: Recording, reason: str, outcome: Outcome) -> tuple[str, str, str]:
    """Return the privilege, the decision and its reason; the given reason where nothing was decided before.

    What executes a request may refuse it to a caller whom the policy allows it, for example about other users: this is
    the decision then. What an operation of our own decides itself is undecided until it has, and it has where it was
    carried out.
    """
    row, decision, condition = recording.row, recording.decision, recording.condition
    needed = None if row is None else row.privilege
    if condition is not None:
        needed = condition.privilege
    privilege = "" if needed is None else needed.name
    if decision is None:
        return privilege, "", reason
    if reason and decision.allowed:
        return privilege, "refused", reason
    if recording.undecided and recording.principal is not None:
        if outcome not in _MADE:
            return privilege, "", ""
        decision = decide_oneself(recording.principal)
    decided = "allowed" if decision.allowed else "refused"
    return privilege, decided, f"{decision.reason}{HIDDEN if recording.hidden else ''}"


def object_of(recording: Recording) -> tuple[str, tuple[str, ...]]:
    """Return the database and the collections on which what executes a request has required a privilege."""
    condition = recording.condition
    if condition is None or condition.privilege.object_type is ObjectType.USER:
        return "", ()
    return condition.database, condition.names


def outcome_of(recording: Recording, error: BaseException | None) -> tuple[Outcome, str]:
    """Return the outcome of a request and the class of its error, but not its text, which may quote data."""
    if error is None:
        # Handlers of Kiteward raise; the engine reports a failure in its response.
        return (Outcome.FAILED, f"status {recording.status}") if recording.status else (Outcome.SUCCEEDED, "")
    if isinstance(error, AccessDenied | AuthenticationError):
        return Outcome.REFUSED, name_of(error)
    if isinstance(error, OldPasswordWrong | FactorRejected):
        return Outcome.REFUSED, f"{name_of(error)}: {error.reason}"
    return Outcome.FAILED, name_of(error)


def refusal_of(error: BaseException | None) -> str:
    """Return the rule behind a refusal; empty for any other error."""
    return (error.reason or str(error)) if isinstance(error, AccessDenied) else ""


def name_of(error: BaseException) -> str:
    """Return the class of an error."""
    return type(error).__name__
