"""Seals what the store keeps and must not reveal, by AES-256-GCM."""

import base64
import binascii
import hmac
import os
from typing import Final

from kiteward.domain.identity import Secret

_NONCE_BYTES: Final = 12
_LEAST_BYTES: Final = _NONCE_BYTES + 16
"""A nonce and the tag of an empty text."""


class SealingKey:
    """Seals and opens secrets. Its key is derived from a text, for one purpose alone."""

    def __init__(self, text: Secret, *, purpose: str) -> None:
        """Derive the key.

        Args:
            text: what it is derived from, which must be random: it is not stretched.
            purpose: what it is used for; the same text gives another key for another purpose.
        """
        # A command has no key, and loads this module all the same.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self._cipher = AESGCM(hmac.digest(_bytes(text.reveal()), _bytes(purpose), "sha256"))

    def seal(self, secret: Secret, *, about: str) -> str:
        """Return a secret in a form that can be read with this key alone.

        Args:
            secret: the secret.
            about: whose it is; what is sealed for one does not open for another.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.reveal().encode(), _bytes(about))
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *, about: str) -> Secret | None:
        """Return a sealed secret; None if it was sealed by another key, otherwise, about something else, or changed."""
        try:
            both = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            return None
        if len(both) < _LEAST_BYTES:
            return None
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  as above

        try:
            return Secret(self._cipher.decrypt(both[:_NONCE_BYTES], both[_NONCE_BYTES:], _bytes(about)).decode())
        except InvalidTag:
            return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
