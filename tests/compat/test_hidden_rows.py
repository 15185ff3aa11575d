"""Responses about the same visible rows are equal byte for byte, whatever other rows the collection has."""

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2
from tests.compat import accounts
from tests.support import raw_grpc
from tests.support.server import ROOT_TOKEN, RunningServer

ENGINES = ("embedded",)  # the order of rows at one distance, and scores of a cluster, are not fixed

READER: Final = "onlooker"
VISIBLE: Final = 20


def row(number: int, owner: str, **values: Any) -> dict[str, Any]:
    plain = {"n": number % 3, "f": float(number), "v": [float(number), 0.0], "w": [0.0, float(number)]}
    return {"id": number, "owner": owner, **plain, **values}


MINE: Final = [row(number, READER, key=number) for number in range(1, VISIBLE + 1)]
OTHERS: Final[Mapping[str, list[dict[str, Any]]]] = {
    "none": [],
    "near": [row(100 + n, "other", v=[3.0, 3.0 + n / 50], w=[3.0, 3.0], key="text") for n in range(40)],
    "far": [row(100 + n, "other", n=50 + n, f=1e9, v=[1000.0 + n, 5.0], key=[1]) for n in range(3)],
    "extreme": [row(100, "other", n=2**60, f=1e308, key={"a": 1})],
}


def vectors(*given: tuple[float, float]) -> bytes:
    value = common_pb2.PlaceholderValue(
        tag="$0", type=common_pb2.FloatVector, values=[struct.pack("2f", *each) for each in given]
    )
    return common_pb2.PlaceholderGroup(placeholders=[value]).SerializeToString()


def pairs(values: Mapping[str, Any]) -> list[common_pb2.KeyValuePair]:
    return [
        common_pb2.KeyValuePair(key=key, value=value if isinstance(value, str) else json.dumps(value))
        for key, value in values.items()
    ]


def search(field: str = "v", filter_: str = "", score: Any = None, **parameters: Any) -> milvus_pb2.SearchRequest:
    given = {"topk": 5, "anns_field": field, "params": {}, **parameters}
    return milvus_pb2.SearchRequest(
        dsl=filter_,
        dsl_type=common_pb2.BoolExprV1,
        placeholder_group=vectors((3.1, 3.0), (7.3, 1.0)),
        nq=2,
        search_params=pairs(given),
        output_fields=["n"],
        function_score=score,
    )


def query(filter_: str = "", *output: str, **parameters: Any) -> milvus_pb2.QueryRequest:
    return milvus_pb2.QueryRequest(expr=filter_, output_fields=output or ["n"], query_params=pairs(parameters))


def hybrid(score: Any = None, **rank: Any) -> milvus_pb2.HybridSearchRequest:
    given = {"strategy": "rrf", "params": {"k": 60}, "limit": 5, **rank}
    parts = [search(field) for field in "vw"]
    return milvus_pb2.HybridSearchRequest(
        requests=parts, rank_params=pairs(given), output_fields=["n"], function_score=score
    )


def reranker(**parameters: Any) -> schema_pb2.FunctionScore:
    function = schema_pb2.FunctionSchema(
        name="rank", type=schema_pb2.FunctionType.Rerank, input_field_names=["f"], params=pairs(parameters)
    )
    return schema_pb2.FunctionScore(functions=[function])


DECAY: Final = reranker(reranker="decay", function="gauss", origin=10, scale=3, decay=0.5)
PAGE: Final[dict[str, Any]] = {"search_iter_v2": True, "search_iter_batch_size": 5}

