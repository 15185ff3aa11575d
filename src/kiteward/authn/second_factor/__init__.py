"""Second factors of the console's sign-in with a password.

- `rules.py`: who must have one, and for which host passkeys are.
- `totp.py`, `passkeys.py`, `recovery_codes.py`: what is presented, each kind by itself.
- `sealing.py`: the secrets of authenticator apps as they are stored.
- `factors.py`: verifies them, limited like passwords, and holds sign-ins that wait for one.
"""
