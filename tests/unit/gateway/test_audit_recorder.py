"""What is recorded of each request, and that nothing is done which could not be recorded."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, encoded, least_arguments, opened, own_call, presented

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.authn.api_keys import mint
from kiteward.domain.errors import (
    AccessDenied,
    AuditUnavailable,
    AuthenticationError,
    EngineUnavailable,
    InvalidArgument,
    KitewardError,
    NotFound,
    OldPasswordWrong,
    OperationRefused,
    OperationUnknown,
)
from kiteward.domain.identity import KeyCredential, PasswordCredential, Secret
from kiteward.gateway.audit_details import AT_ONCE
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS, Executor, Operation
from kiteward.gateway.recording import Recording
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import AdminOperation, plain
from kiteward.milvus import messages
from kiteward.milvus.request_reader import RequestReader

UNRECORDED = {
    "Connect",
    "GetVersion",
    "CheckHealth",
    "WhoAmI",
    "DescribePasswordPolicy",
    "DescribeSignIn",
    "StartApp",
    "StartPasskey",
}


@pytest.fixture
async def audited(store_path: Path) -> AsyncIterator[GatewayHarness]:
    """Alice may query `docs`; nothing is recorded yet."""
    engine = FakeEngine()
    engine.create("docs", "secrets")
    async with opened(store_path, engine) as harness:
        await harness.role("reader", ("Query", "default", "docs"))
        await harness.user("alice", "reader")
        harness.trail.events.clear()
        yield harness


def only(harness: GatewayHarness) -> AuditEvent:
    (event,) = harness.trail.events
    return event


async def refused(harness: GatewayHarness, method: str, error: type[KitewardError], **arguments: Any) -> None:
    with pytest.raises(error):
        await harness.call(method, **arguments)


# The table


def test_every_operation_is_some_kind_of_event() -> None:
    rows: list[Operation | AdminOperation] = [*OPERATIONS.values(), *ADMIN_OPERATIONS.values()]
    for row in rows:
        unrecorded = row.name in UNRECORDED or (isinstance(row, Operation) and row.executor is Executor.NOBODY)
        assert (row.event is None) is unrecorded, row.name


def test_everything_that_changes_the_policy_is_a_change_in_the_record() -> None:
    for row in ADMIN_OPERATIONS.values():
        assert row.changes is (row.event is not None and 3000 < row.event.code < 3100), row.name
    for operation in OPERATIONS.values():
        here = operation.executor is Executor.HERE
        assert (here and operation.changes) is (operation.event is not None and 3000 < operation.event.code < 3100)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("Insert", Event.DATA_WRITE),
        ("Search", Event.DATA_READ),
        ("DescribeCollection", Event.DATA_READ),
        ("ShowCollections", Event.DATA_READ),
        ("CreateIndex", Event.DATA_DEFINITION),
        ("LoadCollection", Event.DATA_DEFINITION),
        ("DropCollection", Event.OBJECT_CHANGE),
        ("CreateCredential", Event.USER_CHANGE),
        ("OperatePrivilegeV2", Event.GRANT_CHANGE),
        ("BackupRBAC", Event.ADMINISTRATIVE_READ),
    ],
)
def test_operations_are_the_kind_of_event_that_a_reader_expects(name: str, event: Event) -> None:
    assert OPERATIONS[name].event is event


# Who and what


async def test_data_operation_tells_who_did_what_where_why_and_how_it_ended(audited: GatewayHarness) -> None:
    request = messages.QueryRequest(collection_name="docs").SerializeToString()
    call = Call(
        "Query", request, presented("alice"), address="10.0.0.9:5", request_id="abc", transport="grpc", client="sdk"
    )
    await audited.gateway.handle(call)
    event = only(audited)
    assert (event.event, event.outcome, event.error) == (Event.DATA_READ, Outcome.SUCCEEDED, "")
    assert (event.principal, event.address, event.request_id) == ("alice", "10.0.0.9:5", "abc")
    assert (event.transport, event.client, event.operation) == ("grpc", "sdk", "Query")
    assert (event.database, event.resources, event.privilege) == ("default", ("docs",), "Query")
    assert (event.decision, event.reason) == ("allowed", "the roles of the principal hold every required privilege")
    assert re.fullmatch(r"password:[0-9a-f]{8}", event.credential)
    assert event.duration is not None
    assert event.duration > 0


async def test_fingerprint_of_a_password_changes_with_the_password(audited: GatewayHarness) -> None:
    await audited.call("Query", by="alice", collection_name="docs")
    await audited.succeed(
        "UpdateCredential",
        by="alice",
        username="alice",
        oldPassword=encoded("Password-1"),
        newPassword=encoded("Password-2"),
    )
    await audited.call("Query", by=presented("alice", "Password-2"), collection_name="docs")
    first, *_, last = audited.trail.events
    assert first.credential != last.credential


async def test_collection_is_recorded_behind_its_alias(audited: GatewayHarness) -> None:
    await audited.succeed("CreateAlias", collection_name="docs", alias="current")
    audited.trail.events.clear()
    await audited.call("Query", by="alice", collection_name="current")
    assert only(audited).resources == ("docs",)


async def test_refusal_is_recorded_with_the_reason_in_full(audited: GatewayHarness) -> None:
    await refused(audited, "Query", AccessDenied, by="alice", collection_name="secrets")
    event = only(audited)
    assert (event.event, event.outcome, event.decision) == (Event.REFUSAL, Outcome.REFUSED, "refused")
    assert event.reason == "no role of `alice` holds Query on `default.secrets`"
    assert (event.privilege, event.resources) == ("Query", ("secrets",))


async def test_collection_that_is_hidden_from_its_caller_is_a_refusal_in_the_record(audited: GatewayHarness) -> None:
    await audited.call("HasCollection", by="alice", collection_name="secrets")
    assert only(audited).event is Event.REFUSAL


async def test_closed_and_unknown_operations_are_recorded(audited: GatewayHarness) -> None:
    await refused(audited, "CalcDistance", OperationRefused)
    assert only(audited).event is Event.CLOSED_OPERATION
    audited.trail.events.clear()
    await refused(audited, "Made Up\n", OperationUnknown)
    event = only(audited)
    assert (event.event, event.operation, event.principal) == (Event.UNKNOWN_OPERATION, "unknown", "")


async def test_failure_that_the_engine_reports_in_its_answer_is_a_failure(audited: GatewayHarness) -> None:
    audited.engine.answers["Query"] = messages.failure(
        "Query", code=65535, legacy_code=messages.ErrorCode.UnexpectedError, reason="secret data"
    )
    await audited.call("Query", by="alice", collection_name="docs")
    event = only(audited)
    assert (event.outcome, event.error) == (Outcome.FAILED, "status 65535")
    assert "secret" not in str(event)


async def test_of_an_error_only_its_kind_is_recorded(audited: GatewayHarness) -> None:
    audited.engine.failures["Query"] = EngineUnavailable("text that may quote data")
    await refused(audited, "Query", EngineUnavailable, by="alice", collection_name="docs")
    event = only(audited)
    assert (event.outcome, event.error) == (Outcome.FAILED, "EngineUnavailable")
    assert "quote" not in str(event)


async def test_client_is_called_as_it_called_itself_when_it_connected(audited: GatewayHarness) -> None:
    info = {"sdk_type": "Python", "sdk_version": "3.0.2"}
    answer = await audited.succeed("Connect", by="alice", client_info=info)
    request = messages.QueryRequest(collection_name="docs").SerializeToString()
    call = Call("Query", request, presented("alice"), client="grpc-python", client_id=str(answer.identifier))
    await audited.gateway.handle(call)
    assert only(audited).client == "Python 3.0.2"


async def test_greetings_are_not_recorded_unless_refused(audited: GatewayHarness) -> None:
    await audited.succeed("Connect", by="alice")
    await audited.succeed("GetVersion", by="alice")
    assert audited.trail.events == []
    await refused(audited, "Connect", AuthenticationError, by=presented("alice", "wrong"))
    assert only(audited).event is Event.AUTHENTICATION


# Callers that are refused


@pytest.mark.parametrize(
    ("user", "reason"),
    [("alice", "wrong password"), ("nobody", "no such user")],
)
async def test_authentication_failure_tells_operators_why(audited: GatewayHarness, user: str, reason: str) -> None:
    await refused(audited, "ListCredUsers", AuthenticationError, by=presented(user, "wrong"))
    event = only(audited)
    assert (event.event, event.outcome) == (Event.AUTHENTICATION, Outcome.REFUSED)
    assert (event.presented_user, event.principal, event.credential) == (user, "", "password")
    assert (event.reason, event.error) == (reason, "PasswordRejected")


async def test_who_is_not_admitted_is_recorded_as_one_who_is_refused(audited: GatewayHarness) -> None:
    by = presented("alice", "wrong")
    await refused(audited, "Query", AuthenticationError, by=by, collection_name="docs")
    call = Call("Query", b"", by, address="192.0.2.7:4000", request_id="1", transport="grpc", client="c")
    with pytest.raises(AuthenticationError):
        await audited.gateway.admit(call)
    asked, admitted = audited.trail.events
    assert (admitted.event, admitted.outcome, admitted.reason) == (asked.event, asked.outcome, asked.reason)
    assert (admitted.address, admitted.request_id) == ("192.0.2.7:4000", "1")


async def test_who_is_admitted_is_recorded_with_the_request_and_not_before(audited: GatewayHarness) -> None:
    await audited.gateway.admit(Call("Query", b"", presented("alice")))
    assert not audited.trail.events
    await audited.call("Query", by="alice", collection_name="docs")
    assert only(audited).outcome is Outcome.SUCCEEDED


async def test_disabled_and_throttled_callers_are_told_apart_in_the_record(audited: GatewayHarness) -> None:
    await audited.gateway.handle(own_call("DisableUser", userName="alice"))
    audited.trail.events.clear()
    await refused(audited, "ListCredUsers", AuthenticationError, by="alice")
    assert only(audited).reason == "the user is disabled"


async def test_key_that_is_not_accepted_is_reported_by_its_public_id(audited: GatewayHarness) -> None:
    minted = mint()
    credential = KeyCredential(minted.key)
    await refused(audited, "ListCredUsers", AuthenticationError, by=credential)
    event = only(audited)
    assert (event.credential, event.reason) == (f"key:{minted.key_id}", "no such API key")
    assert minted.key.reveal() not in str(event)


@pytest.mark.parametrize("user", ["not a name", "p@ss word!", "x" * 65, "tab\t", ""])
async def test_what_cannot_be_a_user_name_is_not_recorded_as_one(audited: GatewayHarness, user: str) -> None:
    await refused(audited, "ListCredUsers", AuthenticationError, by=PasswordCredential(user, Secret("x")))
    assert only(audited).presented_user == ""


async def test_credential_that_cannot_be_read_is_recorded_without_it(audited: GatewayHarness) -> None:
    await refused(audited, "ListCredUsers", AuthenticationError, by=KeyCredential(Secret("some-password")))
    event = only(audited)
    assert event.credential == "key:unreadable"
    assert "some-password" not in str(event)


async def test_unauthenticated_callers_do_not_fill_the_trail_and_those_left_out_are_counted(
    audited: GatewayHarness,
) -> None:
    now = 100.0
    recorder = Recorder(audited.trail, clock=lambda: now)
    call = Call("GetVersion", b"", presented("nobody"))
    for _ in range(1000):
        recording = Recording(call, OPERATIONS["GetVersion"])
        recorder.note(recording, AuthenticationError("no", reason="no such user"))
    assert len(audited.trail.events) == 200
    now = 101.0
    recorder.note(Recording(call, OPERATIONS[call.operation]), AuthenticationError("no"))
    left_out = audited.trail.events[200]
    assert (left_out.event, left_out.details["events"]) == (Event.EVENTS_LEFT_OUT, 800)
    await recorder.flush()
    assert len(audited.trail.events) == 202


# Changes


async def test_change_is_recorded_before_it_begins_and_when_it_has_ended(audited: GatewayHarness) -> None:
    await audited.grant("reader", "Insert", "default", "docs")
    begun, ended = audited.trail.events
    assert (begun.outcome, begun.duration) == (Outcome.RECEIVED, None)
    assert (ended.outcome, ended.event) == (Outcome.SUCCEEDED, Event.GRANT_CHANGE)
    assert begun.request_id == ended.request_id
    assert begun.details == {"role": "reader", "privilege": "Insert", "database": "default", "object": "docs"}
    stored = {"object_type": "Collection", "database": "default", "objects": ["docs"], "privileges": ["Insert"]}
    assert ended.details == {**begun.details, "result": {**stored, "changed": True}}


async def test_change_is_recorded_before_anything_is_done(audited: GatewayHarness) -> None:
    seen: list[Any] = []
    durable = audited.trail.record_durably

    async def looking(event: AuditEvent) -> None:
        seen.append((event.outcome, await audited.store.user("bob") is not None))
        await durable(event)

    audited.trail.record_durably = looking  # type: ignore[method-assign]  # looked at from inside
    await audited.user("bob")
    assert seen == [(Outcome.RECEIVED, False), (Outcome.SUCCEEDED, True)]


async def test_change_that_cannot_be_recorded_is_not_made(audited: GatewayHarness) -> None:
    before = await audited.state()
    audited.trail.working = False
    await refused(audited, "CreateCredential", AuditUnavailable, username="bob", password=encoded("Password-1"))
    await refused(audited, "DropCollection", AuditUnavailable, collection_name="docs")
    assert await audited.state() == before
    assert "DropCollection" not in [call.method for call in audited.engine.calls]
    assert [event.error for event in audited.trail.events] == ["AuditUnavailable"] * 2


async def test_change_whose_end_cannot_be_recorded_says_that_it_was_made(audited: GatewayHarness) -> None:
    gate = audited.engine.hold("DropCollection")
    dropping = asyncio.create_task(audited.call("DropCollection", collection_name="docs"))
    await audited.engine.reached("DropCollection")
    audited.trail.working = False
    gate.set()
    with pytest.raises(AuditUnavailable, match="has succeeded, but that could not be recorded"):
        await dropping


async def test_administrative_reads_are_refused_while_nothing_can_be_recorded_and_data_operations_go_on(
    audited: GatewayHarness,
) -> None:
    audited.trail.working = False
    await refused(audited, "ListCredUsers", AuditUnavailable)
    with pytest.raises(AuditUnavailable):
        await audited.gateway.handle(own_call("ListUserAccounts"))
    await audited.call("Query", by="alice", collection_name="docs")


async def test_change_that_fails_or_is_refused_midway_is_recorded_so(audited: GatewayHarness) -> None:
    await refused(audited, "OperateUserRole", KitewardError, username="alice", role_name="gone")
    begun, ended = audited.trail.events
    assert (begun.outcome, ended.outcome, ended.error) == (Outcome.RECEIVED, Outcome.FAILED, "RoleNotFound")
    audited.trail.events.clear()
    with pytest.raises(NotFound):
        await audited.gateway.handle(own_call("RevokeApiKey", "alice", keyId="AAAAAAAAAAAAAAAA"))
    assert [event.outcome for event in audited.trail.events] == [Outcome.RECEIVED, Outcome.FAILED]


async def test_change_whose_caller_is_gone_is_recorded_once_as_it_ended(audited: GatewayHarness) -> None:
    gate = audited.engine.hold("DropCollection")
    dropping = asyncio.create_task(audited.call("DropCollection", collection_name="docs"))
    await audited.engine.reached("DropCollection")
    dropping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dropping
    gate.set()
    await audited.gateway.drain()
    outcomes = [event.outcome for event in audited.trail.events if event.operation == "DropCollection"]
    assert outcomes == [Outcome.RECEIVED, Outcome.SUCCEEDED]


async def test_details_of_our_own_operations_hold_no_secret(audited: GatewayHarness) -> None:
    new = {"userName": "bob", "password": "Password-9", "description": "of the team"}
    await audited.gateway.handle(own_call("CreateUserAccount", **new))
    begun, ended = audited.trail.events
    assert begun.details == {"userName": "bob", "description": "of the team"}
    assert ended.details == {**begun.details, "result": {"userName": "bob"}}
    assert "Password-9" not in str(audited.trail.events)


async def test_no_password_reaches_the_record_of_a_restored_policy(audited: GatewayHarness) -> None:
    meta = (await audited.call("BackupRBAC")).RBAC_meta
    hashes = [user.password for user in meta.users]
    await refused(audited, "RestoreRBAC", KitewardError, RBAC_meta=meta)
    events = str(audited.trail.events)
    assert "RestoreRBAC" in events
    assert not [each for each in hashes if each and each in events]


# Changes in full


async def test_last_of_many_roles_of_a_new_user_is_in_the_trail(audited: GatewayHarness) -> None:
    roles = [f"role{number}" for number in range(40)]
    for role in roles:
        await audited.role(role)
    audited.trail.events.clear()
    await audited.gateway.handle(own_call("CreateUserAccount", userName="bob", roles=[*roles, "admin"]))
    begun, ended = audited.trail.events
    assert begun.details["roles"] == [*roles, "admin"]
    assert len(ended.details["roles"]) == 33
    assert ended.details["result"] == {"userName": "bob", "password": "issued"}


async def test_new_key_is_recorded_with_its_id_its_end_and_what_it_is_restricted_to(audited: GatewayHarness) -> None:
    limits: dict[str, Any] = {"roles": [], "expiresIn": 3600, "networks": ["10.0.0.0/8"]}
    made = plain(await audited.gateway.handle(own_call("CreateApiKey", "alice", **limits)))
    begun, ended = audited.trail.events
    assert begun.details == {"roles": [], "expiresIn": 3600, "networks": ["10.0.0.0/8"]}
    result = ended.details["result"]
    assert (result["keyId"], result["expiresAt"]) == (made["keyId"], made["expiresAt"])
    assert ([*result["roles"]], [*result["networks"]]) == ([], ["10.0.0.0/8"])
    assert made["key"] not in str(audited.trail.events)


async def test_change_of_a_user_tells_whether_the_password_changed_and_whether_the_old_one_was_verified(
    audited: GatewayHarness,
) -> None:
    new = {"oldPassword": encoded("Password-1"), "newPassword": encoded("Password-2")}
    await audited.succeed("UpdateCredential", by="alice", username="alice", **new)
    assert audited.trail.events[-1].details["result"] == {"password_changed": True, "old_password_verified": True}
    audited.configure(super_users=frozenset({"root"}))
    await audited.succeed("UpdateCredential", username="alice", newPassword=encoded("Password-3"), description="d")
    assert audited.trail.events[-1].details == {
        "user": "alice",
        "description": "d",
        "result": {"password_changed": True, "old_password_verified": False},
    }
    await audited.succeed("UpdateCredential", username="alice", description="only this")
    assert audited.trail.events[-1].details == {"user": "alice", "description": "only this"}


async def test_wrong_old_password_is_recorded_by_its_name_with_the_user_it_was_tried_on(
    audited: GatewayHarness,
) -> None:
    wrong = {"oldPassword": encoded("Wrong-9"), "newPassword": encoded("Password-2")}
    await refused(audited, "UpdateCredential", OldPasswordWrong, by="alice", username="alice", **wrong)
    begun, ended = audited.trail.events
    assert begun.outcome is Outcome.RECEIVED
    assert ended.outcome in (Outcome.FAILED, Outcome.REFUSED)
    assert ended.error.startswith("OldPasswordWrong")
    assert (ended.event, ended.principal, ended.details["user"]) == (Event.USER_CHANGE, "alice", "alice")
    assert "Wrong-9" not in str(audited.trail.events)


async def test_grant_is_recorded_by_the_name_that_was_given_and_what_it_stands_for(audited: GatewayHarness) -> None:
    await audited.succeed("CreateAlias", collection_name="docs", alias="current")
    audited.trail.events.clear()
    await audited.grant("reader", "Insert", "default", "current")
    begun, ended = audited.trail.events
    assert begun.details["object"] == "current"
    assert ended.details["result"]["objects"] == ["docs"]


# What is read


class Unread:
    """Bytes of a payload that tell how often anybody looked into them; their length is no secret."""

    __class__ = bytes  # type: ignore[assignment]  # it is taken for bytes

    def __init__(self) -> None:
        self.reads = 0

    def __getattribute__(self, name: str) -> Any:
        if name in ("reads", "__class__"):
            return super().__getattribute__(name)
        self.reads += 1
        raise AssertionError(f"`{name}` of the payload was asked for")

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, _: Any) -> int:
        self.reads += 1
        raise IndexError


async def test_nothing_is_read_of_the_payload_of_an_unauthenticated_caller(
    audited: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(*_: Any) -> Any:
        raise AssertionError("the payload was read")

    monkeypatch.setattr(messages, "decode", reading)
    monkeypatch.setattr(RequestReader, "read", reading)
    monkeypatch.setattr(AdminOperation, "complete", reading)
    payload: Any = Unread()
    for name in [*OPERATIONS, "Made Up"]:
        with pytest.raises((AuthenticationError, OperationUnknown)):
            await audited.gateway.handle(Call(name, payload, KeyCredential(mint().key)))
    for name in ADMIN_OPERATIONS:
        with pytest.raises(AuthenticationError):
            await audited.gateway.handle(Call(name, least_arguments(name), KeyCredential(mint().key)))
    assert payload.reads == 0
    # Of unauthenticated callers so many a second are recorded one by one, and the others counted.
    found = {event.event for event in audited.trail.events} - {Event.EVENTS_LEFT_OUT}
    assert found == {Event.AUTHENTICATION, Event.UNKNOWN_OPERATION}
    counts = Event.EVENTS_LEFT_OUT  # there where a second ended meanwhile
    assert not [event for event in audited.trail.events if event.details and event.event is not counts]


async def test_large_request_that_is_refused_or_changes_nothing_is_recorded_by_its_size(
    audited: GatewayHarness,
) -> None:
    role = {"name": "x" * AT_ONCE}
    await refused(audited, "CreateRole", AccessDenied, by="alice", entity=role)
    await refused(audited, "SelectRole", InvalidArgument, role=role)
    sizes = [event.details["request_bytes"] for event in audited.trail.events]
    assert all(AT_ONCE < size < AT_ONCE + 20 for size in sizes)
    assert len(sizes) == 2


async def test_of_what_a_client_calls_itself_little_is_kept(audited: GatewayHarness) -> None:
    info = {"sdk_type": "P" * 2_000, "sdk_version": "3" * 2_000, "reserved": {"a": "b" * 2_000}}
    answer = await audited.succeed("Connect", by="alice", client_info=info)
    request = messages.QueryRequest(collection_name="docs").SerializeToString()
    await audited.gateway.handle(Call("Query", request, presented("alice"), client_id=str(answer.identifier)))
    assert only(audited).client == f"{'P' * 64} {'3' * 64}"


# What the server does of its own accord


async def test_grants_that_follow_their_collection_are_recorded(audited: GatewayHarness) -> None:
    await audited.succeed("DropCollection", collection_name="docs")
    (followed,) = [event for event in audited.trail.events if event.operation == "FollowObject"]
    assert followed.event is Event.GRANT_CHANGE
    grant = {"role": "reader", "privilege": "Query", "objectType": "Collection", "dbName": "default"}
    before = {"grants": [{**grant, "objectName": "docs"}]}
    assert followed.details == {"because": "drop_collection", "database": "default", "object": "docs", "before": before}


async def test_user_that_is_locked_after_too_many_wrong_passwords_is_recorded(audited: GatewayHarness) -> None:
    for _ in range(100):
        await refused(audited, "GetVersion", AuthenticationError, by=presented("alice", "wrong"))
    await audited.authenticator.close()
    (locked,) = [event for event in audited.trail.events if event.operation == "LockUser"]
    assert locked.details == {"userName": "alice"}


async def test_what_a_first_start_creates_is_recorded(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as harness:
        (made,) = [event for event in harness.trail.events if event.operation == "Bootstrap"]
    assert made.details == {"roles": ["admin", "public"], "users": ["root"]}


# Settings


async def test_data_operations_are_left_out_where_that_is_set_but_refusals_are_not(audited: GatewayHarness) -> None:
    audited.recorder = Recorder(audited.trail, data_operations=False)
    audited.configure()
    await audited.call("Query", by="alice", collection_name="docs")
    assert audited.trail.events == []
    await refused(audited, "Query", AccessDenied, by="alice", collection_name="secrets")
    assert only(audited).event is Event.REFUSAL
    audited.trail.events.clear()
    await audited.succeed("ListCredUsers")
    assert only(audited).event is Event.ADMINISTRATIVE_READ


async def test_sessions_are_recorded_by_their_public_id(audited: GatewayHarness) -> None:
    await audited.gateway.handle(own_call("BeginSession", "alice", description="a browser"))
    begun = only(audited)
    assert (begun.event, begun.principal, begun.details) == (Event.SESSION, "alice", {"description": "a browser"})
