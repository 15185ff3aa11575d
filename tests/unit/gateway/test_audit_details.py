"""What of a request is recorded: every field is recorded or left out for a reason, and changes are recorded in full."""

import itertools
import random
import re
import string
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest
from google.protobuf.descriptor import FieldDescriptor
from tests.support.audit_lines import lines, whole_details

from kiteward.audit.verify import verify
from kiteward.audit.writer import AuditWriter
from kiteward.domain.errors import LimitReached
from kiteward.domain.identity import PasswordCredential, Principal, Secret
from kiteward.gateway.audit_details import Converted, details_of, paths_of, result_of
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.call import AnyCall, Call, new_request_id
from kiteward.gateway.operations import OPERATIONS, Executor
from kiteward.gateway.operations.declare import RESOLVED
from kiteward.gateway.recording import Recording
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.grants import GrantsChanged
from kiteward.iam.json_api.keys import MadeKey, NewKey
from kiteward.milvus import messages

CHANGING = sorted(name for name, row in OPERATIONS.items() if row.changes and row.recorded is not None)
OURS = sorted(row.name for row in ADMIN_OPERATIONS.values() if row.changes)
MANY, FEW = 40, 3
"""Elements of a repeated field: more than what is shortened keeps; and of one in another."""

_randomly = random.Random(12)


def leaves(descriptor: Any, prefix: str = "") -> Iterator[str]:
    for field in descriptor.fields:
        if field.message_type is None or field.message_type.name == "KeyValuePair":
            yield f"{prefix}{field.name}"
        elif field.name != "base":
            yield from leaves(field.message_type, f"{prefix}{field.name}.")


# The tables


def test_every_field_of_every_administrative_rpc_and_change_is_recorded_or_left_out_for_a_reason() -> None:
    for name, row in OPERATIONS.items():
        audited = (row.executor is Executor.HERE and row.event is not None) or row.executor is Executor.DDL
        assert (row.recorded is not None) is audited, name
        if row.recorded is None:
            assert not row.left_out
            continue
        recorded = [path for place in row.recorded.values() for path in paths_of(place)]
        assert not set(recorded) & set(row.left_out), name
        assert {*recorded, *row.left_out} == set(leaves(messages.method_of(name).request.DESCRIPTOR)), name


def test_what_is_left_out_as_resolved_is_the_database_of_the_line() -> None:
    for row in OPERATIONS.values():
        assert {path for path, why in row.left_out.items() if why is RESOLVED} <= {row.database}
        assert row.executor is not Executor.DDL or RESOLVED in row.left_out.values()


def test_converted_field_holds_values_of_the_type_that_is_converted() -> None:
    kinds = {FieldDescriptor.TYPE_STRING: str, FieldDescriptor.TYPE_BYTES: bytes}
    for name, row in OPERATIONS.items():
        fields = messages.method_of(name).request.DESCRIPTOR.fields_by_name
        for place in (row.recorded or {}).values():
            assert not isinstance(place, Converted) or kinds[fields[place.path].type] is place.kind, name
    with pytest.raises(TypeError, match="`schema` holds no bytes"):
        Converted("schema", bytes, bytes.hex).recorded("text")


def test_no_field_that_holds_a_secret_is_recorded() -> None:
    places = [place for row in OPERATIONS.values() for place in (row.recorded or {}).values()]
    paths = [path for place in places for path in paths_of(place)]
    assert paths
    assert not [path for path in paths if re.search(r"password|token|secret|external_spec", path, re.IGNORECASE)]


def test_outcomes_are_recorded_but_for_what_the_change_did_not_make() -> None:
    for row in ADMIN_OPERATIONS.values():
        assert row.unrecorded_results <= {field.encode_name for field in msgspec.structs.fields(row.outcome)}
        assert row.changes or not row.unrecorded_results


# Changes in full


def word(length: int = 300) -> str:
    return "".join(_randomly.choices(string.ascii_letters, k=length))


class Filled:
    """A request whose every field holds a value of its own."""

    def __init__(self, operation: str) -> None:
        self.values: dict[str, list[str]] = {}
        self.message = messages.method_of(operation).request()
        self.fill(self.message, "")

    def fill(self, message: Any, prefix: str) -> None:
        for field in message.DESCRIPTOR.fields:
            path = f"{prefix}{field.name}"
            repeated = hasattr(getattr(message, field.name), "extend")
            if field.name == "base":
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                getattr(message, field.name).update({self.text(path): self.text(path) for _ in range(MANY)})
            elif field.message_type is not None:
                below = getattr(message, field.name)
                for element in [below.add() for _ in range(MANY)] if repeated else [below]:
                    self.fill(element, f"{path}.")
            elif repeated and field.enum_type is not None:
                getattr(message, field.name).append(1)
            elif repeated:
                getattr(message, field.name).extend(self.text(path) for _ in range(MANY))
            else:
                setattr(message, field.name, self.value(field, path))

    def value(self, field: Any, path: str) -> Any:
        if field.name == "schema":
            schema = type(messages.DescribeCollectionResponse().schema)(name=self.text(path))
            for _ in range(MANY):
                schema.fields.add(name=self.text(path), description=self.text(path))
            return schema.SerializeToString()
        if field.cpp_type == field.CPPTYPE_STRING:
            return self.text(path)
        return 1

    def text(self, path: str) -> str:
        self.values.setdefault(path, []).append(word())
        return self.values[path][-1]


