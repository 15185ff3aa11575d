"""What an overview shows: activity, credentials to look at, and the sizes of collections."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import opened, presented
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import AccessDenied, EngineUnavailable, InvalidArgument, LimitReached, PasswordRejected
from kiteward.milvus.messages import common_pb2, milvus_pb2
from kiteward.store.records import LastUsed
from kiteward.telemetry.activity import Activity, numbers_of
from kiteward.telemetry.counters import Outcome

DAY = 86_400.0


@pytest.fixture
async def busy(store_path: Path) -> AsyncIterator[Own]:
    """A server with two collections, whose activity is sampled as in a server."""
    engine = FakeEngine()
    engine.create("docs", "logs")
    statistics = milvus_pb2.GetCollectionStatisticsResponse(stats=[common_pb2.KeyValuePair(key="row_count", value="7")])
    engine.answers["GetCollectionStatistics"] = statistics.SerializeToString()
    async with opened(store_path, engine) as harness:
        telemetry, counts = harness.gateway.telemetry, harness.authenticator.counts
        harness.configure(activity=Activity(lambda: numbers_of(telemetry, counts), server="a/1"))
        harness.gateway.telemetry = telemetry
        yield Own(harness)


async def test_refusals_are_named_and_counted_by_user_operation_and_collection(busy: Own) -> None:
    await busy.harness.role("writer", ("Insert", "default", "docs"))
    await busy.harness.user("alice", "writer")
    for _ in range(3):
        with pytest.raises(AccessDenied):
            await busy.harness.call("DropCollection", by="alice", collection_name="docs")
    with pytest.raises(AccessDenied):
        await busy("SearchAudit", by="alice")
    for _ in range(2):
        with pytest.raises(AccessDenied):
            await busy("DescribeRowPolicies", by="alice", collectionName="docs", dbName="default")
    found = await busy("DescribeActivity")
    assert found["refusals"] == [
        {
            "userName": "alice",
            "operation": "DropCollection",
            "dbName": "default",
            "collectionName": "docs",
            "count": 3,
        },
        {
            "userName": "alice",
            "operation": "DescribeRowPolicies",
            "dbName": "default",
            "collectionName": "docs",
            "count": 2,
        },
        {"userName": "alice", "operation": "SearchAudit", "dbName": "", "collectionName": "", "count": 1},
    ]
    assert found["otherRefusals"] == 0


async def test_refusals_by_user_and_those_that_are_counted_apart_are_all_that_was_refused(busy: Own) -> None:
    await busy.harness.user("alice")
    with pytest.raises(AccessDenied):
        await busy("SearchAudit", by="alice")
    for _ in range(2):
        with pytest.raises(PasswordRejected):
            await busy.harness.call("ListDatabases", by=presented("root", "wrong"))
    busy.harness.gateway.telemetry.requests.count("Search", Outcome.LIMITED)
    found = await busy("DescribeActivity")
    day = found["lastDay"]
    assert (day["unauthenticated"], day["limited"]) == (2, 1)
    named = sum(each["count"] for each in found["refusals"]) + found["otherRefusals"]
    assert day["refused"] == named + day["unauthenticated"] + day["limited"] == 4


async def test_activity_names_its_server_and_counts_sign_ins(busy: Own) -> None:
    with pytest.raises(PasswordRejected):
        await busy.harness.call("ListDatabases", by=presented("root", "wrong"))
    found = await busy("DescribeActivity")
    assert (found["server"], len(found["hour"]), len(found["day"])) == ("a/1", 1, 1)
    assert (found["lastHour"]["signInsRejected"], found["lastDay"]["signInsAccepted"]) == (1, 1)
    assert found["since"] is not None


async def test_locked_users_and_keys_that_end_soon_are_listed(busy: Own) -> None:
    harness = busy.harness
    await harness.user("fine")
    await harness.user("locked")
    async with harness.policy_cache.change() as transaction:
        await transaction.users.lock("locked")
    soon = await busy("CreateApiKey", expiresIn=int(5 * DAY))
    await busy("CreateApiKey", expiresIn=int(60 * DAY))
    await busy("CreateApiKey")
    disabled = await busy("CreateApiKey", expiresIn=int(5 * DAY))
    await busy("DisableApiKey", keyId=disabled["keyId"])
    found = await busy("ReviewCredentials")
    assert [each["userName"] for each in found["locked"]["first"]] == ["locked"]
    assert [each["keyId"] for each in found["expiringKeys"]["first"]] == [soon["keyId"]]
    later = await busy("ReviewCredentials", expiringWithinDays=90, limit=1)
    assert (later["expiringKeys"]["count"], len(later["expiringKeys"]["first"])) == (2, 1)


async def test_users_and_keys_that_nobody_has_used_for_long_are_listed(
    busy: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = busy.harness
    for name in ("idle", "busy", "gone"):
        await harness.user(name)
    await busy("DisableUser", userName="gone")
    idle, used = await busy("CreateApiKey"), await busy("CreateApiKey")
    later = time.time() + 100 * DAY
    last = later - DAY
    await harness.store.record_last_used(LastUsed({"busy": last, "root": last}, {used["keyId"]: last}))
    fresh = await busy("ReviewCredentials")
    assert (fresh["unusedUsers"]["count"], fresh["unusedKeys"]["count"]) == (0, 0)
    monkeypatch.setattr("kiteward.iam.json_api.overview.time.time", lambda: later)
    found = await busy("ReviewCredentials")
    assert [each["userName"] for each in found["unusedUsers"]["first"]] == ["idle"]
    assert [each["keyId"] for each in found["unusedKeys"]["first"]] == [idle["keyId"]]


async def test_rows_that_policies_keep_from_everybody_are_kept_from_administrators(busy: Own) -> None:
    async with busy.harness.policy_cache.change() as transaction:
        await transaction.row_policies.protect("default", "docs", enabled=True, force=True)
    docs, logs = (await busy("ListCollectionSizes"))["collections"]
    assert (docs["hidden"], docs["rows"], logs["hidden"], logs["rows"]) == (True, None, False, 7)
    assert (docs["protected"], logs["protected"]) == (True, False)


@pytest.mark.parametrize(
    ("privilege", "rows", "protected"),
    [("IndexDetail", None, None), ("Query", 7, None), ("GetStatistics", 7, None), ("ViewRLS", None, False)],
)
async def test_users_get_the_collections_that_they_see_with_what_their_privileges_tell(
    busy: Own, privilege: str, rows: int | None, protected: bool | None
) -> None:
    await busy.harness.role("reader", (privilege, "default", "logs"))
    await busy.harness.user("alice", "reader")
    for asked in ({}, {"dbName": "default"}, {"collectionNames": ["logs", "docs", "gone"]}):
        found = await busy("ListCollectionSizes", by="alice", **asked)
        (logs,) = found["collections"]
        assert (found["count"], logs["collectionName"], logs["description"]) == (1, "logs", "")
        assert (logs["rows"], logs["hidden"], logs["protected"]) == (rows, rows is None, protected)
    assert (await busy("ListCollectionSizes", by="alice", dbName="other"))["collections"] == []
    async with busy.harness.policy_cache.change() as transaction:
        await transaction.row_policies.protect("default", "logs", enabled=True, force=False)
    (logs,) = (await busy("ListCollectionSizes", by="alice"))["collections"]
    assert (logs["rows"], logs["vectorBytes"], logs["hidden"]) == (None, None, True)
    assert logs["protected"] is (None if protected is None else True)


@pytest.mark.parametrize("field", ["expiringWithinDays", "unusedForDays"])
@pytest.mark.parametrize("days", [0, 3651])
async def test_days_beyond_the_limits_are_refused_at_their_field(busy: Own, field: str, days: int) -> None:
    asked: dict[str, Any] = {field: days}
    with pytest.raises(InvalidArgument, match="must be from 1 to 3650") as refused:
        await busy("ReviewCredentials", **asked)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("DescribeActivity", ""),
        ("ReviewCredentials", ""),
        ("ListCollectionSizes", ": name a database with `dbName`, or collections with `collectionNames`"),
    ],
)
async def test_lists_are_as_long_as_pages_may_be_and_name_no_argument_that_they_lack(
    busy: Own, operation: str, more: str
) -> None:
    with pytest.raises(LimitReached) as refused:
        await busy(operation, limit=1001)
    assert (str(refused.value), refused.value.field) == (f"`limit` must be at most 1000{more}", "limit")


async def test_collections_have_rows_and_are_counted_beyond_the_page(busy: Own) -> None:
    found = await busy("ListCollectionSizes", limit=1)
    assert found["count"] == 2
    assert [(each["collectionName"], each["rows"]) for each in found["collections"]] == [("docs", 7)]


async def test_engine_that_does_not_respond_leaves_no_collections(busy: Own) -> None:
    busy.harness.engine.failures["ShowCollections"] = EngineUnavailable("away")
    assert await busy("ListCollectionSizes") == {"collections": [], "count": None}
