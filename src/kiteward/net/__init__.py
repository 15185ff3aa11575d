"""The network: listening, TLS, the HTTP protocols that APIs are served on, and HTTP/2 to a remote engine.

- `listener.py`, `sockets.py`, `tls.py`: listening sockets, protocol detection, certificates.
- `http1/`, `http2/`: HTTP/1.1 and HTTP/2 on accepted connections, with limits on time and memory; HTTP/2 as a client.
- `plain_http.py`: the answer to a client without TLS on the port of TLS.
- `budget.py`: the memory budget, which limits the bytes that are held for clients.
- `hosts.py`: the host names that HTTP requests may carry.
- `asgi.py`: the types of ASGI.

Nothing here depends on gRPC, REST, Milvus or users; the application is an argument.
"""
