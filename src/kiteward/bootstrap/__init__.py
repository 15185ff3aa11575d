"""The composition root: from settings to a running server, or to a gateway for the command line.

- `server.py`: starts the parts in order and stops them in reverse.
- `ports.py`: the main port with gRPC, REST and the console, and the port for health and metrics.
- `components.py`: parts that a server and the command line share.
- `local_gateway.py`: a gateway on the store alone, for the command line.
- `first_start.py`: what a first start creates, and the rules for the address to listen on.

The only folder that knows the whole graph of objects. No request is handled and nothing is decided here.
"""
