"""Engines: what executes vector operations.

- `base.py`: the contract of an engine.
- `channel.py`, `unary.py`, `receive_budget.py`, `metadata.py`: a pass-through gRPC channel, its calls, the memory for
  long responses, and the metadata that may travel on it.
- `statuses.py`: the domain error for each status of an engine.
- `confinement.py`: takes network and files from a process.
- `embedded/`: Milvus Lite in a supervised child process.
- `remote.py`, `upstream.py`: a Milvus over the network; where it is, and as whom it is called.
- `offline.py`: the engine of a command line that runs beside a stopped or running server.

An engine receives bytes that are authorized already. It knows no users, no policy and no store.
"""
