"""No read makes the embedded engine connect to anything, whatever its request names, also without the gateway.

The child is called directly, so that only its own layers hold. A listener counts connections, and the sockets of the
child are read from the system all the while.
"""

import contextlib
import json
import os
import re
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2
from tests.unit.engine import samples

from kiteward.domain.errors import EngineError
from kiteward.engine.base import Access
from kiteward.engine.embedded.supervisor import EmbeddedEngine
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS
from kiteward.milvus import messages

READS: Final = sorted(name for name, access in ENGINE_RPCS.items() if access is Access.READ)
PROVIDERS: Final = ("openai", "cohere", "vllm", "tei", "voyageai", "siliconflow", "dashscope", "bedrock")
DEEPEST: Final = 5

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sockets of a process are read from /proc")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedEngine]:
    running = await samples.start(tmp_path_factory.mktemp("engine") / "data")
    await samples.create_collection(running, "docs", indexed=True)
    await samples.insert(running, "docs", range(3))
    yield running
    await running.close()


class Watch:
    """Counts connections to a listener, and internet sockets of a process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ends = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.05)
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.accepted = 0
        self.sockets: set[str] = set()
        self.looks = 0

    def internet_sockets(self) -> set[str]:
        """Return the inodes of the process's sockets that the tables of the internet protocols list."""
        held = set()
        for each in Path(f"/proc/{self._pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                held.update(re.findall(r"^socket:\[(\d+)\]$", str(each.readlink())))
        listed: set[str] = set()
        for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
            with contextlib.suppress(FileNotFoundError):
                lines = Path(f"/proc/{self._pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
                listed.update(line.split()[9] for line in lines)
        return held & listed

    def _look(self) -> None:
        while not self._ends.is_set():
            with contextlib.suppress(TimeoutError):
                self.listener.accept()[0].close()
                self.accepted += 1
            self.sockets |= self.internet_sockets()
            self.looks += 1

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look for as long as the block lasts."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._ends.set()
            thread.join()
            self.listener.close()


def hostile_pairs(address: str, provider: str) -> list[Any]:
    """Return parameters that ask for a provider at an address."""
    given = {
        "reranker": "model",
        "provider": provider,
        "model_name": "m",
        "queries": json.dumps(["q"]),
        **dict.fromkeys(("base_url", "url", "endpoint", "api_key", "credential", "uri", "path"), address),
    }
    return [common_pb2.KeyValuePair(key=key, value=value) for key, value in given.items()]


def filled(kind: Descriptor, address: str, provider: str, depth: int = 0) -> Any:
    """Return a message with the address in every text, and the parameters wherever there are any."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        inside = field.message_type
        if inside is None:
            put_value(message, field, address)
        elif inside.full_name == "milvus.proto.common.KeyValuePair":
            getattr(message, field.name).extend(hostile_pairs(address, provider))
        elif inside.GetOptions().map_entry or depth == DEEPEST:
            continue
        elif field.is_repeated:
            getattr(message, field.name).append(filled(inside, address, provider, depth + 1))
        else:
            getattr(message, field.name).CopyFrom(filled(inside, address, provider, depth + 1))
    return message


def put_value(message: Any, field: FieldDescriptor, address: str) -> None:
    if field.type == FieldDescriptor.TYPE_STRING:
        value: Any = address
    elif field.type == FieldDescriptor.TYPE_BYTES:
        value = address.encode()
    else:
        return
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def aimed(name: str, address: str, provider: str) -> Any:
    """Return a read of the collection that is there, with everything else as `filled` has it."""
    message = filled(messages.descriptor_of(messages.method_of(name).request), address, provider)
    for field, value in (("db_name", ""), ("dbName", ""), ("collection_name", "docs"), ("collectionName", "docs")):
        found = message.DESCRIPTOR.fields_by_name.get(field)
        if found is not None and not found.is_repeated:
            setattr(message, field, value)
    return message


def reranked(address: str, provider: str) -> dict[str, Any]:
    """Return the fields of a search that is right in everything but its reranker."""
    function = schema_pb2.FunctionSchema(
        name="rank",
        type=schema_pb2.FunctionType.Rerank,
        input_field_names=["id"],
        params=hostile_pairs(address, provider),
    )
    return {"function_score": schema_pb2.FunctionScore(functions=[function])}


async def send(engine: EmbeddedEngine, name: str, payload: bytes) -> None:
    """Call the child; any answer and any refusal will do."""
    with contextlib.suppress(EngineError):
        await engine.call(name, payload, metadata={}, timeout=30)


@pytest.mark.asyncio(loop_scope="module")
async def test_no_read_of_the_protocol_makes_the_engine_connect(engine: EmbeddedEngine) -> None:
    assert engine.pid is not None
    before = engine.generation
    watch = Watch(engine.pid)
    with watch.watching():
        for provider in PROVIDERS:
            for name in READS:
                await send(engine, name, aimed(name, watch.address, provider).SerializeToString())
            answer = await samples.search(engine, "docs", 1, **reranked(watch.address, provider))
            assert answer.status.code != samples.SUCCESS
    assert (watch.accepted, watch.sockets) == (0, set())
    assert watch.looks > 0
    assert engine.generation == before, "the child was restarted, so that it was not watched to the end"


@pytest.mark.asyncio(loop_scope="module")
async def test_collections_with_embeddings_cannot_be_made_in_the_engine_to_call_out(engine: EmbeddedEngine) -> None:
    assert engine.pid is not None
    watch = Watch(engine.pid)
    with watch.watching():
        for provider in PROVIDERS:
            name = f"embedded_{provider}"
            await send(engine, "CreateCollection", with_embedding(name, watch.address, provider).SerializeToString())
            row = milvus_pb2.InsertRequest(collection_name=name, num_rows=1, fields_data=[text_column()])
            await send(engine, "Insert", row.SerializeToString())
    assert (watch.accepted, watch.sockets) == (0, set())


def text_column() -> Any:
    values = schema_pb2.ScalarField(string_data=schema_pb2.StringArray(data=["a kite"]))
    return schema_pb2.FieldData(type=schema_pb2.DataType.VarChar, field_name="text", scalars=values)


def with_embedding(name: str, address: str, provider: str) -> Any:
    """Return a request for a collection whose vectors a provider would make."""
    schema = schema_pb2.CollectionSchema.FromString(samples.schema(name))
    schema.autoID = True
    length = common_pb2.KeyValuePair(key="max_length", value="100")
    schema.fields.add(name="text", data_type=schema_pb2.DataType.VarChar, type_params=[length])
    schema.functions.add(
        name="embed",
        type=schema_pb2.FunctionType.TextEmbedding,
        input_field_names=["text"],
        output_field_names=["vector"],
        params=hostile_pairs(address, provider),
    )
    return milvus_pb2.CreateCollectionRequest(collection_name=name, schema=schema.SerializeToString())


def test_watch_sees_a_connection() -> None:
    watch = Watch(os.getpid())
    with watch.watching():
        host, _, port = watch.address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connected:
            assert connected.recv(1) == b""
    assert watch.accepted == 1
    assert watch.sockets
