"""Second factors of the console's sign-in: their kinds, how far a sign-in is, and what is presented as a proof."""

from dataclasses import dataclass, field
from enum import StrEnum

from kiteward.domain.identity import Secret


class FactorKind(StrEnum):
    """What a second factor is.

    TOTP: an app that shows a code of six digits, another one every 30 seconds (RFC 6238).
    PASSKEY: a key pair in a device, which asks for a fingerprint or PIN (WebAuthn).
    RECOVERY_CODE: one of the codes for whoever has lost the others; nobody enrols it by itself.
    """

    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"


@dataclass(frozen=True, slots=True)
class FactorProof:
    """What is presented as a proof of a second factor: one of the two.

    Attributes:
        code: a code of an authenticator app, or a recovery code; empty for none.
        passkey: the response of a passkey to a challenge, as the JSON that WebAuthn defines; empty for none.
    """

    code: Secret = field(default_factory=lambda: Secret(""))
    passkey: Secret = field(default_factory=lambda: Secret(""))
