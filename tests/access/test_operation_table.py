"""The operation table is complete: no RPC without a row, no selecting field unread, no row without an executor."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.access.table import CLOSED, NOT_AS_ANNOTATED, NOT_SELECTING, OPEN, UNANNOTATED
from tests.support.gateway import opened, presented

from kiteward.api.grpc.status import GrpcStatus, failure_of
from kiteward.domain.errors import AuthenticationError, OperationRefused, OperationUnknown
from kiteward.gateway.operations import OPERATIONS, Executor, missing_operations
from kiteward.milvus import messages

_DEPTH = 3
_SELECTS = re.compile(
    r"""
    .*collection(names?|ids?)?      # collection_name, collectionName, collection_names, target_collection_name, …
    | .*(db|database)(name|id)s?    # db_name, dbName, newDBName, target_db_name, db_id
    | alias(es|name)?
    | .*user(name|s)? | roles?(name)?
    | oldname | newname | objectname | entityname
    | .*ids? | task                 # segments, jobs, messages: whatever goes by a number
    """,
    re.VERBOSE,
)
"""Names, in lower case and without underscores, that say of a field that it may select an object of access control."""


def _fields(message: Any, prefix: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, str]]:
    """Yield path and name of every field, through messages inside it; `MsgBase` says nothing of objects."""
    for field in message.fields:
        inner = field.message_type
        if inner is not None and inner.name == "MsgBase":
            continue
        yield prefix + field.name, field.name
        if inner is not None and depth > 1 and not inner.GetOptions().map_entry:
            yield from _fields(inner, f"{prefix}{field.name}.", depth - 1)


def _selecting(operation: str) -> Iterator[str]:
    for path, name in _fields(messages.METHODS[operation].request.DESCRIPTOR):
        # What a plain `name` names is said by the message around it: `role.name`, `user.name`.
        whole = "".join(path.split(".")[-2:]) if name == "name" else name
        if _SELECTS.fullmatch(whole.replace("_", "").lower()):
            yield path


def test_every_rpc_of_the_protocol_has_a_row_and_every_row_an_rpc() -> None:
    declared = [rpc.name for path in (messages.SERVICE, messages.TELEMETRY_SERVICE) for rpc in _service(path).methods]
    assert len(declared) == len(set(declared)), "two services share a name, so that a row would mean both"
    assert set(OPERATIONS) == set(declared)
    assert missing_operations() == frozenset()
    assert missing_operations({"Search": OPERATIONS["Search"]}) == frozenset(declared) - {"Search"}
    assert all(row.name == name for name, row in OPERATIONS.items())


def _service(path: str) -> Any:
    method = next(each for each in messages.METHODS.values() if each.service == path)
    return method.request.DESCRIPTOR.file.services_by_name[path.rpartition(".")[2]]


@pytest.mark.parametrize("operation", sorted(set(messages.METHODS) - set(UNANNOTATED)))
def test_annotated_rpc_needs_what_the_protocol_says(operation: str) -> None:
    annotation = messages.annotation(operation)
    assert annotation is not None, "an RPC without annotation needs a decision of ours in UNANNOTATED"
    row = OPERATIONS[operation]
    if operation in NOT_AS_ANNOTATED:
        assert row.privilege is not None
        assert row.privilege.name in ("ManageRLS", "ViewRLS")
        return
    assert row.privilege is not None
    assert (row.privilege.object_type, row.privilege.name) == (annotation.object_type, annotation.privilege)


@pytest.mark.parametrize("operation", sorted(set(messages.METHODS) - set(UNANNOTATED) - set(NOT_AS_ANNOTATED)))
def test_row_authorizes_the_field_that_the_annotation_points_to(operation: str) -> None:
    annotation = messages.annotation(operation)
    assert annotation is not None
    number = max(annotation.name_index, annotation.names_index)
    if number <= 0:
        return
    field = messages.METHODS[operation].request.DESCRIPTOR.fields_by_number[number]
    path = f"{field.name}.{field.message_type.fields_by_number[1].name}" if field.message_type else field.name
    row = OPERATIONS[operation]
    assert path in (*row.collections, row.user)


@pytest.mark.parametrize("operation", sorted(UNANNOTATED))
def test_unannotated_rpc_is_as_decided(operation: str) -> None:
    assert messages.annotation(operation) is None, "the protocol names a privilege by now: take it"
    row = OPERATIONS[operation]
    needs = row.privilege.name if row.privilege else OPEN
    assert (CLOSED if row.executor is Executor.NOBODY else needs) == UNANNOTATED[operation]


@pytest.mark.parametrize("operation", sorted(messages.METHODS))
def test_every_field_that_may_select_is_read_or_known_not_to(operation: str) -> None:
    read = set(OPERATIONS[operation].fields())
    unread = [path for path in _selecting(operation) if path not in read]
    unknown = [path for path in unread if f"{operation}.{path}" not in NOT_SELECTING]
    assert not unknown, "read it in gateway.operations, or say in tests/access/table.py why it selects nothing"


def test_fields_said_not_to_select_exist_and_are_not_read() -> None:
    unread = {
        f"{operation}.{path}"
        for operation, row in OPERATIONS.items()
        for path in _selecting(operation)
        if path not in row.fields()
    }
    assert set(NOT_SELECTING) <= unread, sorted(set(NOT_SELECTING) - unread)


def test_what_is_executed_here_has_a_handler_and_nothing_else_has() -> None:
    assert all((row.handler is not None) is (row.executor is Executor.HERE) for row in OPERATIONS.values())


def test_open_operations_are_the_pinned_ones() -> None:
    found = {row.name for row in OPERATIONS.values() if row.executor is not Executor.NOBODY and row.privilege is None}
    assert found == {name for name, stands in UNANNOTATED.items() if stands == OPEN}


def test_response_without_status_belongs_to_nothing_that_we_answer_ourselves() -> None:
    bare = [OPERATIONS[name] for name, method in messages.METHODS.items() if method.status_field is None]
    assert all(row.executor is not Executor.HERE for row in bare)


_NAMES_NOTHING_NEW = {
    "AddCollectionFunction": "a function's name is kept in the schema and opens no file",
    "AddFileResource": "its path is refused, and so is it",
    "AlterAlias": "the alias is there already",
    "CreateResourceGroup": "resource groups are not of the embedded engine",
}


def test_every_operation_that_makes_something_holds_its_name_to_a_rule() -> None:
    makes = re.compile(r"(Create|Add|Rename|Restore(External)?Snapshot|AlterCollectionSchema|AlterAlias)")
    for name, row in OPERATIONS.items():
        if row.by_engine and makes.match(name):
            held = (*row.creates, row.creates_database, *row.creates_partitions, *row.creates_fields)
            assert any(held) or row.creates_indexes or name in _NAMES_NOTHING_NEW, name


def test_streams_are_closed() -> None:
    streams = [OPERATIONS[name] for name, method in messages.METHODS.items() if method.streaming]
    assert streams
    assert all(row.executor is Executor.NOBODY for row in streams)


def test_closed_rows_say_why_and_others_have_nothing_to_say() -> None:
    assert all(bool(row.closed) is (row.executor is Executor.NOBODY) for row in OPERATIONS.values())


async def test_closed_operation_is_not_offered_even_to_root_but_only_after_authentication(tmp_path: Path) -> None:
    closed = {row.name for row in OPERATIONS.values() if row.executor is Executor.NOBODY}
    async with opened(tmp_path / "store.db") as harness:
        for name in sorted(closed):
            with pytest.raises(OperationRefused) as refusal:
                await harness.call(name)
            told = failure_of(name, refusal.value)
            if isinstance(told, GrpcStatus):
                assert told.code.name == "UNIMPLEMENTED"
            else:
                assert messages.status_code(name, told) == 10
            with pytest.raises(AuthenticationError):
                await harness.call(name, by=presented("root", "wrong"))
        assert not {call.method for call in harness.engine.calls} & closed


async def test_unknown_operation_is_unimplemented_before_authentication(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as harness:
        with pytest.raises(OperationUnknown) as refusal:
            await harness.call("DropEverything", by=presented("root", "wrong"), payload=b"")
    told = failure_of("DropEverything", refusal.value)
    assert isinstance(told, GrpcStatus)
    assert told.code.name == "UNIMPLEMENTED"
