"""Lines as events of OCSF: every kind and outcome, held against the published schema."""

import json
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.hash_chain import BEGINNING, encode
from kiteward.audit.ocsf import VERSION, ocsf
from kiteward.audit.reader import Entry, read

NOW = 1_795_780_800.25

OPERATIONS = {
    Event.AUTHENTICATION: ["Search", "Connect"],
    Event.SESSION: ["BeginSession", "EndSession", "RevokeSessions"],
    Event.REFUSAL: ["Search", "DropCollection"],
    Event.CLOSED_OPERATION: ["DumpMessages"],
    Event.UNKNOWN_OPERATION: ["unknown"],
    Event.USER_CHANGE: ["CreateCredential", "UpdateCredential", "OperateUserRole", "DisableUser", "LockUser"],
    Event.ROLE_CHANGE: ["CreateRole", "DropRole"],
    Event.GRANT_CHANGE: ["OperatePrivilegeV2", "ReleaseGrants"],
    Event.KEY_CHANGE: ["CreateApiKey", "RevokeApiKey", "RotateApiKey"],
    Event.DATA_READ: ["Search", "Query", "DescribeCollection"],
    Event.DATA_WRITE: ["Insert", "Delete", "Upsert"],
    Event.ADMINISTRATIVE_READ: ["SearchAudit", "SelectUser"],
}


@cache
def schema() -> dict[str, Any]:
    found: dict[str, Any] = get_ocsf_schema(VERSION)
    return found


@cache
def validator_of(class_uid: int) -> tuple[str, jsonschema_rs.Validator]:
    embedded = OcsfJsonSchemaEmbedded(schema())
    name = embedded.lookup_class_name_from_uid(class_uid)
    return name, jsonschema_rs.validator_for(embedded.get_class_schema(name))


def line(event: AuditEvent) -> Entry:
    entry = read(encode(event, 7, BEGINNING, replica="host-a")[0])
    assert entry is not None
    return entry


def full(event: Event, outcome: Outcome, operation: str) -> AuditEvent:
    return AuditEvent(
        event,
        NOW,
        outcome,
        "request",
        "root",
        credential="password:0123",
        actor="svc",
        address="192.0.2.1:4711",
        client="pymilvus 3.0.2",
        transport="grpc",
        operation=operation,
        database="default",
        resources=("docs", "notes"),
        privilege="Search",
        decision="refused" if outcome is Outcome.REFUSED else "allowed",
        reason="no role grants it",
        error="AccessDenied",
        duration=0.0123,
        details={"userName": "alice", "entity": {"role": {"name": "reader"}}, "roleName": "reader"},
        roles=("admin",),
    )


def problems(event: dict[str, Any]) -> list[str]:
    name, validator = validator_of(event["class_uid"])
    found = [f"{name}: {error.message}" for error in validator.iter_errors(json.loads(json.dumps(event)))]
    for attribute in ("activity", "severity", "status", "class", "category"):
        number = event[f"{attribute}_{'uid' if attribute in ('class', 'category') else 'id'}"]
        enum = schema()["classes"][name]["attributes"][
            f"{attribute}_{'uid' if attribute in ('class', 'category') else 'id'}"
        ].get("enum", {})
        caption = event[attribute if attribute in ("severity", "status") else f"{attribute}_name"]
        if str(number) not in enum or (number != 99 and enum[str(number)]["caption"] != caption):
            found.append(f"{name}: {attribute} {number} is not {caption}")
    return found


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_line_is_valid_in_the_published_schema(event: Event, outcome: Outcome) -> None:
    for operation in OPERATIONS.get(event, ["Something"]):
        assert problems(ocsf(line(full(event, outcome, operation)))) == []
    assert problems(ocsf(line(AuditEvent(event, NOW, outcome)))) == []


