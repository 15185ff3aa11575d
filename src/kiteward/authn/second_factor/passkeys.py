"""Passkeys: options for the browser, and the check of what a device has signed (WebAuthn).

The device must have verified its user by a fingerprint, a face or a PIN. The responses come from outside and are parsed
by a library, so that whatever it does not accept is a refusal. The library is large: this module is imported where a
passkey is made or used.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_client_data_json
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from kiteward.authn.second_factor.rules import NewPasskey, PasskeyRefused, PasskeyRules
from kiteward.domain.identity import Secret

LONGEST: Final = 16 * 1024
"""Most characters of a response. Those of devices have less than two thousand."""

_RP_NAME: Final = "Kiteward"
_MILLISECONDS: Final = 120_000

_T = TypeVar("_T")


def registration_options(rules: PasskeyRules, user_name: str, *, challenge: bytes, known: Sequence[str]) -> str:
    """Return the options for making a passkey, as JSON for the browser.

    Args:
        rules: for which pages it is.
        user_name: the user.
        challenge: what is to be signed.
        known: the ids of passkeys that the user has: the same device makes no second one.
    """
    options = webauthn.generate_registration_options(
        rp_id=rules.rp_id,
        rp_name=_RP_NAME,
        user_name=user_name,
        user_id=hashlib.sha256(f"kiteward user\n{user_name}".encode()).digest(),
        challenge=challenge,
        timeout=_MILLISECONDS,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_described(known),
    )
    return webauthn.options_to_json(options)


def authentication_options(rules: PasskeyRules, *, challenge: bytes, known: Sequence[str]) -> str:
    """Return the options for using a passkey, as JSON for the browser.

    Args:
        rules: for which pages it is.
        challenge: what is to be signed.
        known: the ids of the passkeys that the user has.
    """
    options = webauthn.generate_authentication_options(
        rp_id=rules.rp_id,
        challenge=challenge,
        timeout=_MILLISECONDS,
        allow_credentials=_described(known),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def challenge_of(response: Secret) -> bytes:
    """Return the challenge that a response is to. It is not verified yet.

    Raises:
        PasskeyRefused: the response cannot be read, or comes from a page inside a page of another site.
    """
    data = _accepted(
        lambda: parse_client_data_json(
            base64url_to_bytes(json.loads(response.reveal())["response"]["clientDataJSON"]),
        ),
        response,
    )
    if data.cross_origin:
        raise PasskeyRefused("the page was inside a page of another site")
    return data.challenge


def credential_of(response: Secret) -> str:
    """Return the id of the passkey that a response is of, in base64url. It is not verified yet.

    Raises:
        PasskeyRefused: the response cannot be read.
    """
    return _accepted(lambda: bytes_to_base64url(base64url_to_bytes(json.loads(response.reveal())["id"])), response)


def made(rules: PasskeyRules, response: Secret, *, challenge: bytes) -> NewPasskey:
    """Return the passkey that a device has made.

    Args:
        rules: for which pages it is.
        response: what the browser got from the device, as JSON.
        challenge: as of the options.

    Raises:
        PasskeyRefused: it is for another page or challenge, or the device has not verified its user.
    """
    verified = _accepted(
        lambda: webauthn.verify_registration_response(
            credential=response.reveal(),
            expected_challenge=challenge,
            expected_rp_id=rules.rp_id,
            expected_origin=list(rules.origins),
            require_user_verification=True,
        ),
        response,
    )
    return NewPasskey(
        bytes_to_base64url(verified.credential_id),
        bytes_to_base64url(verified.credential_public_key),
        verified.sign_count,
    )


def used(rules: PasskeyRules, response: Secret, *, challenge: bytes, public_key: str, sign_count: int) -> int:
    """Return how often the device says that a passkey was used, after its signature was verified.

    Args:
        rules: for which pages it is.
        response: what the browser got from the device, as JSON.
        challenge: as of the options.
        public_key: of the passkey, in base64url.
        sign_count: how often it was used as far as is known; a device that counts must be beyond that.

    Raises:
        PasskeyRefused: as `made`; or the signature is wrong, or the passkey was copied.
    """
    verified = _accepted(
        lambda: webauthn.verify_authentication_response(
            credential=response.reveal(),
            expected_challenge=challenge,
            expected_rp_id=rules.rp_id,
            expected_origin=list(rules.origins),
            credential_public_key=base64url_to_bytes(public_key),
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        ),
        response,
    )
    return verified.new_sign_count


def _accepted(read: Callable[[], _T], response: Secret) -> _T:
    if len(response.reveal()) > LONGEST:
        raise PasskeyRefused("the response is longer than those of devices")
    try:
        return read()
    except Exception as error:  # noqa: BLE001  whatever hostile bytes make a parser raise refuses them
        raise PasskeyRefused(f"{type(error).__name__}: {error}"[:200]) from None


def _described(ids: Sequence[str]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(each)) for each in ids]
