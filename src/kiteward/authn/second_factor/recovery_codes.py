"""Recovery codes: for whoever has lost the other factors, each valid once."""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

COUNT: Final = 10
"""How many a user gets at a time."""

_BYTES: Final = 10
"""Of each: 80 bits, so that a digest without a slow hash cannot be reversed by trying."""

_GROUP: Final = 4


def new_codes() -> Sequence[str]:
    """Return random codes of four groups of four letters and digits."""
    return [_grouped(base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()) for _ in range(COUNT)]


def digest_of(user_name: str, code: str) -> str:
    """Return the digest under which a code of a user is stored. Case, hyphens and spaces do not matter."""
    plain = "".join(code.split()).replace("-", "").lower()
    text = f"kiteward recovery code\n{user_name}\n{plain}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _grouped(text: str) -> str:
    return "-".join(text[place : place + _GROUP] for place in range(0, len(text), _GROUP))