@pytest.fixture
async def trail(tmp_path: Path) -> AsyncIterator[AuditWriter]:
    trail = AuditWriter.open(tmp_path)
    yield trail
    await trail.close()


def recording_of(call: AnyCall) -> Recording:
    call = call._replace(request_id=new_request_id())
    return Recording(call, OPERATIONS.get(call.operation) or ADMIN_OPERATIONS[call.operation])


async def begun(trail: AuditWriter, directory: Path, recording: Recording) -> list[dict[str, Any]]:
    recording.principal = Principal("alice", frozenset())
    await Recorder(trail).begin(recording)
    found = [line for line in lines(directory) if line.get("request_id") == recording.call.request_id]
    assert [line["outcome"] for line in found] == ["received"] * len(found)
    assert verify(directory).findings == ()
    return found


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(texts, value.values()))
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(map(texts, value))


@pytest.mark.parametrize("operation", CHANGING)
async def test_every_value_of_a_change_is_in_the_trail_whole_and_no_secret_is(
    trail: AuditWriter, tmp_path: Path, operation: str
) -> None:
    filled = Filled(operation)
    call = Call(operation, filled.message.SerializeToString(), PasswordCredential("alice", Secret("x")))
    found = await begun(trail, tmp_path, recording_of(call))
    told = set(texts(whole_details(found)))
    for path, values in filled.values.items():
        if any(path.startswith(left_out) for left_out in OPERATIONS[operation].left_out):
            assert not told & set(values), path
        else:
            assert set(values) <= told, path


def given(kind: Any, *, many: int = MANY) -> Any:
    """Return a value of a type of our own operations, as JSON has it; lists in lists have few values."""
    members = [member for member in get_args(kind) if member is not type(None)]
    if get_origin(kind) is list:
        return [given(members[0], many=FEW) for _ in range(many)]
    if get_origin(kind) is dict:
        return {given(members[0]): given(members[-1], many=FEW) for _ in range(many)}
    if members:  # of a union, or of a type with a description
        return given(members[0], many=many)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.encode_name: given(field.type, many=many) for field in msgspec.structs.fields(kind)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind)).value
    return {int: 7, float: 0.5, bool: True, datetime: datetime.now(UTC).isoformat()}.get(kind) or word()


@pytest.mark.parametrize("operation", OURS)
async def test_every_value_of_a_change_of_ours_is_in_the_trail_whole_and_no_secret_is(
    trail: AuditWriter, tmp_path: Path, operation: str
) -> None:
    extension = ADMIN_OPERATIONS[operation]
    arguments = extension.arguments_of(given(extension.arguments))
    recording = recording_of(Call(operation, arguments, PasswordCredential("alice", Secret("x"))))
    recording.details = details_of(arguments)
    told = whole_details(await begun(trail, tmp_path, recording))
    for field in msgspec.structs.fields(arguments):
        value = getattr(arguments, field.name)
        if isinstance(value, Secret):
            assert value.reveal() not in str(told)
        else:
            assert told[field.encode_name] == msgspec.to_builtins(value)


async def test_long_change_goes_on_over_numbered_lines_that_each_tell_who_and_what(
    trail: AuditWriter, tmp_path: Path
) -> None:
    filled = Filled("RestoreRBAC")
    call = Call("RestoreRBAC", filled.message.SerializeToString(), PasswordCredential("alice", Secret("x")))
    found = await begun(trail, tmp_path, recording_of(call))
    assert len(found) > 3
    assert [line["part"] for line in found] == list(range(1, len(found) + 1))
    assert {line["parts"] for line in found} == {len(found)}
    assert {(line["principal"], line["operation"]) for line in found} == {("alice", "RestoreRBAC")}


