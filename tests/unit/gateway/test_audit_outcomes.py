"""The reason that a line of the audit trail has: that of the refusal, wherever in the request it was refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, opened, own_call

from kiteward.audit.events import AuditEvent, Outcome
from kiteward.domain.errors import AccessDenied, NotFound
from kiteward.iam.json_api import ADMIN_OPERATIONS


@pytest.fixture
async def audited(store_path: Path) -> AsyncIterator[GatewayHarness]:
    """Alice is no administrator; nothing is recorded yet."""
    engine = FakeEngine()
    engine.create("docs")
    async with opened(store_path, engine) as harness:
        await harness.role("writer", ("Insert", "default", "docs"), ("Query", "default", "docs"))
        await harness.user("alice", "writer")
        harness.trail.events.clear()
        yield harness


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("ExplainAccess", {"userName": "root", "privilege": "Query"}),
        ("CreateApiKey", {"userName": "root", "description": "d"}),
        ("ListUserAccounts", {}),
    ],
)
async def test_refusal_by_what_executes_a_request_is_the_decision_with_its_reason(
    audited: GatewayHarness, operation: str, arguments: dict[str, str]
) -> None:
    with pytest.raises(AccessDenied):
        await audited.gateway.handle(own_call(operation, "alice", **arguments))
    event = audited.trail.events[-1]
    assert (event.outcome, event.decision, event.reason) == (
        Outcome.REFUSED,
        "refused",
        "`alice` does not hold the role `admin`",
    )
    assert not [each for each in audited.trail.events if each.outcome is Outcome.REFUSED and each.decision == "allowed"]


def line_of(event: AuditEvent) -> tuple[str, ...]:
    return (event.outcome.value, event.privilege, event.decision, event.reason, event.database, *event.resources)


MANAGED = ("ManageRLS", "allowed", "the roles of the principal hold every required privilege", "default", "docs")
VIEWED = ("ViewRLS", *MANAGED[1:])
BY_ROOT = ("ManageRLS", "allowed", "`root` is not restricted", "default", "docs")
OF_USERS = ("UpdateUser", "allowed", "`root` is not restricted", "")
OWN = ("", "allowed", "users may do this for themselves, with what is theirs", "")
UNDECIDED = ("received", "", "", "", "")


@pytest.mark.parametrize(
    ("operation", "by", "arguments", "decided"),
    [
        ("EnableRowPolicies", "root", {"collectionName": "docs"}, BY_ROOT),
        ("DisableRowPolicies", "keeper", {"collectionName": "docs"}, MANAGED),
        ("DescribeRowPolicies", "keeper", {"collectionName": "docs"}, VIEWED),
        ("SetTags", "root", {"userName": "alice", "tags": {"a": "b"}}, OF_USERS),
        ("DeleteTags", "root", {"userName": "alice", "keys": ["a"]}, OF_USERS),
        ("CreateApiKey", "alice", {"description": "d"}, OWN),
        ("CreateApiKey", "root", {"userName": "alice"}, ("", "allowed", "`root` is not restricted", "")),
        ("DescribeUserAccount", "alice", {"userName": "alice"}, OWN),
        ("ListCollectionSizes", "alice", {}, ("", "allowed", "any authenticated user may", "")),
    ],
)
async def test_what_an_operation_decides_itself_is_recorded_when_it_has(
    audited: GatewayHarness, operation: str, by: str, arguments: dict[str, Any], decided: tuple[str, ...]
) -> None:
    await audited.role("keeper", ("ManageRLS", "default", "docs"), ("ViewRLS", "default", "docs"))
    await audited.user("keeper", "keeper")
    audited.trail.events.clear()
    await audited.gateway.handle(own_call(operation, by, **arguments))
    received = [UNDECIDED] if ADMIN_OPERATIONS[operation].changes else []
    assert list(map(line_of, audited.trail.events)) == [*received, ("succeeded", *decided)]
    assert all(event.roles or event.principal != "keeper" for event in audited.trail.events)


async def test_refusal_by_an_operation_has_its_privilege_and_object_and_no_line_says_allowed(
    audited: GatewayHarness,
) -> None:
    with pytest.raises(AccessDenied):
        await audited.gateway.handle(own_call("EnableRowPolicies", "alice", collectionName="docs"))
    refused = ("refused", "ManageRLS", "refused", "no role of `alice` holds ManageRLS on `default.docs`")
    assert list(map(line_of, audited.trail.events)) == [UNDECIDED, (*refused, "default", "docs")]


async def test_operation_that_failed_before_it_decided_has_no_decision(audited: GatewayHarness) -> None:
    with pytest.raises(NotFound):
        await audited.gateway.handle(own_call("RevokeApiKey", "alice", keyId="none"))
    assert [line_of(event)[:4] for event in audited.trail.events] == [("received", "", "", ""), ("failed", "", "", "")]


def test_operations_that_every_user_may_call_say_what_decides_them() -> None:
    undecided = [
        name
        for name, row in ADMIN_OPERATIONS.items()
        if not (row.administrators or row.privilege or row.decided_by_run)
    ]
    assert undecided == [
        # of the caller alone, or the same for everybody
        "WhoAmI",
        "DescribePasswordPolicy",
        "ListCollectionSizes",
        "BeginSession",
        "DescribeSignIn",
        "FinishSignIn",
        "EndSessionsByProvider",
        "StartApp",
        "ConfirmApp",
        "StartPasskey",
        "AddPasskey",
        "RemoveFactor",
        "RenewRecoveryCodes",
    ]
