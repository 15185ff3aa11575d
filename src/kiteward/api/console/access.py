"""The page about the health of the server."""

import contextlib
from typing import Final

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.errors import StoreError
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.json_api.server import ServerList, ServerState


async def health(request: ConsoleRequest) -> Response:
    """Show the health of the server, and of those that use the same store."""
    state = await request.client.invoke("DescribeServer", Arguments(), ServerState)
    servers = None
    with contextlib.suppress(StoreError):
        servers = (await request.client.invoke("ListServers", Arguments(), ServerList)).servers
    return request.page("health.html", server=state, servers=servers)


PAGES: Final = (Page("health", health),)
