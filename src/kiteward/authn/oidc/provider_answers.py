"""What identity providers answer when they refuse a sign-in. Nothing of an answer is shown or logged as it came."""

from collections.abc import Mapping
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import KeyRejected

_MEANINGS: Final[Mapping[str, tuple[ErrorCode, str]]] = {
    "access_denied": (ErrorCode.SIGN_IN_DENIED, "refused the sign-in, or the user gave up"),
    "login_required": (ErrorCode.SIGN_IN_UNFINISHED, "asks the user to sign in there first"),
    "interaction_required": (ErrorCode.SIGN_IN_UNFINISHED, "asks the user for something first"),
    "consent_required": (ErrorCode.SIGN_IN_UNFINISHED, "asks the user for consent first"),
    "account_selection_required": (ErrorCode.SIGN_IN_UNFINISHED, "asks the user to choose an account first"),
    "temporarily_unavailable": (ErrorCode.SIGN_IN_PROVIDER_UNAVAILABLE, "is busy, or under maintenance"),
    "server_error": (ErrorCode.SIGN_IN_PROVIDER_UNAVAILABLE, "has failed"),
    "invalid_grant": (ErrorCode.SIGN_IN_CODE_SPENT, "does not take the authorization code: too old, or used already"),
    "invalid_client": (ErrorCode.SIGN_IN_MISCONFIGURED, "does not accept the client id or its secret"),
    "unauthorized_client": (ErrorCode.SIGN_IN_MISCONFIGURED, "does not allow this client the authorization code flow"),
    "unsupported_response_type": (ErrorCode.SIGN_IN_MISCONFIGURED, "does not support the authorization code flow"),
    "unsupported_grant_type": (ErrorCode.SIGN_IN_MISCONFIGURED, "does not support the authorization code flow"),
    "invalid_scope": (ErrorCode.SIGN_IN_MISCONFIGURED, "does not grant the scopes that are asked for"),
    "invalid_request": (ErrorCode.SIGN_IN_MISCONFIGURED, "calls the request invalid"),
}
"""What an answer means, by its `error` (RFC 6749, 4.1.2.1 and 5.2; OpenID Connect Core 1.0, 3.1.2.6)."""

_UNKNOWN: Final = (ErrorCode.SIGN_IN_MISCONFIGURED, "answers with an error of a kind that is not known")


def refusal_of(provider: str, error: object) -> KeyRejected:
    """Return the refusal of a sign-in that an identity provider has answered with an error.

    Args:
        provider: the name of the provider.
        error: the `error` of its answer, which anybody may have written.
    """
    code, meaning = _MEANINGS.get(error, _UNKNOWN) if isinstance(error, str) else _UNKNOWN
    return rejected(code, provider, f"the identity provider {meaning}")


def rejected(code: ErrorCode, provider: str, reason: str) -> KeyRejected:
    """Return the refusal of a sign-in through an identity provider.

    Args:
        code: what is shown to the user.
        provider: the name of the provider.
        reason: why, for operators.
    """
    return KeyRejected(
        f"the sign-in with {provider} is refused: {reason}", ErrorDetail(code, {"name": provider}), reason=reason
    )
