"""Odd and wrong HTTP/1 on connections to our own listener: each answer carries the id of its request, or none does."""

import asyncio
import contextlib
import hashlib
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httptools
from tests.access.equivalence.random_values import Draw
from tests.fuzz.findings import Finding, Tally
from tests.fuzz.http1_requests import PATH, SMUGGLED, Expected, Http1Request, closing_request, random_request
from tests.support.listeners import LOOPBACK, opened

from kiteward.net.asgi import Receive, Scope, Send

NAME: Final = "framing"
MOST_MEMORY: Final = 128 * 1024
"""KiB that the process may grow by after its first connections."""

_CONNECTIONS: Final = 16
_MOST_REQUESTS: Final = 12
_PATIENCE: Final = 8.0
_OK: Final = 200
_WARM_UP: Final = 2_000
_MOST_TRIES: Final = 60


class Mirror:
    """An application that answers with the id of the request and a digest of its body.

    Attributes:
        smuggled: ports of clients of whom something was taken for a request or a header field, and was neither.
    """

    def __init__(self) -> None:
        self.smuggled: set[int] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = scope["path"].removeprefix(PATH)
        digest, more = hashlib.sha256(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            digest.update(message.get("body", b""))
            more = message.get("more_body", False)
        if number == SMUGGLED or any(name == b"x-id" for name, _ in scope["headers"]):
            self.smuggled.add(scope["client"][1])
        for _ in range(sum(number.encode()) % 4):
            await asyncio.sleep(0)  # the next requests have come by now
        text = f"{number} {digest.hexdigest()}".encode()
        headers = [(b"content-length", str(len(text)).encode()), (b"x-id", number.encode())]
        await send({"type": "http.response.start", "status": _OK, "headers": headers})
        await send({"type": "http.response.body", "body": text})


@dataclass(frozen=True, slots=True)
class Script:
    """What is sent on one connection.

    Attributes:
        requests: the requests.
        cuts: how many bytes are sent at a time, over and over.
    """

    requests: tuple[Http1Request, ...]
    cuts: tuple[int, ...]

    def __str__(self) -> str:
        return f"{[request.kind for request in self.requests]} in parts of {self.cuts} bytes: " + repr(
            b"".join(request.data for request in self.requests)
        )


@dataclass(slots=True)
class Received:
    """One answer."""

    status: int
    text: bytes


async def run(requests: int, seed: int) -> Tally:
    """Send so many requests over as many connections as they need."""
    tally, draw, mirror = Tally(), Draw(seed), Mirror()
    async with opened(application=mirror) as served:
        before = 0
        while (sent := tally.requests[NAME]) < requests:
            scripts = [_script(draw, number) for number in range(_CONNECTIONS)]
            faults = await asyncio.gather(*(_converse(served.port, script, mirror) for script in scripts))
            for script, fault in zip(scripts, faults, strict=True):
                tally.sent(NAME, len(script.requests))
                tally.answered(NAME, fault.partition(":")[0] or "as expected")
                if fault and fault.partition(":")[0] not in tally.findings:
                    less = await _cut(served.port, script, mirror)
                    tally.found(fault.partition(":")[0], Finding(NAME, fault, str(less)))
            if sent < _WARM_UP:
                before = _memory()
        grown = _memory() - before
        if grown > MOST_MEMORY:
            tally.found("memory", Finding(NAME, f"took {grown} KiB more", f"{requests} requests, seed {seed}"))
    return tally


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _script(draw: Draw, number: int) -> Script:
    requests: list[Http1Request] = []
    for place in range(draw.number(_MOST_REQUESTS)):
        requests.append(random_request(draw, f"{number}-{place}"))
        if requests[-1].expected in (Expected.REFUSED, Expected.UNFINISHED):
            break
    else:
        requests.append(closing_request(f"{number}-last"))
    cuts = draw.of(((100_000,), (draw.number(40),), tuple(draw.number(200) for _ in range(5)), (1, 100_000)))
    return Script(tuple(requests), cuts)


async def _converse(port: int, script: Script, mirror: Mirror) -> str:
    """Send a script and return what was wrong with the answers, or nothing."""
    client = await _Client.connect(port)
    try:
        await client.send(script)
        async with asyncio.timeout(_PATIENCE):
            await client.wait_for(None if script.requests[-1].closes else _needed(script.requests))
    except TimeoutError:
        return f"was neither answered nor closed: {script.requests[-1].kind}"
    finally:
        client.close()
    if client.port in mirror.smuggled:
        mirror.smuggled.discard(client.port)
        return f"took something that is not a request of its own for one: {_kinds(script.requests)}"
    return _compare(script.requests, client.answers)


def _needed(requests: Sequence[Http1Request]) -> int:
    return sum(request.expected is not Expected.UNFINISHED for request in requests)


def _kinds(requests: Sequence[Http1Request]) -> str:
    return ", ".join(sorted({request.kind for request in requests}))


def _compare(requests: Sequence[Http1Request], answers: Sequence[Received]) -> str:
    """Return what is wrong with the answers to the requests, or an empty text."""
    for place, request in enumerate(requests):
        if place >= len(answers):
            ended = request.expected is not Expected.ANSWERED or any(each.last for each in requests[:place])
            return "" if ended else f"left a valid request unanswered: {request.kind}"
        answer = answers[place]
        expected_answer = f"{request.number} {hashlib.sha256(request.body).hexdigest()}".encode()
        if answer.status != _OK:
            if request.expected is Expected.ANSWERED:
                return f"refused a valid request ({answer.status}): {request.kind}"
            return "" if place == len(answers) - 1 else f"answered after a refusal: {request.kind}"
        if request.expected in (Expected.REFUSED, Expected.UNFINISHED):
            return f"answered an invalid request: {request.kind}"
        if answer.text != expected_answer:
            return f"gave another answer: {request.kind}: {answer.text!r} for {request.number}"
    return "" if len(answers) == len(requests) else f"answered more often than asked: {_kinds(requests)}"


async def _cut(port: int, script: Script, mirror: Mirror) -> Script:
    """Return the smallest script found that is still answered wrongly."""
    for _ in range(_MOST_TRIES):
        for number in range(len(script.requests)):
            less = Script(script.requests[:number] + script.requests[number + 1 :], script.cuts)
            if less.requests and await _converse(port, less, mirror):
                script = less
                break
        else:
            break
    return script


class _Client(asyncio.Protocol):
    """One connection. Methods named `on_…` are called by the parser."""

    def __init__(self) -> None:
        self.answers: list[Received] = []
        self._parser = httptools.HttpResponseParser(self)
        self._text = bytearray()
        self._changed = asyncio.Event()
        self._lost = False
        self._transport: asyncio.WriteTransport | None = None
        self.port = 0

    @classmethod
    async def connect(cls, port: int) -> "_Client":
        """Connect to a port on the loopback address."""
        transport, client = await asyncio.get_running_loop().create_connection(cls, LOOPBACK, port)
        client._transport = transport
        client.port = transport.get_extra_info("sockname")[1]
        return client

    async def send(self, script: Script) -> None:
        """Send a script in parts."""
        data, start, number = b"".join(request.data for request in script.requests), 0, 0
        while start < len(data) and not self._lost:
            assert self._transport is not None
            size = script.cuts[number % len(script.cuts)]
            self._transport.write(data[start : start + size])
            start, number = start + size, number + 1
            await asyncio.sleep(0)

    async def wait_for(self, number: int | None) -> None:
        """Wait for so many answers, or for the end of the connection."""
        while not self._lost and (number is None or len(self.answers) < number):
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        with contextlib.suppress(httptools.HttpParserError):
            self._parser.feed_data(data)
            return
        self.answers.append(Received(-1, data))
        self._changed.set()

    def connection_lost(self, _: Exception | None) -> None:
        self._lost = True
        self._changed.set()

    def on_body(self, body: bytes) -> None:
        self._text += body

    def on_message_complete(self) -> None:
        self.answers.append(Received(self._parser.get_status_code(), bytes(self._text)))
        self._text.clear()
        self._changed.set()
