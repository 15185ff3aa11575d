"""Identity management: users, roles, grants, privilege groups, API keys, sessions and access reviews.

- `services.py`: what every service works with, and what it asks of the layers above.
- `administrators.py`: the rule that an administrator remains.
- `object_lookup.py`, `readiness.py`: collections behind names; the state of store, engine and audit trail.
- `milvus_rpc/`: adapter for Milvus's RPCs: protocol messages in and out.
- `json_api/`: adapter for Kiteward's own operations: JSON in and out, for REST, console and command line.

What does not belong here: authentication (`authn`), decisions (`authz`) and the request pipeline (`gateway`). Callers
are authenticated and authorized before anything here runs.
"""
