"""A page's side of the gateway: every question and every change goes through the one door, as the user signed in."""

import asyncio
from typing import Any

from kiteward.domain.errors import AuthenticationError, CollectionNotFound, RequestRefused
from kiteward.domain.identity import PresentedCredential
from kiteward.gateway.call import Call
from kiteward.gateway.gateway import Gateway
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import Arguments, encoded
from kiteward.milvus import messages


class GatewayClient:
    """Asks the gateway on behalf of one caller, for one request of a browser."""

    def __init__(
        self,
        gateway: Gateway,
        credential: PresentedCredential | AuthenticationError,
        *,
        address: str,
        deadline: float,
        request_id: str,
        client: str = "",
    ) -> None:
        self._gateway = gateway
        self._credential = credential
        self._address = address
        self._deadline = deadline
        self._request_id = request_id
        self._client = client

    def by(self, credential: PresentedCredential) -> "GatewayClient":
        """Return the same side for another credential."""
        return GatewayClient(
            self._gateway,
            credential,
            address=self._address,
            deadline=self._deadline,
            request_id=self._request_id,
            client=self._client,
        )

    async def extend(self, operation: str, arguments: Arguments | None = None) -> Any:
        """Ask for one of our own operations and return its outcome.

        Raises:
            KitewardError: as `Gateway.handle`.
        """
        extension = ADMIN_OPERATIONS[operation]
        return extension.answered(await self._ask(operation, encoded(arguments or Arguments()), ""))

    async def call(self, operation: str, /, *, database: str = "", **fields: Any) -> Any:
        """Send a request of the protocol and return the response message.

        Args:
            operation: RPC name.
            database: the database of the connection.
            fields: fields of the request message.

        Raises:
            KitewardError: as `Gateway.handle`; RequestRefused also where the response reports a failure.
        """
        rpc = messages.method_of(operation)
        response: Any = rpc.response.FromString(
            await self._ask(operation, rpc.request(**fields).SerializeToString(), database)
        )
        if rpc.status_field is not None:
            status = getattr(response, rpc.status_field) if rpc.status_field else response
            if status.code == messages.COLLECTION_NOT_FOUND:
                raise CollectionNotFound(status.reason)
            if status.code or status.error_code:
                raise RequestRefused(status.reason)
        return response

    async def _ask(self, operation: str, payload: bytes, database: str) -> bytes:
        left = self._deadline - asyncio.get_running_loop().time()
        return await self._gateway.handle(
            Call(
                operation=operation,
                payload=payload,
                credential=self._credential,
                database=database,
                timeout=max(left, 0.001),
                address=self._address,
                request_id=self._request_id,
                transport="console",
                client=self._client,
            )
        )
