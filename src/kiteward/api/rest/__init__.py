"""Milvus' REST API v2, Kiteward's own endpoints, and their OpenAPI document.

- `app.py`, `credentials.py`, `headers.py`, `bodies.py`: the application; credential, options, limits, typed bodies.
- `endpoints.py`, `endpoint_table.py`: the declaration of an endpoint, and all endpoints by path.
- `users.py`, `collections.py`, `entities.py` and the like: the endpoints, one module for each category.
- `schemas.py`: schemas in JSON to protobuf messages and back. Rows are converted in `kiteward.milvus`.
- `token_endpoint.py`, `oauth.py`: token exchange, with forms and errors of OAuth 2.0.
- `status.py`: the table from errors to HTTP statuses and Milvus codes.
- `in_process.py`: endpoints without HTTP, for the command line.
- `openapi.py`, `docs_page.py`: the OpenAPI document of the declarations, and a page that shows it.

A handler reaches data only through the gateway, with the credential of its caller. Sockets and HTTP/1.1 are in
`kiteward.net.http1`.
"""
