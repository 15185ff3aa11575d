"""Generated primary keys are never those of rows that are stored: an insert would replace them."""

import pytest
from milvus_lite.exceptions import SchemaValidationError
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from tests.unit.engine.embedded import lite
from tests.unit.engine.embedded.conftest import OpenDatabase
from tests.unit.engine.samples import DIMENSION

from kiteward.engine.embedded.collection import ServedCollection
from kiteward.engine.embedded.database import ServedDatabase

SCHEMA = CollectionSchema(
    fields=[
        FieldSchema("id", DataType.INT64, is_primary=True, auto_id=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIMENSION),
    ]
)


def insert(collection: ServedCollection, count: int, dimension: int = DIMENSION) -> list[int]:
    """Insert rows without keys, and return those that were generated."""
    return collection.insert([{"vector": [0.0] * dimension} for _ in range(count)])


@pytest.mark.parametrize("flushed", [False, True], ids=["in memory", "in a segment"])
@pytest.mark.parametrize("given", [[1], [3], [4, 5, 9], [2, 2**63 - 1]])
def test_a_key_that_was_given_is_not_generated(database: ServedDatabase, given: list[int], *, flushed: bool) -> None:
    collection = database.create_collection("docs", SCHEMA)
    collection.insert(lite.records(given))
    if flushed:
        collection.flush()
    generated = [key for count in (1, 2, 3, 4) for key in insert(collection, count)]
    assert len({*generated, *given}) == 10 + len(given)
    assert collection.num_entities == 10 + len(given)


def test_keys_are_not_generated_again_after_refused_inserts_and_a_restart(open_at: OpenDatabase) -> None:
    first = open_at("batch")
    collection = first.create_collection("docs", SCHEMA)
    for _ in range(3):
        with pytest.raises(SchemaValidationError):
            insert(collection, 5, dimension=DIMENSION + 1)
    before = insert(collection, 2)
    first.close()
    collection = open_at("batch").get_collection("docs")
    after = [key for _ in range(20) for key in insert(collection, 1)]
    assert not {*before} & {*after}
    assert collection.num_entities == 22
