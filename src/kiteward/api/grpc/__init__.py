"""Milvus' gRPC service on HTTP/2.

- `service.py`: reads credential and options from metadata; one call of the gateway for each request.
- `unary_call.py`, `protocol.py`: one unary call with its deadline, and the encoding of gRPC on HTTP/2.
- `status.py`, `connect_errors.py`: the table from errors to gRPC and Milvus codes.

No message is decoded and no privilege is checked here. HTTP/2 itself is in `kiteward.net.http2`.
"""
