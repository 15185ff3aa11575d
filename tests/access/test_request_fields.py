"""Every field, enum value and parameter of every request has been decided on, and everything else is refused."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidArgument
from kiteward.gateway import outbound
from kiteward.gateway.admission import Admission
from kiteward.gateway.operations import OPERATIONS, Operation
from kiteward.gateway.operations.field_use import FieldUse, uses_of
from kiteward.gateway.operations.message_fields import BULK_NUMBERS, ENUMS, MESSAGES, OWN_ENUMS
from kiteward.gateway.parameters import PARAMETERS
from kiteward.milvus import messages
from kiteward.milvus.field_paths import inner

OPEN: Final = [row for row in OPERATIONS.values() if not row.closed]
KEY_VALUE: Final = "milvus.proto.common.KeyValuePair"
UNKNOWN: Final = 9_999
"""The number of no field, and of no value of an enum."""

WITHOUT_KEYS_OF_OURS: Final = {
    "common.ClientInfo.reserved": "a client says there what it likes about itself; little of it is kept",
    "milvus.AddUserTagsRequest.tags": "the names are those of tags",
    "milvus.DeleteRequest.expr_template_values": "the names are those of the filter's placeholders",
    "milvus.GetFlushAllStateRequest.flush_all_tss": "the names are those of channels",
    "milvus.QueryRequest.expr_template_values": "the names are those of the filter's placeholders",
    "milvus.SearchRequest.expr_template_values": "the names are those of the filter's placeholders",
    "milvus.SubSearchRequest.expr_template_values": "the names are those of the filter's placeholders",
    "milvus.UpdateResourceGroupsRequest.resource_groups": "the names are those of resource groups",
    "common.SearchAggregationSpec.metrics": "the names are those of the results",
    "rg.ResourceGroupNodeFilter.node_labels": "the names are those of labels that an operator gives to nodes",
    "schema.FunctionParamObject.fields": "a value of a parameter whose name is checked",
}
"""Maps and lists of pairs whose keys are no parameters."""


def request_of(row: Operation) -> Descriptor:
    return messages.descriptor_of(messages.method_of(row.name).request)


def reached(row: Operation) -> dict[str, Descriptor]:
    """Return every type of message in the requests of an RPC, by its name.

    What is inside bulk data and refused fields is left out.
    """
    found: dict[str, Descriptor] = {}
    waiting = [request_of(row)]
    while waiting:
        message = waiting.pop()
        if message.full_name in found:
            continue
        found[message.full_name] = message
        if message.full_name in MESSAGES and MESSAGES[message.full_name].bulk:
            continue
        refused = MESSAGES[message.full_name].refused if message.full_name in MESSAGES else row.refused
        held = (inner(field) for field in message.fields if field.name not in refused)
        waiting += (each for each in held if each is not None)
    return found


ALL: Final = {name: message for row in OPEN for name, message in reached(row).items()}
INSIDE: Final = {name: each for name, each in ALL.items() if each not in map(request_of, OPEN)}


def short(name: str) -> str:
    return name.removeprefix("milvus.proto.")


# Everything is decided on


@pytest.mark.parametrize("row", OPEN, ids=lambda row: row.name)
def test_every_field_of_a_request_has_a_class(row: Operation) -> None:
    undecided = [field.name for field in request_of(row).fields if field.name not in uses_of(row)]
    assert not undecided, "say in the row what happens to them"


def test_fields_of_closed_operations_are_refused() -> None:
    for row in OPERATIONS.values():
        if row.closed:
            assert set(uses_of(row).values()) <= {FieldUse.REFUSED}, row.name


def test_every_field_of_every_message_inside_requests_is_decided_on() -> None:
    for name, message in INSIDE.items():
        if not message.GetOptions().map_entry:
            said = MESSAGES[name]
            assert sorted([*said.accepted, *said.refused]) == sorted(field.name for field in message.fields), name


def test_table_of_messages_holds_nothing_that_no_request_holds() -> None:
    assert set(MESSAGES) == {name for name, message in INSIDE.items() if not message.GetOptions().map_entry}


def test_bulk_data_is_nothing_but_values() -> None:
    values = {"data", "contents", "dim", "element_type"}
    for name, said in MESSAGES.items():
        if said.bulk:
            assert set(said.accepted) <= values, name


def enums() -> dict[str, EnumDescriptor]:
    fields = (field for message in ALL.values() for field in message.fields)
    return {kind.full_name: kind for field in fields if (kind := field.enum_type) is not None}


def test_every_value_of_every_enum_is_decided_on() -> None:
    declared = {name: set(kind.values_by_number) for name, kind in enums().items()}
    assert {name: set(values) for name, values in ENUMS.items()} == {
        name: values for name, values in declared.items() if name not in OWN_ENUMS
    }
    assert set(declared) >= OWN_ENUMS
    assert not any(field.enum_type.full_name in OWN_ENUMS for field in enum_fields_for_engines())


def enum_fields_for_engines() -> Iterator[Any]:
    for row in OPEN:
        if row.by_engine:
            yield from (field for message in reached(row).values() for field in message.fields if field.enum_type)


def test_bulk_numbers_are_repeated_numbers() -> None:
    fields = {field.full_name: field for message in ALL.values() for field in message.fields}
    for name in BULK_NUMBERS:
        assert fields[name].is_repeated
        assert fields[name].type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE)


# What a row says


def test_a_row_that_says_two_things_about_a_field_is_no_row() -> None:
    row = OPERATIONS["Query"]
    for said in (("collection_name",), ("nothing",), ("namespace",)):
        with pytest.raises(ValueError, match=f"`{said[0]}`"):
            uses_of(replace(row, forwarded=(*row.forwarded, *said)))


def test_names_of_objects_are_rewritten_where_an_engine_gets_them() -> None:
    for row in OPEN:
        for name in (*row.collections, row.database, row.target_database):
            if name and row.by_engine:
                assert uses_of(row)[name] is FieldUse.REWRITTEN, row.name


def test_nothing_that_selects_is_only_forwarded() -> None:
    for row in OPEN:
        chosen = {path for path in row.fields() if "." not in path}
        forwarded = {name for name, use in uses_of(row).items() if use is FieldUse.FORWARDED}
        assert not chosen & forwarded, row.name


# Everything else is refused


def payloads(row: Operation) -> Iterator[tuple[str, Any, list[Any]]]:
    """Yield every type of message that a request may hold, with the request and the messages that hold it.

    The last message of the list is of that type; it may be serialised in a bytes field of the request.
    """
    request = messages.method_of(row.name).request()
    yield request.DESCRIPTOR.full_name, request, [request]
    for name in reached(row):
        for path in messages.paths_in(row.name).get(name, ()):
            if path and not ALL[name].GetOptions().map_entry:
                yield name, *built(row, path)


def built(row: Operation, path: str) -> tuple[Any, list[Any]]:
    request: Any = messages.method_of(row.name).request()
    chain = [request]
    serialised = messages.serialised_in(type(request))
    for name in path.split("."):
        holder = chain[-1]
        if name in serialised and holder is request:
            chain.append(serialised[name]())
            continue
        if type(holder) is tuple:
            chain.append(holder[1] if name == "value" else holder[0])
            continue
        held = getattr(holder, name)
        field = holder.DESCRIPTOR.fields_by_name[name]
        if field.message_type.GetOptions().map_entry:
            key = 1 if field.message_type.fields_by_name["key"].cpp_type != FieldDescriptor.CPPTYPE_STRING else "k"
            chain.append((key, held[key]) if field.message_type.fields_by_name["value"].message_type else held)
        elif field.is_repeated:
            chain.append(held.add())
        else:
            held.SetInParent()
            chain.append(held)
    return request, chain


def encoded(row: Operation, request: Any, chain: list[Any]) -> bytes:
    for name, held in messages.serialised_in(type(request)).items():
        inside = next((each for each in chain if type(each) is held), None)
        if inside is not None:
            setattr(request, name, inside.SerializeToString())
    return bytes(request.SerializeToString())


def read(row: Operation, payload: bytes, admission: Admission | None = None) -> dict[str, Any]:
    assert row.reader is not None
    return row.reader.read(payload, (admission or Admission()).check)


def is_data(chain: list[Any]) -> bool:
    names = (each.DESCRIPTOR.full_name for each in messages_in(chain))
    return any(name in MESSAGES and MESSAGES[name].bulk for name in names)


def messages_in(chain: list[Any]) -> list[Any]:
    return [each for each in chain if isinstance(each, messages.ProtocolMessage)]


@pytest.mark.parametrize("row", OPEN, ids=lambda row: row.name)
def test_a_field_of_no_known_number_is_refused_in_every_message(row: Operation) -> None:
    seen = set()
    for name, request, chain in payloads(row):
        if is_data(chain) or not isinstance(chain[-1], messages.ProtocolMessage):
            continue
        seen.add(name)
        chain[-1].MergeFromString(b"\xf8\xf0\x04\x01")  # the field 9999 with the number 1
        told = f"{short(name).partition('.')[2]} has the field {UNKNOWN}, which this server does not know"
        with pytest.raises(InvalidArgument, match=told) as refusal:
            read(row, encoded(row, request, chain))
        assert refusal.value.code is ErrorCode.FIELD_UNKNOWN
    wanted = {name for name in reached(row) if not (name in MESSAGES and MESSAGES[name].bulk)}
    assert seen == {name for name in wanted if not ALL[name].GetOptions().map_entry}


@pytest.mark.parametrize("row", OPEN, ids=lambda row: row.name)
def test_a_value_of_an_enum_without_a_name_is_refused_in_every_message(row: Operation) -> None:
    for name, request, chain in payloads(row):
        if is_data(chain) or not isinstance(chain[-1], messages.ProtocolMessage):
            continue
        for field in chain[-1].DESCRIPTOR.fields:
            if field.enum_type is None or field.enum_type.full_name in OWN_ENUMS:
                continue
            if field.is_repeated:
                getattr(chain[-1], field.name).append(UNKNOWN)
            else:
                setattr(chain[-1], field.name, UNKNOWN)
            with pytest.raises(InvalidArgument, match=f"`{field.name}` of .* has the value {UNKNOWN}"):
                read(row, encoded(row, request, chain))
            chain[-1].ClearField(field.name)
            assert name


def test_refused_fields_are_refused_with_a_reason_when_they_are_set() -> None:
    found = set()
    for row in OPEN:
        for name, request, chain in payloads(row):
            refused = row.refused if len(chain) == 1 else MESSAGES[name].refused if name in MESSAGES else {}
            if name == "milvus.proto.milvus.SearchRequest":
                refused = OPERATIONS["Search"].refused
            for field, why in refused.items():
                found.add(f"{name}.{field}")
                fill(chain[-1], field)
                with pytest.raises(InvalidArgument, match=f"`{field}` of") as refusal:
                    read(row, encoded(row, request, chain))
                assert why in str(refusal.value)
                chain[-1].ClearField(field)
    assert found >= {f"{name}.{field}" for name, said in MESSAGES.items() for field in said.refused}
    assert "milvus.proto.milvus.QueryRequest.namespace" in found


def fill(message: Any, name: str) -> None:
    """Set a field to some value that is not its default."""
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, name)["k"] = "v"
    elif field.message_type is not None:
        getattr(message, name).SetInParent()
    elif field.is_repeated:
        getattr(message, name).append(1)
    else:
        setattr(message, name, "x" if field.type == FieldDescriptor.TYPE_STRING else 1)


def test_a_refused_field_with_its_default_is_not_set() -> None:
    # Encoders of JavaScript write what a program has assigned, whatever it is.
    schema = b"\x7a\x00"  # file_resource_ids, packed, without any
    payload = messages.CreateCollectionRequest(collection_name="docs", schema=schema).SerializeToString()
    assert read(OPERATIONS["CreateCollection"], payload)["collection_name"] == "docs"


def test_an_optional_field_is_set_even_to_nothing() -> None:
    with pytest.raises(InvalidArgument, match="`namespace` of QueryRequest"):
        read(OPERATIONS["Query"], messages.QueryRequest(namespace="").SerializeToString())


def test_a_field_in_another_encoding_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="`collection_name` of QueryRequest is not accepted: it is not encoded"):
        read(OPERATIONS["Query"], b"\x18\x05")


def test_an_entry_of_a_map_with_a_further_field_is_refused() -> None:
    entry = b"\x0a\x01k" + b"\x12\x01v" + b"\x18\x05"
    with pytest.raises(InvalidArgument, match="`load_params` of LoadCollectionRequest"):
        read(OPERATIONS["LoadCollection"], b"\x4a" + bytes([len(entry)]) + entry)


def test_fields_that_the_operator_names_pass_by_message_and_number() -> None:
    query = messages.QueryRequest(collection_name="docs").SerializeToString() + b"\xd8\x01\x01"
    admission = Admission(forwarded_fields=frozenset({("QueryRequest", 27)}))
    assert read(OPERATIONS["Query"], query, admission)["collection_name"] == "docs"
    with pytest.raises(InvalidArgument, match="QueryRequest has the field 28"):
        read(OPERATIONS["Query"], query + b"\xe0\x01\x01", admission)
    with pytest.raises(InvalidArgument, match="SearchRequest has the field 27"):
        read(OPERATIONS["Search"], b"\xd8\x01\x01", admission)


# Key-value parameters


def test_every_key_value_parameter_is_checked_by_its_key() -> None:
    checked = {f"{each.message}.{each.field}" for each in PARAMETERS}
    checked |= {f"{rule.message}.{rule.field.removesuffix('.key')}" for rule in outbound.RULES}
    checked |= {"milvus.proto.schema.FunctionChainOp.params", "milvus.proto.schema.FunctionChainExpr.params"}
    pairs = {
        field.full_name
        for message in ALL.values()
        if not message.GetOptions().map_entry
        for field in message.fields
        if (held := field.message_type) is not None
        and (held.full_name == KEY_VALUE or held.GetOptions().map_entry)
        and field.name not in (MESSAGES[message.full_name].refused if message.full_name in MESSAGES else ())
    }
    assert pairs - checked == {f"milvus.proto.{name}" for name in WITHOUT_KEYS_OF_OURS}


def test_keys_to_delete_are_checked_as_keys_to_set() -> None:
    deleting = {message.full_name for message in ALL.values() if "delete_keys" in message.fields_by_name}
    assert deleting == {each.message for each in PARAMETERS if each.field == "delete_keys"}


@pytest.mark.parametrize("row", OPEN, ids=lambda row: row.name)
def test_parameters_are_found_wherever_a_request_holds_them(row: Operation) -> None:
    held = {place.parameters.message for place in row.parameters}
    if row.by_engine:
        assert held == {each.message for each in PARAMETERS if each.message in reached(row)}
