"""The store in PostgreSQL.

- `settings.py`: where the database is and how it is called, from its address.
- `session.py`: connections: how they are made, what is demanded of a server, what each session is set to.
- `backend.py`: the engines of the store on such connections, and the lock that lets writers run one after another.
"""
