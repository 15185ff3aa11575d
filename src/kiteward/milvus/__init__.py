"""Milvus' protobuf messages: definitions, single fields of their bytes, and requests as the SDK builds them.

- `generated.py`: the generated code, loaded from the files of pymilvus without its client.
- `messages.py`: what the rest of Kiteward knows of it.
- `wire_format.py`, `field_paths.py`, `field_selection.py`: reading and replacing chosen fields of encoded messages.
- `builders.py`: requests made by pymilvus' own builders, which are imported with the first of them.

No privilege, no user and no transport is known here. `pymilvus` is imported nowhere else in the server.
"""
