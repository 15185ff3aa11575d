"""Tokens of identity providers (OpenID Connect): who they are, and which roles and tags they have.

`issuers` is what is configured of a provider, `fetching` asks it, `key_sets` keeps its public keys, `tokens` verifies,
`claims` reads who it is, `token_cache` keeps what was verified, and `authentication` turns a token into a principal.
"""
