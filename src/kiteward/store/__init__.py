"""The store: users, roles, grants, groups, API keys, tags, row policies and intents, durable and transactional.

- `base.py`: the contract of a store; `tests/conformance/store` holds every implementation to it.
- `records.py`: what it keeps of users, API keys and intents, and what a transaction announces.
- `transaction.py`, `roles.py`, `grants.py`, `keys.py`, `tags.py`, `row_policies.py`: a transaction, the same for every
  database.
- `sql.py`, `queries.py`, `change_feed.py`, `connections.py`: the SQL store.
- `listings.py`: parts of lists of users and API keys, searched, filtered, sorted and counted.
- `changes.py`: what has changed since a revision.
- `draft.py`, `drafted.py`: a copy in memory in which many changes are made, before the turn of a writer writes them.
- `audit_events.py`, `audit_uses.py`: what replicas share of their audit trails, and when privileges were last used.
- `sessions.py`, `sign_in_failures.py`: console sessions and wrong passwords, where servers share them.
- `replicas.py`: the servers that share the store; `postgresql/replicas.py`: how they hear of each other.
- `backend.py`, `sqlite.py`, `postgresql/`: what a database provides for it, and the two that do.
- `statements.py`, `driver_errors.py`: what both write in different words, and what errors of their drivers mean.
- `schema.py`, `migrations/`: the tables, and how a database gets them.
- `move.py`: copies everything from one database to another.
- `data_directory.py`: the private directory of a server, and its lock.

SQL stays in this folder. Rules about who may change what are the gateway's.
"""
