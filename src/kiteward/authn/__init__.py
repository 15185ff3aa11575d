"""Authentication: who calls.

- `authenticator.py`: presented credentials to principals.
- `password_verifier.py`, `throttle.py`, `fair_queue.py`: verifying passwords, limits against guessing, fair queueing.
- `shared_throttle.py`: limits against guessing over all servers that share a store.
- `hashing.py`, `hash_schemes.py`: Argon2id, bcrypt, and the schemes in use.
- `password_policy.py`, `common_passwords.py`: which passwords may be chosen.
- `api_keys.py`, `key_cache.py`, `user_cache.py`, `principals.py`, `sessions.py`: keys, caches, principals, sessions.
- `exchanges.py`: what has to be known of a credential that is exchanged for a key.

It reads users and keys from a store. It does not decide what a principal may do, and imports no RPC and no transport.
"""
