"""Limits of requests of users, API keys and roles: who sets and sees them, and what is refused."""

from typing import Any

import pytest
from tests.unit.iam.json_api.conftest import Own

from kiteward.audit.events import Event
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import AccessDenied, InvalidArgument, NotFound, RoleNotFound, UserNotFound
from kiteward.domain.request_limits import RequestLimits


@pytest.fixture
async def people(own: Own) -> Own:
    """Alice holds `batch`; bob holds nothing."""
    await own.harness.role("batch")
    await own.harness.user("alice", "batch")
    await own.harness.user("bob")
    return own


def limit(holder: str, name: str, rate: float | None, burst: int | None, concurrent: int | None) -> dict[str, Any]:
    return {
        "holder": holder,
        "name": name,
        "requestsPerSecond": rate,
        "burst": burst,
        "concurrentRequests": concurrent,
    }


async def test_all_that_apply_are_shown_with_the_smallest_of_each_kind(people: Own) -> None:
    key_id = (await people("CreateApiKey", by="alice"))["keyId"]
    people.harness.configure(request_limits=RequestLimits(concurrent=50))
    await people("SetLimits", userName="alice", requestsPerSecond=10)
    await people("SetLimits", roleName="batch", requestsPerSecond=20, burst=5)
    await people("SetLimits", keyId=key_id, concurrentRequests=3)
    own, role = limit("user", "alice", 10, 10, None), limit("role", "batch", 20, 5, None)
    default = limit("default", "", None, None, 50)
    shown = await people("DescribeLimits", by="alice")
    assert shown == {"own": own, "applying": [own, role, default], "effective": limit("user", "alice", 10, 5, 50)}
    by_key = await people("DescribeLimits", keyId=key_id)
    assert by_key["own"] == limit("api_key", key_id, None, None, 3)
    assert by_key["effective"] == limit("api_key", key_id, 10, 5, 3)
    assert (await people("DescribeLimits", by="alice", roleName="batch"))["own"] == role
    reviewed = await people("DescribeUserAccess", userName="alice")
    assert reviewed["limits"] == [own, role, default]
    everybody = await people("ListLimits")
    assert [(each["holder"], each["name"]) for each in everybody["limits"]] == [
        ("user", "alice"),
        ("api_key", key_id),
        ("role", "batch"),
    ]
    first = await people("ListLimits", limit=2)
    rest = await people("ListLimits", limit=2, after=first["next"])
    assert (first["limits"] + rest["limits"], rest["next"]) == (everybody["limits"], "")


async def test_setting_replaces_all_and_deleting_removes_all(people: Own) -> None:
    await people("SetLimits", userName="alice", requestsPerSecond=10, burst=3, concurrentRequests=2)
    await people("SetLimits", userName="alice", concurrentRequests=4)
    assert (await people("DescribeLimits", userName="alice"))["own"] == limit("user", "alice", None, None, 4)
    await people("DeleteLimits", userName="alice")
    assert await people("DescribeLimits", userName="alice") == {"own": None, "applying": [], "effective": None}
    await people("DeleteLimits", userName="alice")


async def test_only_administrators_set_limits_and_others_see_their_own(people: Own) -> None:
    changes: tuple[tuple[str, dict[str, Any]], ...] = (("SetLimits", {"requestsPerSecond": 1}), ("DeleteLimits", {}))
    for operation, given in changes:
        for by in ("alice", "bob"):
            with pytest.raises(AccessDenied):
                await people(operation, by=by, userName="alice", **given)
    with pytest.raises(AccessDenied):
        await people("ListLimits", by="alice")
    for asked in ({"userName": "alice"}, {"roleName": "batch"}):
        await people("DescribeLimits", by="alice", **asked)
        with pytest.raises(AccessDenied):
            await people("DescribeLimits", by="bob", **asked)


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({}, ErrorCode.LIMITS_MISSING, "requestsPerSecond"),
        ({"burst": 3, "concurrentRequests": 3}, ErrorCode.LIMIT_BURST_WITHOUT_RATE, "burst"),
        ({"requestsPerSecond": 0}, ErrorCode.LIMIT_OUT_OF_RANGE, "requestsPerSecond"),
        ({"requestsPerSecond": 0.01}, ErrorCode.LIMIT_OUT_OF_RANGE, "requestsPerSecond"),
        ({"requestsPerSecond": float("nan")}, ErrorCode.LIMIT_OUT_OF_RANGE, "requestsPerSecond"),
        ({"requestsPerSecond": 1e9}, ErrorCode.LIMIT_OUT_OF_RANGE, "requestsPerSecond"),
        ({"requestsPerSecond": 1, "burst": 0}, ErrorCode.LIMIT_OUT_OF_RANGE, "burst"),
        ({"concurrentRequests": -1}, ErrorCode.LIMIT_OUT_OF_RANGE, "concurrentRequests"),
    ],
)
async def test_limits_that_make_no_sense_are_refused(
    people: Own, given: dict[str, Any], code: ErrorCode, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await people("SetLimits", userName="alice", **given)
    assert (refused.value.code, refused.value.field) == (code, field)


async def test_the_holder_is_one_that_exists(people: Own) -> None:
    for named, error in (
        ({}, InvalidArgument),
        ({"userName": "alice", "roleName": "batch"}, InvalidArgument),
        ({"userName": "nobody"}, UserNotFound),
        ({"roleName": "nothing"}, RoleNotFound),
        ({"keyId": "none"}, NotFound),
    ):
        with pytest.raises(error):
            await people("SetLimits", requestsPerSecond=1, **named)
        with pytest.raises(error):
            await people("DeleteLimits", **named)
    with pytest.raises(InvalidArgument):
        await people("DescribeLimits", userName="alice", keyId="none")


async def test_a_change_is_recorded_with_what_it_was_before(people: Own) -> None:
    await people("SetLimits", roleName="batch", requestsPerSecond=10)
    await people("SetLimits", roleName="batch", concurrentRequests=2)
    events = [event for event in people.harness.trail.events if event.event is Event.LIMIT_CHANGE]
    last = events[-1]
    assert last.details["roleName"] == "batch"
    assert last.details["result"] == {"before": {"requestsPerSecond": 10.0}, "after": {"concurrentRequests": 2}}


async def test_limits_go_with_their_holder(people: Own) -> None:
    await people("SetLimits", userName="bob", requestsPerSecond=10)
    await people("SetLimits", roleName="batch", requestsPerSecond=10)
    await people.harness.succeed("DeleteCredential", username="bob")
    await people.harness.succeed("DropRole", role_name="batch", force_drop=True)
    await people.harness.user("bob")
    await people.harness.role("batch")
    assert (await people("ListLimits"))["limits"] == []
    assert (await people("DescribeLimits", userName="bob"))["own"] is None
    assert (await people("DescribeLimits", userName="alice"))["applying"] == []
