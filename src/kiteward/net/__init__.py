"""The network: listening, TLS, and the HTTP protocols that APIs are served on.

- `listener.py`, `sockets.py`, `tls.py`: the port, which protocol a connection speaks, certificates.
- `http1/`, `http2/`: HTTP/1.1 and HTTP/2 on accepted connections, bounded in time and memory.
- `budget.py`: how many bytes are held for clients.
- `hosts.py`: the names that HTTP is served under.
- `asgi.py`: the types of ASGI.

Nothing here knows gRPC, REST, Milvus or users; an application is handed in.
"""
