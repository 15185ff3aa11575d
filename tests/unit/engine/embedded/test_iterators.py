"""Search iterators page by page, over the servicer and a real Milvus Lite."""

import json
import struct
from typing import Any

import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2
from tests.unit.engine.embedded import lite
from tests.unit.engine.samples import DIMENSION

from kiteward.engine.embedded.call_context import CallContext
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.servicer import EngineServicer

HERE = CallContext(())
ROWS = 25


@pytest.fixture
def engine(database: ServedDatabase) -> EngineServicer:
    # Five rows at each distance, so that pages end among equals.
    rows = [{"id": key, "vector": [float(key // 5)] * DIMENSION} for key in range(ROWS)]
    database.create_collection("docs", lite.schema()).insert(rows)
    return EngineServicer(database)


def page(engine: EngineServicer, size: int, parameters: dict[str, Any], *, nested: bool) -> Any:
    iterator = {"iterator": "True", "search_iter_v2": "True", "search_iter_batch_size": str(size), **parameters}
    given = {"topk": str(size), "anns_field": "vector", "metric_type": "L2"}
    given |= {"params": json.dumps(iterator)} if nested else iterator
    vector = common_pb2.PlaceholderValue(
        tag="$0",
        type=common_pb2.PlaceholderType.FloatVector,
        values=[struct.pack(f"<{DIMENSION}f", *[0.0] * DIMENSION)],
    )
    request = milvus_pb2.SearchRequest(
        collection_name="docs",
        nq=1,
        placeholder_group=common_pb2.PlaceholderGroup(placeholders=[vector]).SerializeToString(),
        search_params=[common_pb2.KeyValuePair(key=key, value=str(value)) for key, value in given.items()],
    )
    return engine.Search(request, HERE)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("size", [1, 7, 25, 16_384])
def test_pages_hold_every_row_once_and_nearer_ones_first(engine: EngineServicer, size: int, nested: bool) -> None:
    found: list[int] = []
    parameters: dict[str, Any] = {}
    while True:
        answer = page(engine, size, parameters, nested=nested)
        assert answer.status.code == 0, answer.status.reason
        assert answer.session_ts > 0
        ids = answer.results.ids.int_id.data
        if not ids:
            break
        found += ids
        carried = answer.results.search_iterator_v2_results
        assert carried.token
        parameters = {"search_iter_id": carried.token, "search_iter_last_bound": carried.last_bound}
    assert len(found) == ROWS
    assert [key // 5 for key in found] == sorted(key // 5 for key in found)
    assert sorted(found) == list(range(ROWS))


@pytest.mark.parametrize("bound", ["-1", "0.5", "1e30", "nan", "inf", "x"])
def test_position_that_no_page_has_returned_is_refused(engine: EngineServicer, bound: str) -> None:
    answer = page(engine, 5, {"search_iter_last_bound": bound}, nested=False)
    assert answer.status.code != 0
    assert "search_iter_last_bound" in answer.status.reason
