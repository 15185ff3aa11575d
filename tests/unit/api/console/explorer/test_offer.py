"""What forms offer: what the engine in use has, and nothing that it refuses."""

import re

import pytest
from milvus_lite.exceptions import SchemaValidationError
from milvus_lite.index.spec import IndexSpec
from milvus_lite.schema.types import DataType as EngineType
from milvus_lite.schema.types import FieldSchema
from tests.unit.api.console.explorer.exploring import HERE, exploring

from kiteward.api.console.explorer.offer import EMBEDDED, MILVUS
from kiteward.engine.embedded.indexes import completed
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

ENGINE_TYPES = {"FloatVector": EngineType.FLOAT_VECTOR, "SparseFloatVector": EngineType.SPARSE_FLOAT_VECTOR}


def options(page: str, name: str) -> list[str]:
    """Return the values that a choice of a page offers."""
    return re.findall(r'<option value="([^"]*)"', page.partition(f'name="{name}"')[2].partition("</select>")[0])


def labels(page: str, name: str) -> list[str]:
    """Return the labels of what a choice of a page offers."""
    return re.findall(r"<option[^>]*>([^<]*)<", page.partition(f'name="{name}"')[2].partition("</select>")[0])


def test_the_embedded_engine_takes_all_that_is_offered_for_it() -> None:
    for kind, searched in EMBEDDED.vectors.items():
        field = FieldSchema("vector", ENGINE_TYPES[kind], dim=8)
        for index in searched.indexes:
            for metric in searched.metrics:
                made = completed(field, "", {"index_type": index, "metric_type": metric}, bm25=False)
                assert made.engine_parameters is not None
                IndexSpec("vector", made.engine_parameters["index_type"], metric, {})


def test_the_embedded_engine_refuses_what_only_a_milvus_is_offered() -> None:
    for index in {*MILVUS.indexes} - {*EMBEDDED.indexes} - {"DISKANN"}:
        for kind in ENGINE_TYPES.values():
            with pytest.raises(SchemaValidationError):
                completed(FieldSchema("vector", kind, dim=8), "", {"index_type": index}, bm25=False)
    for metric in {*MILVUS.metrics} - {*EMBEDDED.metrics}:
        with pytest.raises(ValueError, match=metric):
            IndexSpec("vector", "FLAT", metric, {})
    assert {*MILVUS.vectors} - {*EMBEDDED.vectors} == {
        *("Float16Vector", "BFloat16Vector", "Int8Vector", "BinaryVector"),
    }
    assert not {"FLOAT16_VECTOR", "BFLOAT16_VECTOR", "INT8_VECTOR", "BINARY_VECTOR"} & {*EngineType.__members__}


async def test_the_form_for_a_collection_offers_what_the_engine_in_use_has() -> None:
    for embedded in (True, False):
        async with exploring(embedded_engine=embedded) as browser:
            page = (await browser.open("new-collection")).text
            assert ("HAMMING" in options(page, "metric_1")) is not embedded
            assert ("BIN_FLAT" in options(page, "index_1")) is not embedded
            assert ("BinaryVector" in options(page, "type_1")) is not embedded
            assert {"COSINE", "L2", "IP"} <= {*options(page, "metric_1")}
            assert {"HNSW", "SPARSE_INVERTED_INDEX"} <= {*options(page, "index_1")}


async def test_a_search_offers_the_metric_of_the_index_or_those_that_fit_the_vector() -> None:
    async with exploring("Search", "IndexDetail") as browser:
        page = (await browser.open(f"{HERE}/search")).text
        assert labels(page, "metric")[1:] == ["L2"]
    without = {"DescribeIndex": milvus_pb2.DescribeIndexResponse(status=messages.Status()).SerializeToString()}
    async with exploring("Search", answers=lambda held: held.update(without)) as browser:
        page = (await browser.open(f"{HERE}/search")).text
        assert labels(page, "metric")[1:] == ["COSINE", "L2", "IP"]
