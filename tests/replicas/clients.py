"""A client of a server's REST API that costs little: what is tested shares the machine with it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

PATIENCE: Final = 120.0
"""Seconds after which an answer is waited for no more."""


class NotSent(Exception):
    """There was no connection, so that the server has not seen the request."""


class NoAnswer(Exception):
    """The connection ended, or the time was over, before the answer came.

    Attributes:
        late: whether the server may still carry the request out at any time.
    """

    def __init__(self, reason: str, *, late: bool) -> None:
        super().__init__(reason)
        self.late = late


class RestClient:
    """Sends requests over connections that it keeps, each for one request at a time, and repeats none."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: Mapping[str, Any], *, by: str, patience: float = PATIENCE) -> Any:
        """Send a request with a credential and return the JSON of the answer.

        Raises:
            NotSent: there is no connection.
            NoAnswer: there is no answer.
        """
        payload = json.dumps(dict(body)).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {by}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(patience):
                reader, writer = await self._connection()
                try:
                    writer.write(head.encode() + payload)
                    answered = await reader.readuntil(b"\r\n\r\n")
                    answer = await reader.readexactly(_length(answered))
                except BaseException:
                    writer.transport.abort()
                    raise
        except TimeoutError:
            raise NoAnswer(f"no answer to {path} within {patience} s", late=True) from None
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise NoAnswer(f"the connection broke: {type(error).__name__}", late=False) from None
        self._idle.append((reader, writer))
        return json.loads(answer)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.transport.abort()
        try:
            return await asyncio.open_connection("127.0.0.1", self._port)
        except OSError as error:
            raise NotSent(str(error)) from None

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._idle.pop()[1].transport.abort()


async def exchanged(port: int, request: str, patience: float = PATIENCE, *, source: str = "127.0.0.1") -> str:
    """Send a request over a connection of its own, which the server closes, and return its response."""
    async with asyncio.timeout(patience):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        try:
            writer.write(request.encode())
            return (await reader.read()).decode()
        finally:
            writer.transport.abort()


async def page(port: int, path: str) -> tuple[int, str]:
    """Return status and text of a page of the port for health and metrics."""
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    head, _, body = (await exchanged(port, request)).partition("\r\n\r\n")
    return int(head.split()[1]), body


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    raise AssertionError(head)
