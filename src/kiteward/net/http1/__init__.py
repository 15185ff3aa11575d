"""HTTP/1.1 on accepted connections: uvicorn's protocol with limits on time and memory.

- `server.py`: `HttpServer`, which serves an ASGI application on its connections.
- `connection.py`: uvicorn's protocol of one connection, with limits on time and memory.
- `limits.py`: `HttpLimits`, the limits of a client.
- `flow_control.py`: pauses and resumes reading from a connection.

It serves any ASGI application and depends on none.
"""