REQUESTS: Final[Mapping[str, Any]] = {
    "query": query(),
    "query with a limit": query(limit=7, offset=2),
    "query page": query("id > 4", limit=3, iterator="True", reduce_stop_for_best="True"),
    "count": query("", "count(*)"),
    "count with a filter": query("n == 1", "count(*)"),
    "all fields": query("", "*"),
    "a float against whole numbers": query("n == 1.0"),
    "a fraction": query("n in [1.5] or f > 2.5"),
    "arithmetic": query("n * 1125899906842624 > 0.5"),
    "a dynamic key": query('key not in ["1"]'),
    "a dynamic key and a number": query("key > 2 and n < 1.5"),
    "wrong field": query("missing_field like 5"),
    "search": search(),
    "search with a filter": search(filter_="n < 1.5"),
    "search with an offset": search(offset=3, round_decimal=1),
    "search beyond all": search(topk=16384),
    "range": search(params={"radius": 60, "range_filter": 5}),
    "groups": search(group_by_field="n", group_size=2, strict_group_size=True),
    "wrong metric": search(metric_type="NONE"),
    "wrong group": search(group_by_field="missing"),
    "page": search(**PAGE),
    "later page": search(**PAGE, search_iter_last_bound=15.0),
    "page behind the last row": search(**PAGE, search_iter_last_bound=float(VISIBLE)),
    "page among hidden rows": search(**PAGE, search_iter_last_bound=float(VISIBLE + 2)),
    "page behind all rows": search(**PAGE, search_iter_last_bound=900.0),
    "large page": search(**PAGE, topk=1000),
    "decay": search(score=DECAY),
    "weighted": search(score=reranker(reranker="weighted", weights=[1.0])),
    "hybrid": hybrid(),
    "hybrid weighted": hybrid(strategy="weighted", params={"weights": [0.7, 0.3], "norm_score": True}),
    "hybrid with an offset": hybrid(offset=2),
    "hybrid groups": hybrid(group_by_field="n", group_size=2),
    "hybrid decay": hybrid(DECAY),
}


def create(root: MilvusClient, name: str, rows: list[dict[str, Any]]) -> None:
    schema = root.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("owner", DataType.VARCHAR, max_length=64)
    schema.add_field("n", DataType.INT64)
    schema.add_field("f", DataType.DOUBLE)
    parameters = root.prepare_index_params()
    for field in "vw":
        schema.add_field(field, DataType.FLOAT_VECTOR, dim=2)
        parameters.add_index(field, index_type="FLAT", metric_type="L2")
    root.create_collection(name, schema=schema, index_params=parameters)
    root.insert(name, rows)


@pytest.fixture(scope="module", params=["in memory", "flushed"])
def ask(
    server: RunningServer, root: MilvusClient, request: pytest.FixtureRequest
) -> Iterator[Callable[[str, Any], Any]]:
    """Returns the response to a request about the collection with certain other rows, without its name and time."""
    names = {other: f"{other}_{request.param.replace(' ', '_')}" for other in OTHERS}
    reader = f"{READER}_{request.param.replace(' ', '_')}"
    for other, name in names.items():
        create(
            root,
            name,
            [{**each, "owner": reader if each["owner"] == READER else "other"} for each in MINE + OTHERS[other]],
        )
        policy: dict[str, Any] = {
            "policy_name": "own",
            "actions": ["Query", "Search"],
            "using_expr": "owner == $current_principal",
        }
        header = raw_grpc.authorization(ROOT_TOKEN)
        assert not raw_grpc.call(server.uri, "CreateRowPolicy", header=header, collection_name=name, **policy).code
        root.alter_collection_properties(name, {"rls.enabled": "true"})
        if request.param == "flushed":
            root.flush(name)
    accounts.add(root, reader, *(("CollectionReadOnly", name) for name in names.values()))

    def response(other: str, asked: Any) -> Any:
        method = asked.DESCRIPTOR.name.removesuffix("Request")
        fields = {field.name: value for field, value in asked.ListFields()}
        header = raw_grpc.authorization(accounts.token(reader))
        found = raw_grpc.call(server.uri, method, header=header, collection_name=names[other], **fields)
        found.session_ts = 0
        found.collection_name = ""
        return found

    yield response
    for name in names.values():
        root.drop_collection(name)


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS)
def test_hidden_rows_change_nothing_in_a_response(ask: Callable[[str, Any], Any], asked: Any) -> None:
    alone = ask("none", asked)
    for other in OTHERS:
        assert ask(other, asked) == alone


def test_the_requests_find_something(ask: Callable[[str, Any], Any]) -> None:
    failing = {name for name, asked in REQUESTS.items() if ask("near", asked).status.code}
    assert failing == {"wrong field", "wrong metric", "wrong group"}
    assert len(ask("near", REQUESTS["query"]).fields_data[0].scalars.long_data.data) == VISIBLE
    assert sum(ask("near", REQUESTS["search beyond all"]).results.topks) == 2 * VISIBLE
