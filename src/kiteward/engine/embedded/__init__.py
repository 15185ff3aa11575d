"""Milvus Lite as an engine, in a supervised child process.

- `supervisor.py` runs in the server: it starts, restarts and stops the child.
- `child.py` and everything else runs in the child: the gRPC service, locks, durability, indexes, filters, and the
  corrections to Milvus Lite's answers.

The server never imports the child's modules, and `milvus_lite` is imported nowhere else.
"""
