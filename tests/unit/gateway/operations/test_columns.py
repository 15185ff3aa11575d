"""Every column of the rows is complete: held against the protocol's descriptors, or pinned with a reason."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from kiteward.audit.events import DETAILS_LIMIT, Event
from kiteward.engine.base import Access
from kiteward.gateway.object_ids import KINDS
from kiteward.gateway.operations import OPERATIONS, Executor, Operation
from kiteward.gateway.operations.engine_rpcs import ENGINE_RPCS
from kiteward.milvus import messages
from kiteward.store.intent_records import IntentKind

_DEPTH: Final = 3
_OPEN: Final = [row for row in OPERATIONS.values() if row.by_engine and (row.privilege is None or row.if_named)]


def fields(descriptor: Any, prefix: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, Any]]:
    """Yield path and descriptor of every field of a message, through messages inside it."""
    for field in descriptor.fields:
        yield prefix + field.name, field
        if field.message_type is not None and depth > 1:
            yield from fields(field.message_type, f"{prefix}{field.name}.", depth - 1)


def response(row: Operation) -> Any:
    return messages.METHODS[row.name].response.DESCRIPTOR


# Reading and changing

_READS: Final = re.compile(
    r"(Get|Describe|BatchDescribe|Show|List|Has|Query|Search|HybridSearch|Run|Compute|Alloc|Select|Backup|Check)\w*"
)


@pytest.mark.parametrize("row", [row for row in OPERATIONS.values() if not row.closed], ids=lambda row: row.name)
def test_row_changes_something_unless_its_name_says_that_it_reads(row: Operation) -> None:
    assert row.changes is (_READS.fullmatch(row.name) is None and row.name != "Connect")


def test_kind_of_event_goes_with_the_executor() -> None:
    data = {Event.DATA_READ, Event.DATA_WRITE, Event.DATA_DEFINITION}
    for row in OPERATIONS.values():
        assert (row.event in data) is (row.executor is Executor.ENGINE), row.name
        assert (row.event is Event.OBJECT_CHANGE) is (row.executor is Executor.DDL), row.name
        assert row.event is None or row.executor is not Executor.NOBODY, row.name


def test_engine_is_given_what_each_rpc_that_it_executes_does_to_stored_data() -> None:
    assert ENGINE_RPCS.keys() == {row.name for row in OPERATIONS.values() if row.by_engine}
    for name, access in ENGINE_RPCS.items():
        row = OPERATIONS[name]
        assert (access is Access.READ) is not row.changes, name
        assert (access is Access.CATALOG_CHANGE) is (row.executor is Executor.DDL), name


def test_what_writes_entities_differs_from_what_defines() -> None:
    writing = {row.name for row in OPERATIONS.values() if row.event is Event.DATA_WRITE}
    entities = {"Insert", "Upsert", "Delete", "Import", "BatchUpdateManifest", "TruncateCollection"}
    assert writing == entities | {"ReplicateMessage"}


# Changes of the catalog


def test_every_rpc_that_changes_which_objects_there_are_is_a_change_of_the_catalog() -> None:
    changing = re.compile(
        r"(Create|Drop|Rename)(Collection|Alias|Database)|AlterAlias|Restore(External)?Snapshot"
        r"|AlterCollection"  # it changes whether row policies are enforced
    )
    expected = {name for name in messages.METHODS if changing.fullmatch(name)}
    assert {row.name for row in OPERATIONS.values() if row.executor is Executor.DDL} == expected


def test_grants_follow_every_change_of_what_they_can_name() -> None:
    """A grant names a database or a collection, never an alias; one on a database that is to be names nothing yet."""
    without = {row.name for row in OPERATIONS.values() if row.executor is Executor.DDL and row.intent is None}
    assert without == {"CreateAlias", "AlterAlias", "DropAlias", "CreateDatabase", "AlterCollection"}
    assert all(row.intent is None for row in OPERATIONS.values() if row.executor is not Executor.DDL)
    assert len(IntentKind) == 5


def test_names_are_resolved_on_a_catalog_that_is_up_to_date() -> None:
    for row in OPERATIONS.values():
        if row.database or row.collections or row.aliases:
            assert row.needs_catalog, row.name
    answering = {row.name for row in OPERATIONS.values() if row.handler is not None and row.needs_catalog}
    of_row_policies = {"CreateRowPolicy", "DropRowPolicy", "ListRowPolicies"}
    assert answering == {"OperatePrivilege", "OperatePrivilegeV2", "SelectGrant"} | of_row_policies


# Responses


@pytest.mark.parametrize("row", _OPEN, ids=lambda row: row.name)
def test_response_of_names_that_anybody_may_ask_for_is_filtered(row: Operation) -> None:
    names = [path for path, field in fields(response(row)) if field.is_repeated and field.type == field.TYPE_STRING]
    assert bool(names) is (row.filter_response is not None), names


def test_only_responses_that_anybody_may_ask_for_are_filtered() -> None:
    filtered = {row.name for row in OPERATIONS.values() if row.filter_response is not None}
    assert filtered <= {row.name for row in _OPEN}


def test_visibility_is_hidden_where_a_request_asks_for_nothing_else() -> None:
    hidden = {row.name for row in OPERATIONS.values() if row.hidden_response is not None}
    assert hidden == {"HasCollection", "DescribeCollection"}
    assert all(OPERATIONS[name].visibility_is_enough for name in hidden)


_TELLS_ID: Final = re.compile(r"(collection|compaction|segment|coll_seg|flush_coll_seg)_?ids?", re.IGNORECASE)
_UNLEARNT: Final = {
    "BatchDescribeCollection": "no SDK calls it",
    "GetCompactionStateWithPlans": "the ids in it are those that were asked for",
    "ListImportTasks": "nothing can be imported",
    "GetImportState": "nothing can be imported",
    "GetReplicas": "DescribeCollection has returned the id",
    "ListIndexedSegment": "no SDK calls it",
    "DescribeSegmentIndexData": "no SDK calls it",
    "FlushAll": "whoever may call it needs no id to be known",
}
"""RPCs whose responses hold ids by which requests select, and why nothing is learnt from them."""


def test_ids_that_requests_select_by_are_learnt_from_the_responses_that_tell_them() -> None:
    telling = {
        row.name
        for row in OPERATIONS.values()
        if row.by_engine and any(_TELLS_ID.fullmatch(field.name) for _, field in fields(response(row)))
    }
    learnt = {row.name for row in OPERATIONS.values() if row.response_ids is not None}
    assert learnt <= telling
    assert telling - learnt == set(_UNLEARNT)
    assert set(KINDS) <= {path for row in OPERATIONS.values() for path in row.ids}


# Who the client is, and how much is recorded


def test_client_is_introduced_by_the_request_that_names_it() -> None:
    naming = {
        row.name
        for row in OPERATIONS.values()
        if not row.closed and "client_info" in messages.METHODS[row.name].request.DESCRIPTOR.fields_by_name
    }
    assert {row.name for row in OPERATIONS.values() if row.introduces_client} == naming


def test_limit_of_details_is_raised_for_a_whole_policy_alone() -> None:
    raised = {row.name for row in OPERATIONS.values() if row.details_limit != DETAILS_LIMIT}
    assert raised == {"RestoreRBAC"}
    assert OPERATIONS["RestoreRBAC"].details_limit > DETAILS_LIMIT


def test_one_time_password_may_call_what_is_needed_to_set_another_one() -> None:
    assert {row.name for row in OPERATIONS.values() if row.one_time_password} == {
        "Connect",
        "GetVersion",
        "UpdateCredential",
    }


def test_status_of_grpc_is_used_where_an_sdk_looks_for_it() -> None:
    found = {row.name for row in OPERATIONS.values() if row.unimplemented_by_grpc}
    assert found == {"AlterCollectionSchema", "ClientHeartbeat"}


@pytest.mark.parametrize("row", OPERATIONS.values(), ids=lambda row: row.name)
def test_rules_of_a_row_belong_to_its_executor(row: Operation) -> None:
    assert bool(row.closed) is (row.executor is Executor.NOBODY)
    assert (row.handler is not None) is (row.executor is Executor.HERE)
    if not row.by_engine:
        responses = (row.filter_response, row.hidden_response, row.response_ids)
        assert responses == (None, None, None)
        assert not row.places
