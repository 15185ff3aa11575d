"""The gateway: handles every request of every API, from its credential to its response.

- `gateway.py`: `Gateway.handle`, which has every request authorized, executed and recorded.
- `call.py`: a request in the form in which APIs pass it.
- `operations/`: one row for each RPC, with all of its rules; `rows.py`: these and our own operations by name.
- `authorize.py`: authenticates, resolves and authorizes; it alone creates the proof that executors require.
- `executors.py`, `changes.py`: the executor of each kind of operation; completing changes whose caller is gone.
- `resolve.py`, `resolved_request.py`: the database, the collections behind aliases, the payload to forward.
- `catalog.py`, `catalog_reading.py`, `object_ids.py`: the databases and aliases of the engine; the collections that ids
  belong to.
- `upstream_catalog.py`, `lookups.py`, `vanished_grants.py`: the same for a remote engine, which others change too; the
  grants of collections that they drop.
- `policy_cache.py`: the compiled policy in force, updated with each change.
- `replicas/`: several servers on one store: leases, and what a change waits for.
- `ddl.py`, `ddl_intents.py`, `ddl_following.py`: changes of databases, collections and aliases, and the changes of
  grants and row policies that follow.
- `row_properties.py`, `collection_definitions.py`: the properties that enforce row policies; the fields they read.
- `collection_sizes.py`: how many rows collections have.
- `response_filter.py`: responses reduced to what the caller may see.
- `large_requests.py`: limits for large requests.
- `admission.py`, `parameters.py`, `outbound.py`: what is refused in requests: what is not known; addresses, files and
  credentials. `providers.py`: functions that may call a model provider.
- `unheeded.py`: refuses what the engine would ignore. `rule_places.py`: where in requests such rules apply.
- `audit_recorder.py`, `audit_details.py`, `instrumentation.py`: what is recorded and measured.
- `import_policy.py`: importing users, roles and grants from a Milvus.

It raises errors, which APIs map to their codes. It reads only those fields of messages that a row names.
"""
