"""Sizes of collections: asked of the engine within a time, and kept for a little."""

import asyncio

from tests.support.engine import FakeEngine

from kiteward.domain.errors import EngineUnavailable
from kiteward.gateway.collection_sizes import CollectionSizes
from kiteward.gateway.object_ids import ObjectIds
from kiteward.iam.services import CollectionSize
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2, milvus_pb2, schema_pb2

DOCS = ("default", "docs")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def vector(kind: str, dimension: str) -> schema_pb2.FieldSchema:
    return schema_pb2.FieldSchema(
        data_type=schema_pb2.DataType.Value(kind), type_params=[common_pb2.KeyValuePair(key="dim", value=dimension)]
    )


def engine(rows: str, *fields: schema_pb2.FieldSchema) -> FakeEngine:
    fake = FakeEngine()
    fake.create("docs")
    statistics = milvus_pb2.GetCollectionStatisticsResponse(
        stats=[common_pb2.KeyValuePair(key="row_count", value=rows)]
    )
    fake.answers["GetCollectionStatistics"] = statistics.SerializeToString()
    described = messages.DescribeCollectionResponse(schema=schema_pb2.CollectionSchema(fields=fields))
    fake.answers["DescribeCollection"] = described.SerializeToString()
    return fake


async def test_size_is_that_of_the_dense_vectors_of_all_rows() -> None:
    fields = (vector("FloatVector", "4"), vector("BinaryVector", "16"), vector("SparseFloatVector", "9"))
    number = schema_pb2.FieldSchema(data_type=schema_pb2.DataType.Value("Int64"))
    sizes = CollectionSizes(engine("10", *fields, number), ObjectIds())
    assert await sizes.of([DOCS], within=5.0) == {DOCS: CollectionSize(10, 10 * (16 + 2))}


async def test_engine_that_fails_or_does_not_say_is_left_out() -> None:
    assert await CollectionSizes(engine("many"), ObjectIds()).of([DOCS], within=5.0) == {}
    fake = engine("10")
    fake.failures["GetCollectionStatistics"] = EngineUnavailable("away")
    assert await CollectionSizes(fake, ObjectIds()).of([DOCS], within=5.0) == {}
    fake = engine("10")
    fake.answers["GetCollectionStatistics"] = milvus_pb2.GetCollectionStatisticsResponse(
        status=common_pb2.Status(code=100)
    ).SerializeToString()
    assert await CollectionSizes(fake, ObjectIds()).of([DOCS], within=5.0) == {}


async def test_what_is_not_told_in_time_is_left_out() -> None:
    fake = engine("10")
    fake.hold("DescribeCollection")
    async with asyncio.timeout(30):
        assert await CollectionSizes(fake, ObjectIds()).of([DOCS], within=0.01) == {}


async def test_size_is_kept_for_a_little_and_asked_again_later() -> None:
    fake, clock = engine("10"), Clock()
    sizes = CollectionSizes(fake, ObjectIds(), clock=clock)
    await sizes.of([DOCS], within=5.0)
    clock.now = 10.0
    assert (await sizes.of([DOCS], within=5.0))[DOCS].rows == 10
    assert len(fake.called("GetCollectionStatistics")) == 1
    clock.now = 20.0
    await sizes.of([DOCS], within=5.0)
    assert len(fake.called("GetCollectionStatistics")) == 2


async def test_a_collection_that_is_created_again_has_a_size_of_its_own() -> None:
    fake, ids = engine("10"), ObjectIds()
    sizes = CollectionSizes(fake, ids, clock=Clock())
    await sizes.of([DOCS], within=5.0)
    ids.forget(*DOCS)
    fake.answers |= engine("3").answers
    assert (await sizes.of([DOCS], within=5.0))[DOCS].rows == 3
    assert (await sizes.of([DOCS], within=5.0))[DOCS].rows == 3
    assert len(fake.called("GetCollectionStatistics")) == 2


async def test_a_size_of_a_collection_that_is_dropped_meanwhile_is_asked_again() -> None:
    fake, ids = engine("10"), ObjectIds()
    held = fake.hold("GetCollectionStatistics")
    asking = asyncio.ensure_future(CollectionSizes(fake, ids).of([DOCS], within=30.0))
    await fake.reached("GetCollectionStatistics")
    ids.forget(*DOCS)
    held.set()
    await asking
    assert len(fake.called("GetCollectionStatistics")) == 2
