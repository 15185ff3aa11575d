"""The secrets of authenticator apps, sealed with a key that the store does not have."""

from typing import Final

from kiteward.authn.sealing import SealingKey
from kiteward.domain.identity import Secret

_PURPOSE: Final = "kiteward: secrets of authenticator apps"


class FactorKey(SealingKey):
    """Seals and opens the secrets of authenticator apps."""

    def __init__(self, text: Secret) -> None:
        """Take the text that the key is derived from, which must be random: it is not stretched."""
        super().__init__(text, purpose=_PURPOSE)
