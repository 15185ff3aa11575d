import base64

import pytest
from benchmarks import cluster_answers
from pymilvus.grpc_gen import milvus_pb2

UNARY = [
    method
    for method in milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"].methods
    if not (method.client_streaming or method.server_streaming)
]


def test_each_unary_rpc_has_an_answer() -> None:
    assert set(cluster_answers.answers()) == {method.name for method in UNARY}


def test_search_and_its_answer_have_the_sizes_that_are_measured() -> None:
    assert len(cluster_answers.request()) == pytest.approx(600, abs=20)
    assert len(cluster_answers.answers()["Search"]) == pytest.approx(1400, abs=40)


def test_search_is_of_the_collection_that_the_cluster_has() -> None:
    request = milvus_pb2.SearchRequest.FromString(cluster_answers.request())
    listed = milvus_pb2.ShowCollectionsResponse.FromString(cluster_answers.answers()["ShowCollections"])
    assert list(listed.collection_names) == [request.collection_name]


def test_bytes_are_base64_for_the_program() -> None:
    found = cluster_answers.encoded("HasCollection", b"\x00\xff", {"HasCollection": b"\x01"})
    assert found["method"] == "HasCollection"
    assert base64.b64decode(found["request"]) == b"\x00\xff"
    assert {name: base64.b64decode(answer) for name, answer in found["answers"].items()} == {"HasCollection": b"\x01"}
