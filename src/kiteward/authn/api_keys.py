"""API keys: their format, how they are generated, and the digest that is stored.

    kw_<12 characters of id>_<43 characters of secret><6 characters of checksum>

All characters are letters and digits of ASCII, so that shells, headers and double clicks treat a key as one word. The
secret holds 256 bits. The checksum detects mistyped keys without a look-up, and lets secret scanners recognise keys.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from typing import Final

from kiteward.domain.identity import Secret

PREFIX: Final = "kw_"
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 43
"""Characters. 43 of an alphabet of 62 are just over 256 bits."""

_CHECKSUM_LENGTH: Final = 6
_KEY: Final = re.compile(
    rf"{PREFIX}([0-9A-Za-z]{{{_ID_LENGTH}}})_[0-9A-Za-z]{{{_SECRET_LENGTH}}}([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key, with its secret. Only the digest is kept.

    Attributes:
        key_id: the public id.
        key: the whole key.
        digest: the digest of the key, which is stored.
    """

    key_id: str
    key: Secret
    digest: str


def mint(key_id: str | None = None) -> MintedKey:
    """Generate a key, or a new secret for an existing key id.

    Args:
        key_id: the id of the existing key; None for a new key with a new id.
    """
    chosen = key_id or _random(_ID_LENGTH)
    body = f"{PREFIX}{chosen}_{_random(_SECRET_LENGTH)}"
    text = body + _checksum(body)
    return MintedKey(chosen, Secret(text), digest_of(text))


def key_id_of(text: str) -> str | None:
    """Return the key id in a text, or None when the text is not a well-formed key with a correct checksum."""
    match = _KEY.fullmatch(text)
    if match is None or _checksum(text[:-_CHECKSUM_LENGTH]) != match[2]:
        return None
    return match[1]


def digest_of(text: str) -> str:
    """Return the digest that is stored of a key. It needs no salt: the secret has 256 random bits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
