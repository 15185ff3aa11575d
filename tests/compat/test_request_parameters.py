"""What an engine would ignore is refused or done: samples of `docs/request-parameters.md` against live servers."""

import struct
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from pymilvus import DataType, MilvusClient, MilvusException
from pymilvus.grpc_gen import common_pb2
from tests.support import raw_grpc
from tests.support.server import ROOT_TOKEN, RunningServer

from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.rule_places import Place
from kiteward.gateway.unheeded import Rule
from kiteward.milvus import messages
from kiteward.milvus.field_paths import SERIALISED, inner

NAME = "parameters"
INVALID = 1100
NO_PARTITION = 200
RUN = (2, 3)
"""The version of the remote engine."""

HEADER = raw_grpc.authorization(ROOT_TOKEN)

SAMPLES = [
    (row.name, place)
    for row in OPERATIONS.values()
    for place in row.unheeded_places
    # Neither engine has the one, and the others are in a field that is refused itself.
    if row.name != "AlterCollectionSchema" and ".struct_array_fields.fields." not in place.path
]


@pytest.fixture
def is_remote(request: pytest.FixtureRequest) -> bool:
    """Whether the server has a remote engine."""
    assert isinstance(request.node, pytest.Function)
    return request.node.callspec.params["server"] == "remote"


def with_field(operation: str, place: Place[Rule]) -> dict[str, Any]:
    """Return the fields of a request in which a place holds what asks for it: something, or nothing where required."""
    request: Any = messages.method_of(operation).request()
    path = place.path.split(".")
    put(request, [*path[:-1], "dsl"] if place.rule.required else path, required=place.rule.required)
    if operation == "CreateDatabase":
        request.db_name = NAME
    return {field.name: value for field, value in request.ListFields()}


def put(message: Any, path: list[str], *, required: bool = False) -> None:
    """Set a field to a value that is not its default, through messages, lists, maps and serialised messages."""
    for usual, given in (("name", "x"), ("dsl_type", 1)):
        if not required and usual in message.DESCRIPTOR.fields_by_name and not getattr(message, usual):
            setattr(message, usual, given)
    name, rest = path[0], path[1:]
    field: FieldDescriptor = message.DESCRIPTOR.fields_by_name[name]
    inside = inner(field)
    if field.full_name in SERIALISED and inside is not None:
        held = GetMessageClass(inside)()
        put(held, rest, required=required)
        setattr(message, name, held.SerializeToString())
    elif inside is not None and inside.GetOptions().map_entry:
        put_entry(getattr(message, name), inside)
    elif rest:
        held = getattr(message, name)
        put(held.add() if field.is_repeated else held, rest, required=required)
    elif inside is not None:
        put(getattr(message, name), ["data"], required=required)
    elif field.is_repeated:
        getattr(message, name).append(value_of(field))
    else:
        setattr(message, name, value_of(field))


def put_entry(entries: Any, entry: Descriptor) -> None:
    """Add an entry to a map."""
    if entry.fields_by_name["value"].message_type is None:
        entries["x"] = "1"
    else:
        entries["x"].SetInParent()


def value_of(field: FieldDescriptor) -> Any:
    """Return a value that is not the default of a field; as the key of a pair, one that the gateway takes."""
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    return {FieldDescriptor.TYPE_STRING: "boost_mode", FieldDescriptor.TYPE_BOOL: True}.get(field.type, 7)


def test_each_field_that_the_engine_would_ignore_is_refused_by_name(server: RunningServer, is_remote: bool) -> None:
    ignored = [(name, place) for name, place in SAMPLES if is_ignored(place, remote=is_remote)]
    assert len(ignored) > 20
    wrong = []
    for operation, place in ignored:
        code, told = answer(server, operation, **with_field(operation, place))
        if code != INVALID or f"`{place.path}` is not accepted" not in told:
            wrong.append(f"{operation} {place.path}: {code} {told}")
    assert not wrong, "\n".join(wrong)


def is_ignored(place: Place[Rule], *, remote: bool) -> bool:
    """Return whether the engine ignores a field."""
    since = place.rule.since
    return since is not None and since > RUN if remote else bool(place.rule.embedded)


def answer(server: RunningServer, operation: str, **fields: Any) -> tuple[int, str]:
    """Return the code and the text of a response's status."""
    fields = {"collection_name": NAME, **fields} if takes_collection(operation) else fields
    try:
        response = raw_grpc.call(server.uri, operation, header=HEADER, **fields)
    except grpc.RpcError as error:
        return -1, str(error)
    status = getattr(response, "status", response)
    return status.code, status.reason


def takes_collection(operation: str) -> bool:
    return "collection_name" in messages.method_of(operation).request.DESCRIPTOR.fields_by_name


@pytest.fixture
def rows(root: MilvusClient) -> Iterator[MilvusClient]:
    """A client whose server has rows 1 to 4 in partition A and 5 to 8 in B."""
    schema = MilvusClient.create_schema(description="rows in two partitions", enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True, description="the key")
    schema.add_field("n", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="L2", params={"M": 8, "efConstruction": 64})
    root.create_collection(NAME, schema=schema, index_params=index, consistency_level="Strong")
    for first, partition in ((1, "A"), (5, "B")):
        root.create_partition(NAME, partition)
        new = [{"id": key, "n": key, "vector": [float(key), 0.0]} for key in range(first, first + 4)]
        root.insert(NAME, new, partition_name=partition)
    yield root
    root.drop_collection(NAME)


def keys(client: MilvusClient, expr: str = "id > 0", **how: Any) -> list[int]:
    return sorted(row["id"] for row in client.query(NAME, filter=expr, output_fields=["id"], **how))


