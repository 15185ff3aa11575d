"""`python -m benchmarks.engine_hop`: what a call to the embedded engine costs the server and the engine's process."""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import uvloop
from pymilvus import DataType, MilvusClient
from pymilvus.client.prepare import Prepare
from pymilvus.grpc_gen import milvus_pb2

from benchmarks import filling, report
from benchmarks.frames import COLLECTION, DIMENSION, INDEX, recorded
from kiteward.engine.base import Engine
from kiteward.engine.embedded.supervisor import EmbeddedEngine, EmbeddedEngineSettings
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS

_CALLS: Final = {"HasCollection": 6000, "Search": 1500}
_METADATA: Final = {"dbname": "default", "kiteward-request-id": "0123456789abcdef"}
_BATCH: Final = 1_000


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine_hop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: 3)")
    print(uvloop.run(_measure(parser.parse_args(argv).rounds)))


async def _measure(rounds: int) -> str:
    measured = [(request, width) for request in recorded(filling.DESCRIBED_ROLE) for width in (32, 1)]
    with tempfile.TemporaryDirectory(prefix="kiteward-bench-") as directory:
        engine = await EmbeddedEngine.start(EmbeddedEngineSettings(Path(directory) / "data", ENGINE_RPCS))
        try:
            await _fill(engine)
            rows = [
                await _operation(engine, request.operation, request.payload, width, rounds)
                for request, width in measured
                if request.operation in _CALLS
            ]
        finally:
            await engine.close()
    return report.table(["call, at a time", "server, µs", "engine, µs", "median wait, µs"], rows)


async def _operation(engine: EmbeddedEngine, name: str, payload: bytes, width: int, rounds: int) -> list[str]:
    calls = _CALLS[name] if width > 1 else _CALLS[name] // 4
    await _turn(engine, name, payload, calls // 4, width)
    turns = [await _turn(engine, name, payload, calls, width) for _ in range(rounds)]
    return [f"{name}, {width}", *(f"{statistics.median(figures):,.1f}" for figures in zip(*turns, strict=True))]


async def _turn(
    engine: EmbeddedEngine, name: str, payload: bytes, calls: int, width: int
) -> tuple[float, float, float]:
    """Return processor time a call of the server and of the engine, and the median wait, in µs."""
    waits: list[float] = []

    async def call_on() -> None:
        while len(waits) < calls:
            begun = time.perf_counter()
            await engine.call(name, payload, metadata=_METADATA, timeout=None)
            waits.append(time.perf_counter() - begun)

    server, child = time.process_time(), _processor_time(engine.pid)
    await asyncio.gather(*(call_on() for _ in range(width)))
    server, child = time.process_time() - server, _processor_time(engine.pid) - child
    return server / len(waits) * 1e6, child / len(waits) * 1e6, statistics.median(waits) * 1e6


def _processor_time(process: int | None) -> float:
    """Return the processor time of all threads of a process, in seconds."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


async def _fill(engine: Engine) -> None:
    """Make the collection of the other benchmarks."""
    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    await _send(engine, "CreateCollection", Prepare.create_collection_request(COLLECTION, schema))
    rows = filling.vectors(filling.ROWS)
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        insert = Prepare.row_insert_param(COLLECTION, batch, "", fields_info=schema.to_dict()["fields"])
        await _send(engine, "Insert", insert)
    await _send(engine, "Flush", milvus_pb2.FlushRequest(collection_names=[COLLECTION]))
    index: Mapping[str, Any] = {**INDEX, "params": json.dumps(INDEX["params"])}
    await _send(engine, "CreateIndex", Prepare.create_index_request(COLLECTION, "vector", index))
    await _send(engine, "LoadCollection", milvus_pb2.LoadCollectionRequest(collection_name=COLLECTION))


async def _send(engine: Engine, name: str, request: Any) -> None:
    await engine.call(name, request.SerializeToString(), metadata=_METADATA, timeout=60)


if __name__ == "__main__":
    main()
