"""The secrets of authenticator apps, sealed with a key that the store does not have."""

import base64
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kiteward.domain.identity import Secret

_PURPOSE: Final = b"kiteward: secrets of authenticator apps"
_NONCE_BYTES: Final = 12


class FactorKey:
    """Seals and opens secrets by AES-256-GCM. Its key is derived from a text, for this purpose alone."""

    def __init__(self, text: Secret) -> None:
        """Take the text that the key is derived from, which must be random: it is not stretched."""
        self._cipher = AESGCM(hmac.digest(text.reveal().encode("utf-8", "surrogatepass"), _PURPOSE, "sha256"))

    def seal(self, secret: Secret, *, about: str) -> str:
        """Return a secret in a form that can be read with this key alone.

        Args:
            secret: the secret.
            about: whose it is; what is sealed for one does not open for another.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.reveal().encode(), about.encode("utf-8", "surrogatepass"))
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *, about: str) -> Secret | None:
        """Return a sealed secret; None if it was sealed by another key, for something else, or was changed."""
        both = base64.b64decode(sealed)
        nonce, content = both[:_NONCE_BYTES], both[_NONCE_BYTES:]
        try:
            return Secret(self._cipher.decrypt(nonce, content, about.encode("utf-8", "surrogatepass")).decode())
        except InvalidTag:
            return None
