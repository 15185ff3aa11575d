"""The gateway: every request of every API, from its credential to its answer.

- `gateway.py`: `Gateway.handle`, which has every request authorized, executed and recorded.
- `call.py`: a request as an API hands it over.
- `operations/`: one row for each RPC, with all that is known of it; `rows.py`: these and our own operations by name.
- `authorize.py`: authenticates, resolves and authorizes; it alone makes the proof that executors ask for.
- `executors.py`, `changes.py`: what executes each kind of operation, and how changes are carried to their end.
- `resolve.py`, `resolved_request.py`: the database, collections behind aliases, what is forwarded.
- `catalog.py`, `object_ids.py`: the databases and aliases of the engine; which collection an id was given for.
- `policy_cache.py`: the compiled policy in force, and how it follows each change.
- `ddl.py`, `ddl_intents.py`: changes of databases, collections and aliases, and the grants that follow.
- `response_filter.py`: responses reduced to what the caller may see.
- `large_requests.py`, `outbound.py`: bounds for large requests; addresses, files and credentials in requests.
- `audit_recorder.py`, `audit_details.py`, `instrumentation.py`: what is recorded and measured.
- `import_policy.py`: importing users, roles and grants from a Milvus.

It raises errors, which APIs map to their codes; of messages it reads only the fields that a row names.
"""
