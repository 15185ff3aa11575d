"""How many rows collections have, and how large their vectors are, as far as the engine says so in a limited time."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kiteward.domain.errors import EngineError
from kiteward.engine.base import Engine
from kiteward.gateway.object_ids import ObjectIds
from kiteward.iam.services import CollectionName, CollectionSize
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2, schema_pb2

_AT_ONCE: Final = 4
"""Collections that the engine is asked about at the same time."""

_KEPT: Final = 15.0
"""Seconds for which a size is kept, so that pages that are opened one after another do not ask again."""

_MOST_KEPT: Final = 10_000

_ROW_COUNT: Final = "row_count"
_DIMENSION: Final = "dim"

_BITS: Final[Mapping[str, int]] = {
    "FloatVector": 32,
    "Float16Vector": 16,
    "BFloat16Vector": 16,
    "Int8Vector": 8,
    "BinaryVector": 1,
}
"""Type of a dense vector -> bits of one dimension. A sparse vector has no fixed size."""


class CollectionSizes:
    """Implements `kiteward.iam.services.Sizes`, which documents the contract.

    INVARIANT: no size outlives the name of its collection. One that is created again under the name may be seen by
    others, and have no row policies.
    """

    def __init__(self, engine: Engine, ids: ObjectIds, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._ids = ids
        self._clock = clock
        self._mark = ids.mark()
        self._kept: dict[CollectionName, tuple[float, CollectionSize]] = {}

    async def of(self, names: Sequence[CollectionName], *, within: float) -> Mapping[CollectionName, CollectionSize]:
        found = self._fresh(names)
        left = iter([name for name in names if name not in found])

        async def ask() -> None:
            for name in left:
                with contextlib.suppress(EngineError):
                    size = await self._current(name, within)
                    if size is not None:
                        found[name] = size
                        self._keep(name, size)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.gather(*(ask() for _ in range(_AT_ONCE)))
        return found

    def _fresh(self, names: Sequence[CollectionName]) -> dict[CollectionName, CollectionSize]:
        """Return the sizes that are kept, not old, and of collections that still have their names."""
        now, mark = self._clock(), self._ids.mark()
        if mark != self._mark:
            self._kept.clear()
            self._mark = mark
        kept = ((name, self._kept.get(name)) for name in names)
        return {name: each[1] for name, each in kept if each is not None and each[0] > now}

    def _keep(self, name: CollectionName, size: CollectionSize) -> None:
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[name] = self._clock() + _KEPT, size

    async def _current(self, name: CollectionName, within: float) -> CollectionSize | None:
        """Return the size of the collection that has a name now, as of `_size`."""
        while True:
            mark = self._ids.mark()
            size = await self._size(name, within)
            if mark == self._ids.mark():
                return size

    async def _size(self, name: CollectionName, within: float) -> CollectionSize | None:
        """Return the size of a collection; None where the engine does not say it.

        Raises:
            EngineError: the engine does not respond.
        """
        database, collection = name
        statistics = milvus_pb2.GetCollectionStatisticsRequest(db_name=database, collection_name=collection)
        counted = await self._call("GetCollectionStatistics", statistics, database, within)
        description = messages.DescribeCollectionRequest(db_name=database, collection_name=collection)
        described = await self._call("DescribeCollection", description, database, within)
        if counted is None or described is None:
            return None
        stats = messages.read_response(milvus_pb2.GetCollectionStatisticsResponse, counted).stats
        rows = next((int(each.value) for each in stats if each.key == _ROW_COUNT and each.value.isdecimal()), None)
        schema = messages.read_response(messages.DescribeCollectionResponse, described).schema
        if rows is None:
            return None
        return CollectionSize(rows, rows * sum(map(_bits, schema.fields)) // 8, schema.description)

    async def _call(self, method: str, request: messages.ProtocolMessage, database: str, within: float) -> bytes | None:
        answer = await self._engine.call(
            method, request.SerializeToString(), metadata={"dbname": database}, timeout=within
        )
        return None if messages.status_code(method, answer) else answer


def _bits(field: schema_pb2.FieldSchema) -> int:
    """Return how many bits a value of a field takes that is a dense vector; 0 for any other field."""
    bits = _BITS.get(schema_pb2.DataType.Name(field.data_type), 0)
    dimension = next((each.value for each in field.type_params if each.key == _DIMENSION), "0")
    return bits * int(dimension) if bits and dimension.isdecimal() else 0
