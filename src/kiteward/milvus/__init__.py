"""Milvus' protobuf messages: definitions, single fields of their bytes, and requests as the SDK builds them.

- `messages.py`: the one import of the generated code.
- `wire_format.py`, `field_paths.py`, `field_selection.py`: reading and replacing chosen fields of encoded messages.
- `builders.py`: requests made by pymilvus' own builders.

No privilege, no user and no transport is known here. `pymilvus` is imported nowhere else in the server.
"""
