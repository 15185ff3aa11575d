"""Milvus Lite's own types in small, for tests that need no RPC."""

from collections.abc import Iterable
from typing import Any

from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema
from tests.unit.engine.samples import DIMENSION

INDEX = {"index_type": "HNSW", "metric_type": "L2"}


def schema(vector: str = "vector") -> CollectionSchema:
    """A key and a vector."""
    return CollectionSchema(
        fields=[
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema(vector, DataType.FLOAT_VECTOR, dim=DIMENSION),
        ]
    )


def records(ids: Iterable[int]) -> list[dict[str, Any]]:
    """Rows of these keys."""
    return [{"id": key, "vector": [float(key)] * DIMENSION} for key in ids]


def ids_of(rows: Iterable[dict[str, Any]]) -> list[int]:
    """The keys of rows, in order."""
    return sorted(row["id"] for row in rows)
