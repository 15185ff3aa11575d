"""The audit trail: what is recorded, how it is written, verified, read and exported.

- `events.py`: what an audit event is.
- `hash_chain.py`: one event on one line of JSON, chained to the line before by SHA-256.
- `files.py`, `retention.py`: the files of a directory, one or more a day, and how long they are kept.
- `writer.py`: the queue and the thread that writes.
- `verify.py`, `reader.py`: finding tampering, searching.
- `refusals.py`: whose requests were refused in the last day, counted in memory.
- `shared.py`, `stored_lines.py`, `uses.py`: what replicas share of their trails, in the store, searched there; which
  privileges were used.
- `following.py`, `exports/`: following the files, and sending their lines to other systems.
- `zilliz.py`, `ocsf.py`: lines in other formats.

Which requests are recorded, and with which details, is the gateway's to say. RPCs and users are unknown here.
"""
