"""Refusals of tokens. Each says what was wrong, and shows no part of the token."""

from datetime import UTC, datetime

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import TokenRejected
from kiteward.domain.moments import written


def refused(code: ErrorCode, message: str, *, reason: str = "", **parameters: str | int) -> TokenRejected:
    """Return the refusal of a token.

    Args:
        code: what is wrong.
        message: the same as a sentence.
        reason: what operators learn beyond it, for the audit trail.
        parameters: of the code.
    """
    return TokenRejected(f"the token is refused: {message}", ErrorDetail(code, parameters), reason=reason or message)


def shown_time(seconds: float) -> str:
    """Return a moment, in seconds since the epoch, as a text; `an impossible time` where no calendar has it."""
    try:
        return written(datetime.fromtimestamp(int(seconds), UTC))
    except (ValueError, OverflowError, OSError):
        return "an impossible time"


def malformed(what: str) -> TokenRejected:
    """Return the refusal of a token that cannot be read."""
    return refused(ErrorCode.TOKEN_MALFORMED, f"it cannot be read ({what})")


def unknown_issuer() -> TokenRejected:
    """Return the refusal of a token of somebody else."""
    return refused(
        ErrorCode.TOKEN_ISSUER_UNKNOWN, "its issuer (`iss`) is none of those that this server accepts (kiteward.oidc)"
    )


def missing_claim(name: str) -> TokenRejected:
    """Return the refusal of a token without a claim that it must have, or with an unusable value of it."""
    return refused(ErrorCode.TOKEN_CLAIM_MISSING, f"it has no usable claim `{name}`", name=name)


def expired(at: float) -> TokenRejected:
    """Return the refusal of a token that has expired."""
    since = shown_time(at)
    return refused(ErrorCode.TOKEN_EXPIRED, f"it expired at {since}: request a new one", time=since)


def authenticated_long_ago(at: float) -> TokenRejected:
    """Return the refusal of a token whose user has authenticated at the issuer too long ago."""
    then = shown_time(at)
    return refused(
        ErrorCode.TOKEN_AUTHENTICATION_OLD,
        f"its user authenticated at {then} (`auth_time`), longer ago than maxAuthenticationAge: sign in again",
        time=then,
    )


def cut_off(at: float) -> TokenRejected:
    """Return the refusal of a token that was issued before the cut-off of its user or issuer."""
    since = shown_time(at)
    return refused(
        ErrorCode.TOKEN_CUT_OFF,
        f"no token of its user that was issued before {since} is accepted: sign in again",
        time=since,
    )
