"""Codes of authenticator apps: six digits that follow from a secret and the time (RFC 6238)."""

import hmac
import re
from typing import Final

import pyotp

from kiteward.domain.identity import Secret

_ISSUER: Final = "Kiteward"
_SECONDS: Final = 30
"""How long a code is shown, in seconds. The code before and the code after are accepted too: clocks differ."""

_CODE: Final = re.compile(r"[0-9]{6}")


def new_secret() -> Secret:
    """Return a random secret of 160 bits, in base32 as apps take it."""
    return Secret(pyotp.random_base32())


def enrolment_uri(secret: Secret, user_name: str) -> Secret:
    """Return the `otpauth:` URI that apps read from a QR code; revealed because it carries the secret."""
    return Secret(pyotp.TOTP(secret.reveal()).provisioning_uri(name=user_name, issuer_name=_ISSUER))


def is_code(text: str) -> bool:
    """Return whether a text has the form of a code."""
    return _CODE.fullmatch(text) is not None


def matching_step(secret: Secret, code: str, now: float) -> int | None:
    """Return the time step that a code is of, or None if it is not of the present one or one beside it.

    Args:
        secret: of the app.
        code: as `is_code`.
        now: seconds since the epoch.
    """
    codes = pyotp.TOTP(secret.reveal())
    present = int(now) // _SECONDS
    matching = [
        step for step in (present - 1, present, present + 1) if hmac.compare_digest(codes.generate_otp(step), code)
    ]
    return max(matching, default=None)
