"""Carries out requests on the store of this machine, by the endpoints that a server would answer them with."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from kiteward.api.rest.in_process import answer_to
from kiteward.bootstrap.local_gateway import local_client, open_local
from kiteward.cli.sending import body_of
from kiteward.cli.served import data_in
from kiteward.config.settings import Settings
from kiteward.gateway.client import GatewayClient


class Near:
    """A gateway on the store alone. Implements `kiteward.cli.connection.Connection`."""

    answered_by = "command"

    def __init__(self, client: GatewayClient, where: str) -> None:
        """Take a client of the operator of this machine, and the name of the store."""
        self._client = client
        self.where = where

    async def ask(self, path: str, request: Mapping[str, Any]) -> Any:
        return data_in(await answer_to(self._client, path, body_of(request)))


@contextlib.asynccontextmanager
async def near(settings: Settings, *, create: bool = False) -> AsyncIterator[Near]:
    """Open the store of a configuration; `create` and errors as of `open_local`."""
    async with open_local(settings, create=create) as gateway:
        yield Near(local_client(gateway), str(settings.data_dir if settings.store is None else settings.store))
