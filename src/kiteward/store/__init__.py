"""The store: users, roles, grants, groups, API keys, tags, row policies and intents, durable and transactional.

- `base.py`: the contract of a store; `tests/conformance/store` holds every implementation to it.
- `records.py`: what it keeps of users, API keys and intents, and what a transaction announces.
- `transaction.py`, `grants.py`, `keys.py`, `tags.py`, `row_policies.py`: a transaction, the same for every database.
- `sql.py`, `queries.py`, `change_feed.py`, `connections.py`: the SQL store. `changes.py`: what has changed since a revision.
- `replicas.py`: the servers that share the store; `postgresql/replicas.py`: how they hear of each other.
- `sqlite.py`, `schema.py`, `migrations/`: SQLite, the tables, and how a data directory gets them.
- `data_directory.py`: the private directory of a server, and its lock.

SQL stays in this folder. Rules about who may change what are the gateway's.
"""
