"""Milvus Lite as an engine, in a supervised child process.

- `supervisor.py` and `client.py` run in the server: they start, restart and stop the child, and send calls to it.
- `frames.py` and `outgoing.py` are the protocol between both, and run in either (decision 0039).
- `child.py` and everything else runs in the child: the server of calls, locks, durability, indexes, filters, and the
  corrections to Milvus Lite's answers.

The server never imports the child's modules, and `milvus_lite` is imported nowhere else.
"""
