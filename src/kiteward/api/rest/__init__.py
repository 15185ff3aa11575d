"""Milvus' REST API v2, Kiteward's own endpoints, and their OpenAPI document.

- `app.py`, `credentials.py`, `headers.py`, `bodies.py`: the application; credential, options, limits, typed bodies.
- `endpoints.py`, `endpoint_table.py`: how an endpoint is declared, and all of them by path.
- `users.py`, `collections.py`, `entities.py` and their like: the endpoints, one module a category.
- `codec.py`, `results.py`, `collection_fields.py`, `schemas.py`: JSON rows to protobuf messages and back.
- `status.py`: the table from errors to HTTP statuses and Milvus codes.
- `openapi.py`, `docs_page.py`: the document of the declarations, and a page to read it on.

A handler reaches data through the gateway alone, with the credential of its caller. Sockets and HTTP/1.1 are
`kiteward.net.http1`.
"""