async def test_restored_bindings_grants_and_members_can_be_distinguished_from_the_trail(
    trail: AuditWriter, tmp_path: Path
) -> None:
    users = [{"user": "alice", "roles": [{"name": "r1"}, {"name": "r2"}]}, {"user": "bob", "roles": [{"name": "r2"}]}]
    grant = {"role": {"name": "r1"}, "object": {"name": "Collection"}, "object_name": "docs", "db_name": "db"}
    grants = [{**grant, "grantor": {"privilege": {"name": "Insert"}, "user": {"name": "root"}}}]
    groups = [{"group_name": "g", "privileges": [{"name": "Query"}]}]
    meta: Any = {"users": users, "grants": grants, "privilege_groups": groups, "roles": [{"name": "r1"}]}
    payload = messages.RestoreRBACMetaRequest(RBAC_meta=meta).SerializeToString()
    call = Call("RestoreRBAC", payload, PasswordCredential("alice", Secret("x")))
    assert whole_details(await begun(trail, tmp_path, recording_of(call))) == {
        "users": [{"user": "alice", "roles": ["r1", "r2"]}, {"user": "bob", "roles": ["r2"]}],
        "roles": [{"role": "r1"}],
        "groups": [{"group": "g", "privileges": ["Query"]}],
        "grants": [
            {
                "role": "r1",
                "privilege": "Insert",
                "object_type": "Collection",
                "object": "docs",
                "database": "db",
                "granted_by": "root",
            }
        ],
    }


@pytest.mark.parametrize("operation", ["UpdateCredential", "CreateRole"])
async def test_change_that_is_too_large_to_be_recorded_is_refused_and_takes_little_room(
    trail: AuditWriter, tmp_path: Path, operation: str
) -> None:
    kind = messages.method_of(operation).request
    text = "x" * OPERATIONS[operation].details_limit
    request = kind(username=text) if operation == "UpdateCredential" else kind(entity={"name": text})
    payload = request.SerializeToString()
    recording = recording_of(Call(operation, payload, PasswordCredential("alice", Secret("x"))))
    recording.principal = Principal("alice", frozenset())
    with pytest.raises(LimitReached, match="split it into several"):
        await Recorder(trail).begin(recording)
    await trail.close()
    (line,) = lines(tmp_path)
    assert (line["outcome"], line["error"]) == ("failed", "LimitReached")
    assert line["details"] == {"request_bytes": len(payload)}


# What is not recorded


def test_properties_and_parameters_that_may_be_secret_are_reported_by_their_names_alone() -> None:
    schema = type(messages.DescribeCollectionResponse().schema)()
    schema.functions.add(name="embed").params.add(key="api_key", value="sk-1")
    properties: Any = [{"key": "cipher.key", "value": "abc"}, {"key": "partitionkey.isolation", "value": "true"}]
    request = messages.CreateCollectionRequest(schema=schema.SerializeToString(), properties=properties)
    details = OPERATIONS["CreateCollection"].details(request.SerializeToString())
    assert details == {
        "schema": {
            "functions": [{"name": "embed", "params": [{"key": "api_key", "value": "(not recorded)"}]}],
        },
        "properties": [
            {"key": "cipher.key", "value": "(not recorded)"},
            {"key": "partitionkey.isolation", "value": "true"},
        ],
    }


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("s3://bucket/a/b.json", "s3://bucket/a/b.json"),
        ("https://key:secret@host:9000/a?signature=1#x", "https://host:9000/a"),
        ("//[", "(not recorded)"),
    ],
)
def test_place_of_a_snapshot_is_recorded_without_what_opens_it(uri: str, told: str) -> None:
    request = messages.method_of("RestoreExternalSnapshot").request(snapshot_metadata_uri=uri)
    assert OPERATIONS["RestoreExternalSnapshot"].details(request.SerializeToString()) == {"from": told}


def test_empty_description_is_distinguished_from_none() -> None:
    kind = messages.method_of("UpdateCredential").request
    assert OPERATIONS["UpdateCredential"].details(kind(username="a").SerializeToString()) == {"user": "a"}
    cleared = kind(username="a", description="").SerializeToString()
    assert OPERATIONS["UpdateCredential"].details(cleared) == {"user": "a", "description": ""}


def test_key_that_is_restricted_to_no_role_is_distinguished_from_one_with_all_roles() -> None:
    assert details_of(NewKey(roles=[])) == {"roles": []}
    assert details_of(NewKey()) == {}


def test_payload_that_cannot_be_read_has_no_details() -> None:
    assert OPERATIONS["CreateRole"].details(b"\xff") == {}
    unreadable = messages.CreateCollectionRequest(schema=b"\xff").SerializeToString()
    assert OPERATIONS["CreateCollection"].details(unreadable) == {"schema": {"bytes": 1}}


def test_result_tells_what_was_made_and_that_a_secret_was_issued() -> None:
    made = MadeKey(key_id="id", key=Secret("the key"), user_name="alice")
    assert result_of(made, frozenset()) == {"keyId": "id", "key": "issued", "userName": "alice"}
    assert result_of(GrantsChanged(granted=[], revoked=[], users=["bob"]), frozenset({"users"})) == {
        "granted": [],
        "revoked": [],
    }
