"""Milvus' protobuf messages: definitions, single fields of their bytes, and requests as the SDK builds them.

- `generated.py`: the generated code, loaded from the files of pymilvus without its client.
- `messages.py`: what the rest of Kiteward knows of it.
- `request_types.py`, `request_reader.py`, `large_payloads.py`: reading requests; what is not accepted.
- `replacing.py`, `wire_format.py`, `field_paths.py`: replacing fields of encoded messages.
- `collection_fields.py`, `json_codec.py`, `json_rows.py`: the fields of a collection; JSON values to arguments of the
  builders, and columns of responses to JSON rows.
- `builders.py`: requests made by pymilvus' own builders, which are imported with the first of them.

No privilege, no user and no transport is known here. `pymilvus` is imported nowhere else in the server.
"""
