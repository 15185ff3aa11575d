"""The gateway: every request of every API, from its credential to its answer.

- `gateway.py`: `Gateway.handle`, which authenticates, resolves, authorizes, records and executes.
- `call.py`: a request as an API hands it over.
- `operations.py`: one row for each RPC.
- `resolve.py`, `catalog.py`, `object_ids.py`: database, collections behind aliases, what is forwarded.
- `policy_cache.py`: the compiled policy in force, and how it follows each change.
- `ddl.py`: changes of databases, collections and aliases, and the grants that follow.
- `response_filter.py`: answers reduced to what the caller may see.
- `large_requests.py`, `outbound.py`: bounds for large requests; addresses, files and credentials in requests.
- `audit_recorder.py`, `audit_details.py`, `instrumentation.py`: what is recorded and measured.
- `import_policy.py`: importing users, roles and grants from a Milvus.

It knows no protocol: neither HTTP nor gRPC statuses, and of messages only the fields that a row names.
"""
