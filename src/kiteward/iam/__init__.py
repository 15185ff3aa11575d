"""Identity management: users, roles, grants, groups, API keys, tags, row policies, sessions and access reviews.

The services take typed values, return typed values and raise errors of `domain.errors`:

- `users.py`, `passwords.py`, `roles.py`, `grants.py`, `grantable.py`, `privilege_groups.py`, `policy_backup.py`,
  `api_keys.py`, `tags.py`, `row_policies.py`, `row_expressions.py`, `sessions.py`: what is managed.
- `access.py`, `collection_access.py`, `unused_access.py`, `user_view.py`, `audit_review.py`: access reviews.
- `credential_review.py`, `collection_sizes.py`: what an overview shows of users, keys and collections.
- `readiness.py`, `server_state.py`: the state of store, engine and audit trail, and of the server.
- `services.py`, `caller.py`: what every service works with, and who calls it.
- `administrators.py`, `lookup.py`, `object_lookup.py`, `wording.py`: rules that several services share.

Two adapters decode a request once, call a service and encode its result once:

- `milvus_rpc/`: Milvus's RPCs, with Milvus's texts.
- `json_api/`: Kiteward's own operations, for REST, console and command line.

What does not belong here: authentication (`authn`), decisions (`authz`) and the request pipeline (`gateway`), which
authenticates and authorizes every caller before a service runs. No service knows protocol messages or JSON.
"""
