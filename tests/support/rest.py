"""A client of the REST API, in process: the application with a gateway behind it, and no socket."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from tests.support.gateway import PASSWORD, ROOT_PASSWORD

from kiteward.api.rest.app import build_app
from kiteward.api.rest.endpoint_table import TABLE
from kiteward.api.rest.endpoints import PREFIX, Table
from kiteward.api.rest.settings import RestSettings
from kiteward.gateway.gateway import Gateway

NOT_AUTHENTICATED: Final = {"code": 1800, "message": "user hasn't authenticated"}


def bearer(user: str) -> str:
    """Return the header of a user with the usual password."""
    return f"Bearer {user}:{ROOT_PASSWORD if user == 'root' else PASSWORD}"


class Rest:
    """Sends requests as one user or another."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def send(
        self,
        path: str,
        body: Any = None,
        *,
        by: str | None = "root",
        content: bytes | None = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request.

        Args:
            path: category and action, an absolute path or a whole URL.
            body: sent as JSON; `{}` unless given.
            by: the user who calls, with the usual password; None sends no credential.
            content: sent as it is, in place of `body`.
            method: HTTP method.
            headers: further headers, over those made here.
        """
        sent = {} if by is None else {"Authorization": bearer(by)}
        payload: dict[str, Any] = {"json": {} if body is None else body} if content is None else {"content": content}
        url = path if path.startswith(("/", "http")) else f"{PREFIX}{path}"
        return await self.client.request(method, url, headers={**sent, **(headers or {})}, **payload)

    async def ask(self, path: str, body: Any = None, **how: Any) -> Any:
        """Send a request that must succeed, and return `data`."""
        answer = await self.whole(path, body, **how)
        assert answer["code"] == 0, answer
        assert "message" not in answer
        return answer["data"]

    async def whole(self, path: str, body: Any = None, **how: Any) -> Any:
        """Send a request that must be answered with HTTP 200, and return the answer."""
        response = await self.send(path, body, **how)
        assert response.status_code == 200, response.text
        return response.json()

    async def code(self, path: str, body: Any = None, **how: Any) -> int:
        """Send a request that must fail with HTTP 200, and return the code."""
        answer = await self.whole(path, body, **how)
        assert answer["code"] != 0, answer
        assert set(answer) == {"code", "message"}
        return int(answer["code"])


@asynccontextmanager
async def served(
    gateway: Gateway, settings: RestSettings | None = None, *, table: Table = TABLE, offers_scim: bool = False
) -> AsyncIterator[Rest]:
    """Serve the REST API of a gateway for as long as the block lasts."""
    app = build_app(gateway, settings or RestSettings(), table=table, offers_scim=offers_scim)
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://kiteward.test:19530") as client:
            yield Rest(client)
    finally:
        app.close()
