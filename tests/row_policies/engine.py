"""The engine of a run: the embedded one, which also searches by ids as a newer Milvus does, and can be made to wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pymilvus.grpc_gen import milvus_pb2, schema_pb2
from tests.row_policies import wire
from tests.row_policies.schemas import VECTOR
from tests.row_policies.wire import Key

from kiteward.engine.base import Engine, EngineHealth
from kiteward.milvus import messages

_SEARCHES_BY_IDS: Final = "2.6.0"
"""The first version of Milvus that does."""

_IDS: Final = b"\xb2\x01"
"""What the field `ids` begins with, number 22."""


class RunEngine:
    """Implements `kiteward.engine.base.Engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}

    @property
    def generation(self) -> int:
        """Return the engine's."""
        return self._engine.generation

    def health(self) -> EngineHealth:
        """Return the engine's, as a version that searches by ids."""
        return replace(self._engine.health(), embedded=False, version=_SEARCHES_BY_IDS)

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Forward a call; the first insert into a collection that is held waits."""
        if method == "Insert" and self._held:
            held = self._held.pop(milvus_pb2.InsertRequest.FromString(payload).collection_name, None)
            if held is not None:
                held[0].set()
                await held[1].wait()
        if method == "Search" and _IDS in payload:
            payload = await self._by_vectors(payload, metadata)
        return await self._engine.call(method, payload, metadata=metadata, timeout=timeout)

    @contextlib.asynccontextmanager
    async def insert_held(self, collection: str) -> AsyncIterator[asyncio.Event]:
        """Let the next insert into a collection wait until the block ends; the block gets what is set when it waits."""
        reached, go = asyncio.Event(), asyncio.Event()
        self._held[collection] = (reached, go)
        try:
            yield reached
        finally:
            self._held.pop(collection, None)
            go.set()

    async def _by_vectors(self, payload: bytes, metadata: Mapping[str, str]) -> bytes:
        """Return a search by ids as a search by the vectors of these rows; ids that no row has are left out."""
        search: Any = milvus_pb2.SearchRequest.FromString(payload)
        if not search.HasField("ids"):
            return payload
        ids = wire.ids_of(search.ids)
        found = await self._vectors(search, ids, metadata)
        search.placeholder_group = wire.placeholders([found[key] for key in ids if key in found])
        return bytes(search.SerializeToString())

    async def _vectors(
        self, search: Any, ids: Sequence[Key], metadata: Mapping[str, str]
    ) -> Mapping[Key, Sequence[float]]:
        named = {"db_name": search.db_name, "collection_name": search.collection_name}
        described = await self._ask("DescribeCollection", metadata, **named)
        key = next(field.name for field in described.schema.fields if field.is_primary_key)
        expr = f"{key} in {list(ids)!r}"
        answer = await self._ask("Query", metadata, **named, expr=expr, output_fields=[key, VECTOR])
        return {row[key]: row[VECTOR] for row in wire.rows_of(answer.fields_data)}

    async def _ask(self, method: str, metadata: Mapping[str, str], **fields: Any) -> Any:
        kinds = messages.method_of(method)
        payload = kinds.request(**fields).SerializeToString()
        return kinds.response.FromString(await self._engine.call(method, payload, metadata=metadata, timeout=60))


def ids_message(keys: Sequence[Key]) -> Any:
    """Return keys as a search by ids carries them."""
    made: Any = schema_pb2.IDs()
    slot = made.str_id if isinstance(keys[0], str) else made.int_id
    slot.data.extend(keys)
    return made
