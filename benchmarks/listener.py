"""`python -m benchmarks.listener`: our gRPC service beside the gRPC library's own server, taking turns.

Both stand before the same gateway in the same process, so that only the way there differs: through the one port and our
HTTP/2, or through `grpc.aio` on a port of its own. Beside the rates stands the processor time of a call.
"""

import argparse
import asyncio
import base64
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import uvloop

from kiteward.api.grpc.service import presented_credential
from kiteward.authn.hashing import TESTING
from kiteward.bootstrap.server import Server
from kiteward.config.settings import Settings
from kiteward.gateway.call import Call
from kiteward.gateway.gateway import Gateway

_LOOPBACK: Final = "127.0.0.1"

BUDGET: Final = 0.9
"""The least share of the library's own throughput that must come through our service."""

METHODS: Final = ("GetVersion", "ListCredUsers")
_SERVICE: Final = "/milvus.proto.milvus.MilvusService"
_TOKEN: Final = base64.b64encode(b"root:Milvus").decode()
_EMPTY_FRAME: Final = bytes(5)
_RATE: Final = re.compile(r"finished in .*?, ([\d.]+) req/s")
_ALL: Final = re.compile(r"(\d+) succeeded, 0 failed, 0 errored, 0 timeout")


@dataclass(frozen=True, slots=True)
class Turn:
    """One server under load, once.

    Attributes:
        rate: calls a second.
        spent: microseconds of processor time that the process spent on a call.
    """

    rate: float
    spent: float


@dataclass(frozen=True, slots=True)
class Rates:
    """What one method did.

    Attributes:
        method: RPC name.
        ours: through our service, one turn a round.
        library: through the library's server, in the same rounds.
    """

    method: str
    ours: tuple[Turn, ...]
    library: tuple[Turn, ...]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios of calls a second."""
        return statistics.median(ours.rate / theirs.rate for ours, theirs in zip(self.ours, self.library, strict=True))


class _Library(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc carries no types
    """The gateway behind `grpc.aio`, with as little between them as there can be."""

    def __init__(self, gateway: Gateway) -> None:
        self._handlers = {
            f"{_SERVICE}/{method}": grpc.unary_unary_rpc_method_handler(_handler(gateway, method)) for method in METHODS
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


def _handler(gateway: Gateway, method: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def handle(payload: bytes, context: Any) -> bytes:
        known = dict(context.invocation_metadata())
        credential = presented_credential(known.get("authorization"))
        return await gateway.handle(Call(method, payload, credential, address=context.peer(), transport="grpc"))

    return handle


async def measure(*, rounds: int = 5, calls: int = 20_000, connections: int = 4, streams: int = 8) -> list[Rates]:
    """Return the rates of every method; each round loads both servers; which is first alternates."""
    with tempfile.TemporaryDirectory() as directory:
        frame = Path(directory, "frame.bin")
        frame.write_bytes(_EMPTY_FRAME)  # noqa: ASYNC240  nothing else runs yet
        server = await Server.start(Settings(data_dir=Path(directory, "data"), port=0), hashing=TESTING)
        library = grpc.aio.server()
        library.add_generic_rpc_handlers((_Library(server.gateway),))
        try:
            ports = {"ours": server.port, "library": library.add_insecure_port(f"{_LOOPBACK}:0")}
            await library.start()
            found = []
            for method in METHODS:
                for port in ports.values():
                    await _prove(port, method)
                rates: dict[str, list[Turn]] = {"ours": [], "library": []}
                for number in range(rounds + 1):
                    for name in sorted(ports, reverse=bool(number % 2)):
                        before = time.process_time()
                        rate = await _load(ports[name], method, frame, (calls, connections, streams))
                        spent = (time.process_time() - before) / calls * 1_000_000
                        if number:  # the first round warms up
                            rates[name].append(Turn(rate, spent))
                found.append(Rates(method, tuple(rates["ours"]), tuple(rates["library"])))
            return found
        finally:
            await library.stop(1)
            await server.stop()


async def _prove(port: int, method: str) -> None:
    """Make one call the usual way: h2load takes a refusal for a success."""
    async with grpc.aio.insecure_channel(f"{_LOOPBACK}:{port}") as channel:
        answer = await channel.unary_unary(f"{_SERVICE}/{method}")(b"", metadata=(("authorization", _TOKEN),))
    assert answer


async def _load(port: int, method: str, frame: Path, size: tuple[int, int, int]) -> float:
    calls, connections, streams = (str(number) for number in size)
    process = await asyncio.create_subprocess_exec(
        *("h2load", "-n", calls, "-c", connections, "-m", streams, "-d", str(frame)),
        *("-H", "content-type: application/grpc", "-H", "te: trailers", "-H", f"authorization: {_TOKEN}"),
        f"http://{_LOOPBACK}:{port}{_SERVICE}/{method}",
        stdout=asyncio.subprocess.PIPE,
    )
    output = (await process.communicate())[0].decode()
    finished, rate = _ALL.search(output), _RATE.search(output)
    if finished is None or rate is None or finished[1] != calls:
        raise RuntimeError(f"h2load did not get every answer:\n{output}")
    return float(rate[1])


def main() -> int:
    """Measure, print, and return 0 if the budget is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--streams", type=int, default=8)
    if shutil.which("h2load") is None:
        print("h2load is missing; Debian has it in nghttp2-client", file=sys.stderr)
        return 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(**vars(parser.parse_args())))
    for rates in found:
        for name, turns in (("ours", rates.ours), ("grpc.aio", rates.library)):
            rate, spent = (statistics.median(each) for each in zip(*((t.rate, t.spent) for t in turns), strict=True))
            print(f"{rates.method:<14} {name:<12} {rate:8.0f} calls/s {spent:8.1f} us a call")
        print(f"{'':<14} ratio {rates.ratio:.2f} (budget {BUDGET})")
    return 0 if all(rates.ratio >= BUDGET for rates in found) else 1


if __name__ == "__main__":
    sys.exit(main())
