"""A client of a server's REST API that costs little: what is tested shares the machine with it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any


class RestClient:
    """Sends requests over connections that it keeps, each for one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: Mapping[str, Any], *, by: str) -> Any:
        """Send a request with a credential and return the JSON of the answer."""
        payload = json.dumps(dict(body)).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {by}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
        )
        while True:
            kept = bool(self._idle)
            reader, writer = self._idle.pop() if kept else await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(head.encode() + payload)
                answered = await reader.readuntil(b"\r\n\r\n")
                answer = await reader.readexactly(_length(answered))
            except (ConnectionError, asyncio.IncompleteReadError):
                writer.transport.abort()
                if not kept:
                    raise
                continue  # the server had closed it, as it may
            except BaseException:
                writer.transport.abort()
                raise
            self._idle.append((reader, writer))
            return json.loads(answer)

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._idle.pop()[1].transport.abort()


async def page(port: int, path: str) -> tuple[int, str]:
    """Return status and text of a page of the port for health and metrics."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.transport.abort()
    return int(head.split()[1]), body.decode()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    raise AssertionError(head)
