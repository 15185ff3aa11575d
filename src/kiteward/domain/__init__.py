"""Names, identities, addresses and errors, used by all other folders.

- `identity.py`: secrets, presented credentials, principals.
- `naming.py`: which names are legal.
- `addresses.py`: how client addresses are written, and which count as one source.
- `errors.py`, `error_codes.py`: the exception classes, and the codes for programs and translations.
- `deferred.py`: mappings that are made when they are first looked into.

Standard library only: no I/O, no clock, no import of another folder.
"""
