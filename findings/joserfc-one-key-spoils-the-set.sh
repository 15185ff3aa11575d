#!/usr/bin/env bash
# Package:   joserfc 1.8.0, which Authlib 1.9.10 verifies ID tokens with; no network.
# Behaviour: of a JWK set, a key of an unknown `kty` is left out. A key on a curve that joserfc does not have, or with
#            another `use` than "sig" and "enc", fails the whole set, and no token of that provider is verified. Providers
#            that also do SAML publish such a use, "saml_ca".
# Guess:     what is not understood is left out, as with `kty` (RFC 7517, 5); `use` may have other values (RFC 7517, 4.2).
# Seen:      kty "AKP": verified; curve "BP-256": KeyError; use "saml_ca": KeyParameterError
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check joserfc==1.8.0
env/bin/python -W ignore - <<'PYTHON'
import base64

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

own = ECKey.generate_key("P-256", {"kid": "own", "use": "sig"})
token = jwt.encode({"alg": "ES256", "kid": "own"}, {"sub": "ann"}, own)
point = ec.generate_private_key(ec.BrainpoolP256R1()).public_key().public_numbers()


def encoded(number):
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")


others = {
    "kty AKP": {"kty": "AKP", "alg": "ML-DSA-44", "kid": "other", "pub": encoded(point.x)},
    "curve BP-256": {"kty": "EC", "crv": "BP-256", "kid": "other", "x": encoded(point.x), "y": encoded(point.y)},
    "use saml_ca": ECKey.generate_key("P-256").as_dict(private=False) | {"kid": "other", "use": "saml_ca"},
}
seen = {}
for name, other in others.items():
    try:
        keys = KeySet.import_key_set({"keys": [other, own.as_dict(private=False)]})
        seen[name] = jwt.decode(token, keys, algorithms=["ES256"]).claims["sub"]
    except Exception as error:
        seen[name] = type(error).__name__
    print("beside a key of", name, "->", seen[name])
assert seen == {"kty AKP": "ann", "curve BP-256": "KeyError", "use saml_ca": "KeyParameterError"}, seen
PYTHON