def test_schema_finds_what_is_wrong() -> None:
    event = ocsf(line(full(Event.USER_CHANGE, Outcome.SUCCEEDED, "DisableUser")))
    assert problems({**event, "user": {}})
    assert problems({**event, "time": "yesterday"})
    assert problems({**event, "activity_name": "Enable"})


@pytest.mark.parametrize(
    ("event", "operation", "class_uid", "activity"),
    [
        (Event.AUTHENTICATION, "Search", 3002, "Logon"),
        (Event.SESSION, "EndSession", 3002, "Logoff"),
        (Event.USER_CHANGE, "CreateCredential", 3001, "Create"),
        (Event.USER_CHANGE, "UpdateCredential", 3001, "Password Change"),
        (Event.USER_CHANGE, "LockUser", 3001, "Lock"),
        (Event.USER_CHANGE, "OperateUserRole", 3001, "Other"),
        (Event.ROLE_CHANGE, "DropRole", 3004, "Delete"),
        (Event.GRANT_CHANGE, "OperatePrivilegeV2", 3004, "Update"),
        (Event.KEY_CHANGE, "CreateApiKey", 3004, "Create"),
        (Event.DATA_READ, "HybridSearch", 6003, "Read"),
        (Event.DATA_WRITE, "Insert", 6003, "Create"),
        (Event.OBJECT_CHANGE, "DropCollection", 6003, "Delete"),
        (Event.ADMINISTRATIVE_READ, "SearchAudit", 6003, "Read"),
        (Event.STARTED, "Start", 6002, "Start"),
        (Event.EVENTS_LOST, "", 6002, "Other"),
    ],
)
def test_line_is_an_event_of_its_class(event: Event, operation: str, class_uid: int, activity: str) -> None:
    exported = ocsf(line(full(event, Outcome.SUCCEEDED, operation)))
    assert (exported["class_uid"], exported["activity_name"]) == (class_uid, activity)
    assert exported["type_uid"] == class_uid * 100 + exported["activity_id"]


def test_event_says_who_from_where_what_and_why() -> None:
    exported = ocsf(line(full(Event.REFUSAL, Outcome.REFUSED, "Search")))
    assert exported["actor"]["user"]["name"] == "root"
    assert exported["src_endpoint"] == {"ip": "192.0.2.1", "port": 4711}
    assert exported["resources"] == [
        {"name": "docs", "namespace": "default"},
        {"name": "notes", "namespace": "default"},
    ]
    assert (exported["status"], exported["status_detail"]) == ("Failure", "AccessDenied; no role grants it")
    assert exported["actor"]["authorizations"] == [{"decision": "refused", "policy": {"name": "Search"}}]
    assert exported["metadata"]["correlation_uid"] == "request"
    assert exported["metadata"]["loggers"][0]["device"]["hostname"] == "host-a"
    assert exported["time"] == 1_795_780_800_250
    assert exported["unmapped"]["roles"] == ["admin"]


def test_account_and_entity_are_those_that_the_details_name() -> None:
    account = ocsf(line(full(Event.USER_CHANGE, Outcome.SUCCEEDED, "DisableUser")))
    assert account["user"]["name"] == "alice"
    entity = ocsf(line(full(Event.ROLE_CHANGE, Outcome.SUCCEEDED, "CreateRole")))
    assert entity["entity"] == {"name": "reader", "type": "role", "type_id": 99}


def test_address_of_version_6_is_an_ip() -> None:
    event = full(Event.SESSION, Outcome.SUCCEEDED, "BeginSession")._replace(address="[2001:db8::1]:443")
    assert ocsf(line(event))["src_endpoint"] == {"ip": "2001:db8::1", "port": 443}


def test_service_that_acted_for_a_user_is_what_the_user_was_invoked_by() -> None:
    event = ocsf(line(full(Event.DATA_READ, Outcome.SUCCEEDED, "Search")))
    assert (event["actor"]["user"]["name"], event["actor"]["invoked_by"]) == ("root", "svc")
    assert "actor" not in event["unmapped"]
