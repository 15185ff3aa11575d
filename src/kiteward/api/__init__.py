"""The APIs: how a request that has arrived becomes a call of the gateway, and its outcome an answer.

- `grpc/`: Milvus' gRPC service; bytes in, bytes out.
- `rest/`: Milvus' REST API v2 and Kiteward's own endpoints; JSON in, JSON out.
- `console/`: the web console; pages and forms.
- `health.py`: `/healthz` and `/metrics` on a port of their own.

An API reads the credential, the options and the body, calls the gateway, and shapes the answer or the error. It
decides nothing: no privilege is checked, no user is looked up and no audit event is written here. APIs do not import
one another.
"""
