"""`python -m benchmarks.durability`: what the embedded engine's sync modes cost an insert, the modes taking turns."""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from benchmarks.filling import vectors
from benchmarks.frames import COLLECTION, DIMENSION
from benchmarks.report import paired, table
from kiteward.engine.embedded.supervisor import EmbeddedEngine, EmbeddedEngineSettings
from kiteward.engine.embedded.sync_mode import SyncMode
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS

_MODES: Final[tuple[SyncMode, ...]] = ("batch", "close", "none")
_BATCHES: Final = {1: 200, 100: 50, 1_000: 20}
"""Rows in a request -> requests in a turn."""
_TIMEOUT: Final = 60.0


async def _collection(engine: EmbeddedEngine) -> None:
    fields = [
        schema_pb2.FieldSchema(name="id", data_type=schema_pb2.DataType.Int64, is_primary_key=True),
        schema_pb2.FieldSchema(
            name="vector",
            data_type=schema_pb2.DataType.FloatVector,
            type_params=[common_pb2.KeyValuePair(key="dim", value=str(DIMENSION))],
        ),
    ]
    schema = schema_pb2.CollectionSchema(name=COLLECTION, fields=fields).SerializeToString()
    request = milvus_pb2.CreateCollectionRequest(collection_name=COLLECTION, schema=schema)
    await _ask(engine, "CreateCollection", request.SerializeToString())


def _insert(first: int, rows: int) -> bytes:
    numbers = [number for row in vectors(rows) for number in row["vector"]]  # type: ignore[attr-defined]  # a list
    ids = schema_pb2.FieldData(
        type=schema_pb2.DataType.Int64,
        field_name="id",
        scalars=schema_pb2.ScalarField(long_data=schema_pb2.LongArray(data=range(first, first + rows))),
    )
    vector = schema_pb2.FieldData(
        type=schema_pb2.DataType.FloatVector,
        field_name="vector",
        vectors=schema_pb2.VectorField(dim=DIMENSION, float_vector=schema_pb2.FloatArray(data=numbers)),
    )
    request = milvus_pb2.InsertRequest(collection_name=COLLECTION, fields_data=[ids, vector], num_rows=rows)
    return bytes(request.SerializeToString())


async def _ask(engine: EmbeddedEngine, method: str, payload: bytes) -> bytes:
    answer = await engine.call(method, payload, metadata={"dbname": "default"}, timeout=_TIMEOUT)
    if method == "Insert":
        status = milvus_pb2.MutationResult.FromString(answer).status
        assert status.code == 0, status.reason
    return answer


async def measure(directory: Path, rounds: int) -> dict[int, dict[str, list[float]]]:
    """Return rows a second: batch size -> mode -> one figure for each round."""
    async with contextlib.AsyncExitStack() as stack:
        engines = {}
        for mode in _MODES:
            settings = EmbeddedEngineSettings(directory / mode, ENGINE_RPCS, sync_mode=mode)
            engines[mode] = await EmbeddedEngine.start(settings)
            stack.push_async_callback(engines[mode].close)
            await _collection(engines[mode])
        rates: dict[int, dict[str, list[float]]] = {rows: {mode: [] for mode in _MODES} for rows in _BATCHES}
        first = 0
        for turn in range(rounds + 1):
            for rows, requests in _BATCHES.items():
                payloads = [_insert(first + at * rows, rows) for at in range(requests)]
                first += rows * requests
                for mode, engine in engines.items():
                    start = time.perf_counter()
                    for payload in payloads:
                        await _ask(engine, "Insert", payload)
                    rate = rows * requests / (time.perf_counter() - start)
                    # The first turn warms up.
                    rates[rows][mode] += [rate] if turn else []
        return rates


def _rows(rates: dict[int, dict[str, list[float]]]) -> list[list[str]]:
    rows = []
    for size, modes in rates.items():
        ratio = paired("", modes, ours="batch", against="close")
        cells = [f"{statistics.median(modes[mode]):,.0f}" for mode in _MODES]
        rows.append([f"{size:,}", *cells, f"{ratio.median:.2f} ({ratio.lowest:.2f} to {ratio.highest:.2f})"])
    return rows


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each mode takes its turn (default: 5)")
    parser.add_argument("--directory", type=Path, help="where the data goes: the disk to be measured (default: /tmp)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kiteward-bench-", dir=arguments.directory) as directory:
        rates = asyncio.run(measure(Path(directory), arguments.rounds))
    print(table(["rows in a request", *(f"`{mode}`, rows/s" for mode in _MODES), "`batch` / `close`"], _rows(rates)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
