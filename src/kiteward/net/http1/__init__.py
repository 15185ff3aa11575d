"""HTTP/1.1 on accepted connections: uvicorn's protocol with bounds on time and memory.

- `server.py`: `HttpServer`, an ASGI application and the connections it is served on.
- `connection.py`: uvicorn's protocol of one connection, with bounds on time and memory.
- `limits.py`: `HttpLimits`, what a client may take.
- `flow_control.py`: when a connection is read.

It serves any ASGI application and knows none of them.
"""
