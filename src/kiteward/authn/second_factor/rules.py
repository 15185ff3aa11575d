"""Who must have a second factor, for which host passkeys are, and what becomes of one that is made."""

from dataclasses import dataclass
from enum import StrEnum

from kiteward.domain.identity import Principal


class RequiredOf(StrEnum):
    """Who must present a second factor at the console; anybody may, and must once it is enrolled."""

    NOBODY = "off"
    ADMINISTRATORS = "administrators"
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class PasskeyRules:
    """For which pages passkeys are made and accepted.

    Attributes:
        rp_id: the host name that they belong to, `kiteward.console.passkeys.rpId`; the relying party of WebAuthn.
        origins: the origins of the pages that may ask for them, `kiteward.console.passkeys.origins`.
    """

    rp_id: str
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecondFactorRules:
    """The rules of second factors.

    Attributes:
        required_of: who must have one, `kiteward.console.secondFactor`.
        passkeys: for which pages passkeys are; None where there are none.
    """

    required_of: RequiredOf = RequiredOf.NOBODY
    passkeys: PasskeyRules | None = None

    def requires(self, principal: Principal) -> bool:
        """Return whether a user must have a second factor."""
        if self.required_of is RequiredOf.ADMINISTRATORS:
            from kiteward.authz.policy import decide_administrator  # noqa: PLC0415  settings need no policy

            return decide_administrator(principal).allowed
        return self.required_of is RequiredOf.EVERYONE


class PasskeyRefused(Exception):
    """The response of a passkey that is not accepted; the message says why, for operators."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A passkey that was just made.

    Attributes:
        credential_id, public_key: in base64url.
        sign_count: how often the device says that it was used.
    """

    credential_id: str
    public_key: str
    sign_count: int
