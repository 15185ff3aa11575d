"""Milvus' protobuf messages: definitions, single fields of their bytes, and requests as the SDK builds them.

- `messages.py`: the one import of the generated code.
- `request_types.py`, `request_reader.py`, `field_budget.py`: reading requests; what is not accepted.
- `replacing.py`, `wire_format.py`, `field_paths.py`: replacing fields of encoded messages.
- `builders.py`: requests made by pymilvus' own builders.

No privilege, no user and no transport is known here. `pymilvus` is imported nowhere else in the server.
"""
