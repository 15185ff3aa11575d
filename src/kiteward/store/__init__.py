"""The store: users, roles, grants, privilege groups, API keys and intents, durable and transactional.

- `base.py`: the contract of a store.
- `sql.py`, `transaction.py`, `grants.py`, `keys.py`, `queries.py`, `change_feed.py`, `connections.py`: the SQL store.
- `sqlite.py`, `schema.py`, `migrations/`: SQLite, the tables, and how a data directory gets them.
- `data_directory.py`: the private directory of a server, and its lock.

SQL stays in this folder. Rules about who may change what are the gateway's.
"""
