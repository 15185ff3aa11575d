"""How a request ended, and why, as the audit trail has it."""

from kiteward.audit.events import HIDDEN, Outcome
from kiteward.domain.errors import AccessDenied, AuthenticationError, FactorRejected, OldPasswordWrong
from kiteward.gateway.recording import Recording


def decision_of(recording: Recording, reason: str) -> tuple[str, str, str]:
    """Return the privilege, the decision and its reason; the given reason where nothing was decided before.

    What executes a request may refuse it to a caller whom the policy allows it, for example about other users: this is
    the decision then.
    """
    row, decision = recording.row, recording.decision
    privilege = "" if row is None or row.privilege is None else row.privilege.name
    if decision is None:
        return privilege, "", reason
    if reason and decision.allowed:
        return privilege, "refused", reason
    decided = "allowed" if decision.allowed else "refused"
    return privilege, decided, f"{decision.reason}{HIDDEN if recording.hidden else ''}"


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
