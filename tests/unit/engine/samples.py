"""Requests for an engine and a way to wait, shared by the tests of the engine layer."""

import asyncio
import os
import signal
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from kiteward.engine.base import Access, Engine
from kiteward.engine.embedded.supervisor import EmbeddedEngine, EmbeddedEngineSettings
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS

DIMENSION = 4
SUCCESS = 0
INT64, VARCHAR = schema_pb2.DataType.Int64, schema_pb2.DataType.VarChar
FLOAT_VECTOR = schema_pb2.DataType.FloatVector


async def start(directory: Path, *, rpcs: Mapping[str, Access] = ENGINE_RPCS, **settings: Any) -> EmbeddedEngine:
    """Start an embedded engine that gives up soon."""
    return await EmbeddedEngine.start(
        EmbeddedEngineSettings(directory, rpcs, start_timeout=20, stop_timeout=20, **settings)
    )


async def call(
    engine: Engine, method: str, *, metadata: Mapping[str, str] | None = None, timeout: float = 30, **fields: Any
) -> Any:
    """Call an RPC with the fields of its request and return its response message."""
    described = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"].methods_by_name[method]
    request = GetMessageClass(described.input_type)(**fields)
    answer = await engine.call(method, request.SerializeToString(), metadata=metadata or {}, timeout=timeout)
    return GetMessageClass(described.output_type).FromString(answer)


async def succeed(engine: Engine, method: str, **fields: Any) -> Any:
    """Call an RPC that must succeed and return its response message."""
    response = await call(engine, method, **fields)
    status = response if isinstance(response, common_pb2.Status) else response.status
    assert (status.code, status.error_code) == (SUCCESS, SUCCESS), f"{method}: {status}"
    return response


def schema(name: str) -> bytes:
    """A key and a vector."""
    vector = schema_pb2.FieldSchema(
        name="vector",
        data_type=FLOAT_VECTOR,
        type_params=[common_pb2.KeyValuePair(key="dim", value=str(DIMENSION))],
    )
    key = schema_pb2.FieldSchema(name="id", data_type=INT64, is_primary_key=True)
    serialised: bytes = schema_pb2.CollectionSchema(name=name, fields=[key, vector]).SerializeToString()
    return serialised


async def create_collection(engine: Engine, name: str, *, db_name: str = "", indexed: bool = False) -> None:
    """Create a collection; an indexed one is loaded too."""
    fields = {"db_name": db_name, "collection_name": name}
    await succeed(engine, "CreateCollection", **fields, schema=schema(name))
    if indexed:
        await create_index(engine, name, db_name=db_name)
        await succeed(engine, "LoadCollection", **fields)


async def create_index(engine: Engine, name: str, *, db_name: str = "", index_type: str = "HNSW") -> None:
    """Index the vectors."""
    given = {"index_type": index_type, "metric_type": "L2"}
    params = [common_pb2.KeyValuePair(key=key, value=value) for key, value in given.items()]
    await succeed(
        engine, "CreateIndex", db_name=db_name, collection_name=name, field_name="vector", extra_params=params
    )


def rows(ids: Iterable[int], dimension: int = DIMENSION) -> dict[str, Any]:
    """The fields of an insert of these keys; the vector of key n is (n, n, ...)."""
    keys = list(ids)
    vectors = schema_pb2.VectorField(
        dim=dimension, float_vector=schema_pb2.FloatArray(data=[float(key) for key in keys for _ in range(dimension)])
    )
    numbers = schema_pb2.ScalarField(long_data=schema_pb2.LongArray(data=keys))
    return {
        "fields_data": [
            schema_pb2.FieldData(field_name="id", type=INT64, scalars=numbers),
            schema_pb2.FieldData(field_name="vector", type=FLOAT_VECTOR, vectors=vectors),
        ],
        "num_rows": len(keys),
    }


async def insert(engine: Engine, name: str, ids: Iterable[int], **fields: Any) -> None:
    """Insert rows of these keys."""
    await succeed(engine, "Insert", collection_name=name, **rows(ids), **fields)


async def flush(engine: Engine, name: str) -> None:
    """Flush one collection."""
    await succeed(engine, "Flush", collection_names=[name])


async def stored_ids(engine: Engine, name: str, **fields: Any) -> list[int]:
    """The keys of all rows, in order."""
    response = await succeed(engine, "Query", collection_name=name, expr="id >= 0", output_fields=["id"], **fields)
    found = [list(data.scalars.long_data.data) for data in response.fields_data if data.field_name == "id"]
    return sorted(found[0]) if found else []


async def search(engine: Engine, name: str, near: int, **fields: Any) -> Any:
    """Search the row nearest to a key's vector."""
    values = struct.pack(f"<{DIMENSION}f", *[float(near)] * DIMENSION)
    group = common_pb2.PlaceholderGroup(
        placeholders=[
            common_pb2.PlaceholderValue(tag="$0", type=common_pb2.PlaceholderType.FloatVector, values=[values])
        ]
    )
    given = {"anns_field": "vector", "topk": "1", "metric_type": "L2", "params": "{}"}
    return await call(
        engine,
        "Search",
        collection_name=name,
        dsl_type=common_pb2.DslType.BoolExprV1,
        placeholder_group=group.SerializeToString(),
        search_params=[common_pb2.KeyValuePair(key=key, value=value) for key, value in given.items()],
        nq=1,
        **fields,
    )


async def nearest(engine: Engine, name: str, near: int, **fields: Any) -> list[int]:
    """The key of the row nearest to a key's vector; the search must succeed."""
    response = await search(engine, name, near, **fields)
    assert response.status.code == SUCCESS, response.status
    return list(response.results.ids.int_id.data)


async def until(condition: Callable[[], bool], *, within: float = 60.0) -> float:
    """Wait until a condition holds and return how long it took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > within:
            raise AssertionError(f"did not happen within {within:g} s")
        await asyncio.sleep(0.01)
    return time.monotonic() - started


async def kill(engine: EmbeddedEngine) -> None:
    """Kill the child and wait until it is back."""
    before, pid = engine.generation, engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: engine.generation > before and engine.health().ready)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
