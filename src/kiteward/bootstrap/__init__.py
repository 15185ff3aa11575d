"""The composition root: builds a running server, or a gateway for the command line, from settings.

- `server.py`: starts the parts in order and stops them in reverse.
- `serving.py`: serves until the process is told to stop.
- `workers/`: several processes that serve one port.
- `ports.py`: the main port with gRPC, REST and the console, and the port for health and metrics.
- `components.py`: the parts that a server and the command line share.
- `sharing.py`: what concerns other servers on the same store.
- `local_gateway.py`: a gateway on the store alone, for the command line.
- `store.py`, `store_move.py`: opens the store that the settings name, and moves one to another database.
- `store_review.py`, `engine_review.py`: what the doctor says about the store, and about a remote engine.
- `first_start.py`: what a first start creates, and checks of the address to listen on.

The only folder that builds the whole graph of objects. It handles no requests and makes no decisions.
"""
