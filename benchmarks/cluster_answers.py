"""`python -m benchmarks.cluster_answers FILE`: one search and the answers of a Milvus cluster with one collection.

The programs of `benchmarks/pass_through_peer` read this file. They look at no message themselves.
"""

import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from google.protobuf.message_factory import GetMessageClass
from pymilvus import DataType
from pymilvus.client.prepare import Prepare
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

COLLECTION: Final = "documents"
OPERATION: Final = "Search"
VERSION: Final = "v2.6.2"
_DATABASE: Final = "default"
_COLLECTION_ID: Final = 460_000_000_000_000_001
_DIMENSION: Final = 96
_LIMIT: Final = 10
_TITLE: Final = (
    "A title of the usual length that a search shows, of about a hundred and forty characters with its number: {:012}"
)


def request() -> bytes:
    """Return a search of about 600 bytes, built by the client library's own builders."""
    search = Prepare.search_requests_with_expr(
        COLLECTION,
        anns_field="vector",
        param={"metric_type": "COSINE", "params": {"ef": 64}},
        limit=_LIMIT,
        data=[[0.5] * _DIMENSION],
        expr='language == "en" and year > 2019',
        output_fields=["id", "title"],
    )
    payload: bytes = search.SerializeToString()
    return payload


def answers() -> dict[str, bytes]:
    """Return the serialised answer of each unary RPC: empty and successful except where a client needs more."""
    service = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]
    unary = [method for method in service.methods if not (method.client_streaming or method.server_streaming)]
    empty = {method.name: GetMessageClass(method.output_type)() for method in unary}
    return {name: answer.SerializeToString() for name, answer in {**empty, **_known()}.items()}


def encoded(operation: str, payload: bytes, responses: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what the program reads: a request, and serialised answers by RPC name, that of the request among them."""
    return {
        "method": operation,
        "request": base64.b64encode(payload).decode(),
        "answers": {name: base64.b64encode(answer).decode() for name, answer in responses.items()},
    }


def write(path: Path) -> Path:
    """Write the file and return its path."""
    path.write_text(json.dumps(encoded(OPERATION, request(), answers())) + "\n")
    return path


def _known() -> dict[str, Any]:
    return {
        OPERATION: _hits(),
        "Connect": milvus_pb2.ConnectResponse(
            server_info=common_pb2.ServerInfo(build_tags=VERSION, deploy_mode="CLUSTER"), identifier=1
        ),
        "GetVersion": milvus_pb2.GetVersionResponse(version=VERSION),
        "CheckHealth": milvus_pb2.CheckHealthResponse(isHealthy=True),
        "ListDatabases": milvus_pb2.ListDatabasesResponse(db_names=[_DATABASE], db_ids=[1]),
        "ShowCollections": milvus_pb2.ShowCollectionsResponse(
            collection_names=[COLLECTION], collection_ids=[_COLLECTION_ID]
        ),
        "HasCollection": milvus_pb2.BoolResponse(value=True),
        "DescribeCollection": _collection(),
    }


def _collection() -> Any:
    fields = [
        schema_pb2.FieldSchema(fieldID=100, name="id", is_primary_key=True, data_type=DataType.INT64),
        schema_pb2.FieldSchema(fieldID=101, name="title", data_type=DataType.VARCHAR),
        schema_pb2.FieldSchema(
            fieldID=102,
            name="vector",
            data_type=DataType.FLOAT_VECTOR,
            type_params=[common_pb2.KeyValuePair(key="dim", value=str(_DIMENSION))],
        ),
    ]
    return milvus_pb2.DescribeCollectionResponse(
        schema=schema_pb2.CollectionSchema(name=COLLECTION, fields=fields),
        collectionID=_COLLECTION_ID,
        collection_name=COLLECTION,
        db_name=_DATABASE,
    )


def _hits() -> Any:
    titles = [_TITLE.format(number) for number in range(_LIMIT)]
    title = schema_pb2.FieldData(
        type=DataType.VARCHAR,
        field_name="title",
        field_id=101,
        scalars=schema_pb2.ScalarField(string_data=schema_pb2.StringArray(data=titles)),
    )
    found = schema_pb2.SearchResultData(
        num_queries=1,
        top_k=_LIMIT,
        fields_data=[title],
        scores=[1.0 - number / 100 for number in range(_LIMIT)],
        ids=schema_pb2.IDs(int_id=schema_pb2.LongArray(data=[_COLLECTION_ID + number for number in range(_LIMIT)])),
        topks=[_LIMIT],
        output_fields=["id", "title"],
        primary_field_name="id",
    )
    return milvus_pb2.SearchResults(collection_name=COLLECTION, results=found)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
