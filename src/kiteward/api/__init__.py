"""The APIs: they turn a request into a call of the gateway, and its outcome into a response.

- `grpc/`: Milvus' gRPC service; bytes in, bytes out.
- `rest/`: Milvus' REST API v2 and Kiteward's own endpoints; JSON in, JSON out.
- `console/`: the web console; pages and forms.
- `health.py`: `/healthz` and `/metrics` on a port of their own.

An API reads the credential, the options and the body, calls the gateway, and encodes the response or the error. It
makes no decisions: no privilege is checked, no user is looked up and no audit event is written here. APIs do not import
one another.
"""
