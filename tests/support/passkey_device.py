"""A device with passkeys, in software: it answers what a page asks a browser for, as JSON."""

import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, encode_cbor

_PRESENT: Final = 0x01
_VERIFIED: Final = 0x04
_ATTESTED: Final = 0x40


@dataclass
class PasskeyDevice:
    """One device with one passkey.

    Attributes:
        origin: of the page that asks, as the browser states it.
        rp_id: the host name that the passkey is for, as the device states it; None for the one that the page asks for.
        verifies: whether it verifies its user by a fingerprint or PIN.
        cross_origin: whether the browser says that the page is inside one of another site.
        count: how often it says that the passkey was used; None for a device that does not count.
    """

    origin: str = "https://kiteward.example"
    rp_id: str | None = None
    verifies: bool = True
    cross_origin: bool = False
    count: int | None = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def make(self, options: str) -> str:
        """Answer the request to make a passkey."""
        asked = json.loads(options)
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + self._public_key()
        data = self._data(asked["rp"]["id"], attested)
        statement = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client_data("webauthn.create", asked["challenge"])
        return self._answer(clientDataJSON=client, attestationObject=statement)

    def use(self, options: str) -> str:
        """Answer the request to use a passkey."""
        asked = json.loads(options)
        if self.count is not None:
            self.count += 1
        data, client = self._data(asked["rpId"]), self._client_data("webauthn.get", asked["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(clientDataJSON=client, authenticatorData=data, signature=signature)

    def _answer(self, **response: bytes) -> str:
        identity = bytes_to_base64url(self.credential_id)
        encoded = {name: bytes_to_base64url(value) for name, value in response.items()}
        answer: dict[str, Any] = {"id": identity, "rawId": identity, "type": "public-key", "response": encoded}
        return json.dumps(answer | {"clientExtensionResults": {}})

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin}
        assert base64url_to_bytes(challenge)
        return json.dumps(said).encode()

    def _data(self, rp_id: str, attested: bytes = b"") -> bytes:
        flags = _PRESENT | (_VERIFIED if self.verifies else 0) | (_ATTESTED if attested else 0)
        return (
            hashlib.sha256((self.rp_id or rp_id).encode()).digest()
            + struct.pack(">BI", flags, self.count or 0)
            + attested
        )

    def _public_key(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        return encode_cbor({1: 2, 3: -7, -1: 1, -2: x, -3: y})
