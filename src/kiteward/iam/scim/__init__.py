"""SCIM 2.0 (RFC 7643, RFC 7644): users and groups that an identity provider keeps up to date.

`schemas` says which attributes there are, `resources` reads resources, `filters` and `matching` select them, and
`patching` changes them: all pure. `users` and `groups` are the services, `hand_over` puts existing users under the
control of SCIM. `faults` makes the errors, each with the code that the API translates to a `scimType`.
"""
