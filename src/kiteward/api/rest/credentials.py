"""Reads the `Authorization` header (contract 1.6). The gateway verifies the credential."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from kiteward.domain.errors import AuthenticationError, CredentialMalformed, CredentialMissing
from kiteward.domain.identity import PasswordCredential, PresentedCredential, Secret, without_colon

_BASIC: Final = "Basic "
_BEARER: Final = "Bearer "


def presented_credential(headers: Sequence[str]) -> PresentedCredential | AuthenticationError:
    """Return the presented credential, or why it cannot be read.

    Args:
        headers: all values of the header. Two or more are ambiguous, so that none counts.
    """
    if not headers:
        return CredentialMissing("missing authorization in header")
    if len(headers) > 1:
        return CredentialMalformed("the authorization header is sent more than once")
    try:
        # Milvus reads header bytes as UTF-8; the server library decodes them as Latin-1.
        text = headers[0].encode("latin-1").decode()
        if text.startswith(_BASIC):
            return _password(base64.b64decode(text.removeprefix(_BASIC), validate=True).decode())
    except (binascii.Error, UnicodeError, ValueError):
        return CredentialMalformed("invalid token format")
    stripped = text.removeprefix(_BEARER)
    if stripped != text and stripped and ":" not in stripped:
        return without_colon(stripped)
    return _password(stripped)


def is_basic(headers: Sequence[str]) -> bool:
    """Return whether the caller uses HTTP Basic and expects its challenge."""
    return len(headers) == 1 and headers[0].startswith(_BASIC)


def _password(text: str) -> PresentedCredential | AuthenticationError:
    user, _, password = text.partition(":")
    if not user or not password:
        return CredentialMalformed("invalid token format")
    return PasswordCredential(user, Secret(password))
