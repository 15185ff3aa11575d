"""The remote engine: a Milvus cluster, called over the network as one service account."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Self

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import (
    EngineAccessDenied,
    EngineAccountRejected,
    EngineDeadlineExceeded,
    EngineError,
    EngineLacksOperation,
    EngineResponseUnreadable,
    EngineUnavailable,
)
from kiteward.engine.base import EngineHealth
from kiteward.engine.channel import EngineChannel
from kiteward.engine.upstream import RemoteEngineSettings
from kiteward.milvus import messages
from kiteward.net.http2 import ClientSettings

_CHECK_TIMEOUT: Final = 5.0
"""Seconds within which the engine must respond to a check."""

_PAUSE: Final = 5.0
"""Seconds between two checks of an engine that is ready."""

_PAUSES: Final = (0.25, 0.5, 1.0, 2.0)
"""Seconds before each further check of one that is not; the last repeats."""

_CONNECT_TIMEOUT: Final = 3.0
"""Seconds within which a connection must be made; shorter than a check, which reports the reason."""

_LONGEST_PAUSE: Final = 2.0
"""Most seconds between two attempts to connect."""

_GRACE: Final = 30.0
"""Seconds that calls in flight may take when the engine is closed."""

_CHECK: Final = "ListDatabases"
"""The call of a check: it needs authentication, and the privilege without which the catalog cannot be loaded."""

ACCOUNT_REJECTED: Final = (
    "the remote engine does not accept the service account: kiteward.engine.user and its password must be those of a "
    "user there"
)
ACCOUNT_MISSING: Final = "the remote engine requires a service account: kiteward.engine.user must name one"
ACCOUNT_DENIED: Final = f"the service account lacks the privilege {_CHECK} in the remote engine"
ACCOUNT_FAULTS: Final = frozenset({ACCOUNT_REJECTED, ACCOUNT_MISSING, ACCOUNT_DENIED})
"""What is wrong with the service account, in an engine that can be reached."""

SILENT: Final = "the remote engine does not respond to calls"
NO_MILVUS: Final = (
    f"the remote engine does not implement {_CHECK} as Milvus does: it is no Milvus, or older than version 2.2.9"
)

_LONGEST_NAME: Final = 64
"""Most characters of the names of a version and of a kind of deployment."""

_log = logging.getLogger("kiteward.engine")


class RemoteEngine:
    """A Milvus behind the network. Implements `kiteward.engine.base.Engine`; made by `start`.

    It is checked periodically, and at once after a call that could not reach it. `generation` grows each time that it
    becomes ready, and each time that a connection replaces one that has ended: it may have been restarted in between,
    also where no check has noticed.
    """

    def __init__(self, settings: RemoteEngineSettings) -> None:
        """Prepare it; the first call makes a connection.

        Raises:
            ConfigurationError: the files for TLS cannot be used.
        """
        self._settings = settings
        address, authorization = settings.address, settings.authorization()
        self._channel = EngineChannel(
            address.target,
            tls=settings.tls.context() if address.tls else None,
            server_name=settings.tls.server_name,
            metadata={} if authorization is None else {"authorization": authorization},
            settings=ClientSettings(
                connections=settings.connections, connect_timeout=_CONNECT_TIMEOUT, longest_pause=_LONGEST_PAUSE
            ),
            longest_call=settings.timeout,
        )
        self._generation = 0
        self._generation_at_fault = 0
        self._fault = "the remote engine has not responded yet"
        self._told = messages.ServerInfo()
        self._checked = asyncio.Event()
        self._doubted = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, settings: RemoteEngineSettings) -> Self:
        """Return the engine after the first check; if that fails, it becomes ready by itself later.

        Raises:
            ConfigurationError: the files for TLS cannot be used.
        """
        engine = cls(settings)
        engine._watch = asyncio.create_task(engine._supervise(), name="remote-engine")
        await engine._checked.wait()
        return engine

    @property
    def generation(self) -> int:
        """How often it has become ready or was reconnected to."""
        return self._generation + self._channel.reconnections

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send one unary request as the service account. See `kiteward.engine.base.Engine.call`."""
        try:
            return await self._channel.call(method, payload, metadata=metadata, timeout=timeout)
        except EngineUnavailable:
            self._doubted.set()
            raise

    def health(self) -> EngineHealth:
        """Return the result of the last check."""
        told = self._told
        return EngineHealth(
            ready=not self._fault,
            reason=self._fault,
            detail=ErrorDetail(ErrorCode.ENGINE_UNAVAILABLE, quoted=self._fault),
            version=_told(told.build_tags).removeprefix("v"),
            deploy_mode=_told(told.deploy_mode),
        )

    async def check(self) -> str:
        """Return what is wrong with the engine now, in one sentence without its address, or empty."""
        try:
            answer = await self._ask(_CHECK)
            if messages.status_code(_CHECK, answer):
                return f"the remote engine refuses {_CHECK}"
            if self._fault:
                with suppress(EngineLacksOperation):
                    answer = await self._ask("Connect")
                    self._told = messages.read_response(messages.ConnectResponse, answer).server_info
        except EngineAccountRejected:
            return ACCOUNT_REJECTED if self._settings.user else ACCOUNT_MISSING
        except EngineAccessDenied:
            return ACCOUNT_DENIED
        except (EngineLacksOperation, EngineResponseUnreadable):
            return NO_MILVUS
        except EngineDeadlineExceeded:
            return SILENT
        except EngineError as error:
            return str(error)
        return ""

    async def close(self) -> None:
        """Stop checking, finish the calls in flight, and close the connections."""
        self._fault = "the remote engine is closed"
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await self._channel.drain(_GRACE)
        await self._channel.close()

    async def _supervise(self) -> None:
        failures = 0
        while True:
            self._doubted.clear()
            fault = await self.check()
            failures = failures + 1 if fault else 0
            self._note(fault)
            self._checked.set()
            with suppress(TimeoutError):
                if failures:
                    await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES)) - 1])
                else:
                    await asyncio.wait_for(self._doubted.wait(), _PAUSE)

    def _note(self, fault: str) -> None:
        """Keep the result of a check, and log it if it differs from the previous one."""
        if fault == self._fault:
            return
        if fault:
            _log.error("%s is not ready: %s", self._settings.address, fault)
            if not self._fault:
                self._generation_at_fault = self.generation
        else:
            self._generation += max(0, self._generation_at_fault + 1 - self.generation)
            _log.info("%s is ready: Milvus %s", self._settings.address, _told(self._told.build_tags))
        self._fault = fault

    async def _ask(self, method: str) -> bytes:
        return await self._channel.call(method, b"", metadata={}, timeout=_CHECK_TIMEOUT)


def _told(name: str) -> str:
    """Return what an engine says of itself, or empty if it is not one short line."""
    return name if name.isprintable() and len(name) <= _LONGEST_NAME else ""
