"""Several servers on one store: each has a lease, and a change is acknowledged when none can decide by the old state.

- `lease.py`: until when this server may decide.
- `membership.py`: registers this server, applies what others have changed, and renews the lease.
- `acknowledgements.py`: what the server that makes a change waits for.
- `watch.py`: when another server is dead.
- `shared_locks.py`: locks among the servers, such as the turn to change the catalog (`catalog_turn.py`).

The proof is in decision 0054: no clock is compared with that of another machine. Decision 0059 has the locks.
"""
