import base64

from benchmarks.frames import COLLECTION, DIMENSION, authorization, framed, recorded
from pymilvus.grpc_gen import milvus_pb2


def test_frame_is_a_flag_a_length_and_the_message() -> None:
    assert framed(b"") == b"\x00\x00\x00\x00\x00"
    assert framed(b"x" * 259) == b"\x00\x00\x00\x01\x03" + b"x" * 259


def test_authorization_is_the_base64_of_user_and_password() -> None:
    assert base64.b64decode(authorization("reader0:Kite-ward-1")) == b"reader0:Kite-ward-1"


def test_recorded_search_asks_for_ten_of_the_collection_by_one_vector() -> None:
    search = next(request for request in recorded("searching") if request.operation == "Search")
    message = milvus_pb2.SearchRequest.FromString(search.payload)
    assert (message.collection_name, message.nq) == (COLLECTION, 1)
    assert {pair.key: pair.value for pair in message.search_params}["topk"] == "10"
    assert len(message.placeholder_group) > 4 * DIMENSION


def test_paths_are_those_of_the_service() -> None:
    paths = [request.path for request in recorded("searching")]
    assert "/milvus.proto.milvus.MilvusService/ListCredUsers" in paths
    assert len(set(paths)) == len(paths)
