"""Milvus' gRPC service on HTTP/2.

- `service.py`: metadata to credential and options; one call of the gateway for each request.
- `unary_call.py`, `protocol.py`: one unary call with its deadline, and how gRPC is encoded on HTTP/2.
- `status.py`, `connect_errors.py`: the table from errors to gRPC and Milvus codes.

No message is decoded here, and no privilege is known. HTTP/2 itself is `kiteward.net.http2`.
"""
