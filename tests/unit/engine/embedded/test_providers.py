"""The engine calls no provider, not even for a function that got past the gateway, or that v0.1 stored."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymilvus.grpc_gen import common_pb2, schema_pb2
from tests.unit.engine import samples

CLOSED = "functions that call a provider are not supported"
TEXT_EMBEDDING, RERANK = schema_pb2.FunctionType.TextEmbedding, schema_pb2.FunctionType.Rerank


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that waits for a connection; none may come while it is there."""
    with socket.create_server(("127.0.0.1", 0)) as waiting:
        yield waiting
        waiting.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.accept()


def pairs(**given: str) -> list[Any]:
    return [common_pb2.KeyValuePair(key=key, value=value) for key, value in given.items()]


def embedded_schema(address: str) -> bytes:
    schema = schema_pb2.CollectionSchema.FromString(samples.schema("docs"))
    schema.fields.add(name="text", data_type=samples.VARCHAR, type_params=pairs(max_length="99"))
    schema.functions.add(
        name="embed",
        type=TEXT_EMBEDDING,
        input_field_names=["text"],
        output_field_names=["vector"],
        params=pairs(provider="openai", api_key="key-of-a-caller", base_url=address, dimensions="4"),
    )
    return bytes(schema.SerializeToString())


async def test_collection_with_an_embedding_opens_and_calls_nobody(tmp_path: Path, listener: socket.socket) -> None:
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    engine = await samples.start(tmp_path / "data")
    await samples.succeed(engine, "CreateCollection", collection_name="docs", schema=embedded_schema(address))
    await samples.create_index(engine, "docs")
    await samples.succeed(engine, "LoadCollection", collection_name="docs")
    given = [
        {"field_name": "id", "type": samples.INT64, "scalars": {"long_data": {"data": [1]}}},
        {"field_name": "text", "type": samples.VARCHAR, "scalars": {"string_data": {"data": ["a"]}}},
    ]
    inserted = await samples.call(engine, "Insert", collection_name="docs", num_rows=1, fields_data=given)
    described = await samples.succeed(engine, "DescribeCollection", collection_name="docs")
    counted = await samples.succeed(engine, "Query", collection_name="docs", output_fields=["count(*)"])
    await engine.close()
    assert CLOSED in inserted.status.reason
    assert address not in inserted.status.reason
    assert {pair.key for pair in described.schema.functions[0].params} == {"provider", "dimensions"}
    assert counted.fields_data[0].scalars.long_data.data == [0]


async def test_model_that_ranks_is_not_called(tmp_path: Path, listener: socket.socket) -> None:
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    engine = await samples.start(tmp_path / "data")
    schema = schema_pb2.CollectionSchema.FromString(samples.schema("docs"))
    schema.fields.add(name="text", data_type=samples.VARCHAR, type_params=pairs(max_length="99"))
    await samples.succeed(engine, "CreateCollection", collection_name="docs", schema=schema.SerializeToString())
    await samples.create_index(engine, "docs")
    await samples.succeed(engine, "LoadCollection", collection_name="docs")
    text = {"field_name": "text", "type": samples.VARCHAR, "scalars": {"string_data": {"data": ["a", "b"]}}}
    given = samples.rows([1, 2])
    given["fields_data"].append(text)
    await samples.succeed(engine, "Insert", collection_name="docs", **given)
    model = {"reranker": "model", "provider": "cohere", "api_key": "k", "base_url": address, "queries": '["a"]'}
    function = schema_pb2.FunctionSchema(name="f", type=RERANK, input_field_names=["text"], params=pairs(**model))
    score = schema_pb2.FunctionScore(functions=[function])
    found = await samples.search(engine, "docs", 1, function_score=score)
    await engine.close()
    assert CLOSED in found.status.reason
    assert address not in found.status.reason
