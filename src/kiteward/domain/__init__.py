"""Names, identities, addresses and errors, which everything else is built on.

- `identity.py`: secrets, presented credentials, principals.
- `naming.py`: which names are legal.
- `addresses.py`: how client addresses are written, and which count as one source.
- `errors.py`: the tree of errors.

Standard library only: no I/O, no clock, no import of another folder.
"""
