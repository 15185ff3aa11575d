"""The composition root: builds a running server, or a gateway for the command line, from settings.

- `server.py`: starts the parts in order and stops them in reverse.
- `serving.py`: serves until the process is told to stop.
- `workers/`: several processes that serve one port.
- `ports.py`: the main port with gRPC, REST and the console, and the port for health and metrics.
- `components.py`: the parts that a server and the command line share. `exports.py`: what a server sends elsewhere.
- `sharing.py`: what concerns other servers on the same store.
- `local_gateway.py`: a gateway on the store alone, for the command line; `policy_import.py` imports into it.
- `store.py`, `store_move.py`: opens the store that the settings name, and moves one to another database.
- `review.py`, `store_review.py`, `engine_review.py`, `issuer_review.py`, `sign_in_review.py`: what the doctor says.
- `first_start.py`: what a first start creates. `start_checks.py`: checks of the first password and of the address.

The only folder that builds the whole graph of objects. It handles no requests and makes no decisions.
"""
