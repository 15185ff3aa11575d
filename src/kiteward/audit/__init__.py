"""The audit trail: what is recorded, how it is written, verified, read and exported.

- `events.py`: what an audit event is.
- `hash_chain.py`: one event on one line of JSON, chained to the line before by SHA-256.
- `files.py`, `retention.py`: the files of a directory, one or more a day, and how long they are kept.
- `writer.py`: the queue and the thread that writes.
- `verify.py`, `reader.py`, `export.py`: finding tampering, searching, other formats.

Which requests are recorded, and with which details, is the gateway's to say. RPCs, users and stores are unknown here.
"""