def test_delete_by_filter_stays_in_its_partition(rows: MilvusClient) -> None:
    rows.delete(NAME, filter="n > 2 and n < 7", partition_name="B")
    assert keys(rows) == [1, 2, 3, 4, 7, 8]


def test_delete_by_keys_stays_in_its_partition(rows: MilvusClient) -> None:
    rows.delete(NAME, ids=[1, 8], partition_name="B")
    assert keys(rows) == [1, 2, 3, 4, 5, 6, 7]


def test_count_without_a_filter_is_that_of_the_partitions(rows: MilvusClient) -> None:
    assert rows.query(NAME, filter="", output_fields=["count(*)"], partition_names=["A"])[0]["count(*)"] == 4


@pytest.mark.parametrize("expr", ["", "id > 0", "id in [1]"])
def test_query_in_an_unknown_partition_is_refused(rows: MilvusClient, expr: str) -> None:
    with pytest.raises(MilvusException, match="nope"):
        rows.query(NAME, filter=expr, limit=3, partition_names=["A", "nope"])


def test_search_in_an_unknown_partition_is_refused(rows: MilvusClient) -> None:
    with pytest.raises(MilvusException, match="nope"):
        rows.search(NAME, [[0.0, 0.0]], limit=2, partition_names=["A", "nope"])


def test_limit_and_offset_hold_for_a_list_of_keys(rows: MilvusClient) -> None:
    assert keys(rows, "id in [3, 1, 2]", limit=1, offset=1) == [2]


def test_metric_other_than_the_indexs_is_refused(rows: MilvusClient) -> None:
    with pytest.raises(MilvusException, match="metric type not match"):
        rows.search(NAME, [[0.0, 0.0]], limit=2, search_params={"metric_type": "IP"})


def test_descriptions_are_kept(rows: MilvusClient) -> None:
    described = rows.describe_collection(NAME)
    assert described["description"] == "rows in two partitions"
    assert [field["description"] for field in described["fields"]] == ["the key", "", ""]


def test_delete_without_a_filter_deletes_nothing(rows: MilvusClient, server: RunningServer) -> None:
    assert answer(server, "Delete", expr="")[0] == INVALID
    assert len(keys(rows)) == 8


def test_write_that_says_it_has_no_rows_is_refused(rows: MilvusClient, server: RunningServer) -> None:
    assert answer(server, "Insert", num_rows=0)[0] == INVALID


def search(**parameters: str) -> dict[str, Any]:
    given = {"anns_field": "vector", "topk": "2", "metric_type": "L2", "params": "{}", **parameters}
    pairs = [common_pb2.KeyValuePair(key=key, value=value) for key, value in given.items()]
    values = [struct.pack("2f", 0.0, 0.0)]
    vectors = common_pb2.PlaceholderValue(tag="$0", type=common_pb2.PlaceholderType.FloatVector, values=values)
    group = common_pb2.PlaceholderGroup(placeholders=[vectors]).SerializeToString()
    return {"placeholder_group": group, "dsl_type": 1, "nq": 1, "search_params": pairs}


@pytest.mark.usefixtures("rows")
def test_parameters_that_the_embedded_engine_does_not_take_are_refused_and_milvus_ignores_a_key(
    server: RunningServer, is_remote: bool
) -> None:
    if is_remote:
        assert answer(server, "Search", **search(radios="3")) == (0, "")
        return
    for parameters, named in (
        ({"radios": "3"}, "`radios`"),
        ({"params": '{"radios": 3}'}, "`radios`"),
        ({"params": '{"offset": 1}'}, "`offset`"),
        ({"params": "[1]"}, "`params`"),
        ({"order_by_fields": "n:desc"}, "`order_by_fields`"),
        ({"round_decimal": "7"}, "round_decimal"),
    ):
        code, told = answer(server, "Search", **search(**parameters))
        assert (code, named in told) == (INVALID, True)


@pytest.mark.parametrize("tuning", ['{"ef": 16}', '{"nprobe": 4}', '{"search_list": 20}', "{}"])
def test_parameters_that_only_tune_an_index_pass(rows: MilvusClient, server: RunningServer, tuning: str) -> None:
    assert answer(server, "Search", **search(params=tuning)) == (0, "")


def test_number_of_vectors_must_be_the_announced_one(rows: MilvusClient, server: RunningServer) -> None:
    assert answer(server, "Search", **{**search(), "nq": 5})[0] != 0


def test_upsert_replaces_a_row_as_a_whole(rows: MilvusClient) -> None:
    rows.insert(NAME, [{"id": 9, "n": 9, "vector": [9.0, 0.0], "extra": "old"}])
    rows.upsert(NAME, [{"id": 9, "n": 10, "vector": [9.0, 0.0]}])
    (row,) = rows.query(NAME, filter="id == 9", output_fields=["n", "extra"])
    assert (row["n"], row.get("extra")) == (10, None)


@pytest.mark.parametrize("operation", ["GetLoadState", "GetLoadingProgress"])
def test_load_state_of_an_unknown_partition_is_refused(
    rows: MilvusClient, server: RunningServer, operation: str
) -> None:
    assert answer(server, operation, partition_names=["nope"])[0] == NO_PARTITION


def test_time_to_live_is_refused_where_rows_do_not_expire(
    rows: MilvusClient, server: RunningServer, is_remote: bool
) -> None:
    expiring = [common_pb2.KeyValuePair(key="collection.ttl.seconds", value="60")]
    assert answer(server, "AlterCollection", properties=expiring)[0] == (0 if is_remote else INVALID)
