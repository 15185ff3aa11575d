"""What administrators look at: what a user holds and is shown, and how the server is."""

import asyncio

import pytest
from tests.support.engine import Database
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import AccessDenied, NotFound
from kiteward.iam.services import Servers
from kiteward.store.records import ListedReplica, ReplicaRecord


async def test_the_view_of_a_user_is_what_that_user_is_shown(own: Own) -> None:
    own.harness.engine.databases["default"].collections += ["docs", "other"]
    own.harness.engine.databases["closed"] = Database(["secret"])
    await own.harness.role("reader", ("Search", "default", "docs"))
    await own.harness.user("alice", "reader")
    view = await own("ViewAsUser", userName="alice")
    assert view["databases"] == [{"dbName": "default", "collections": ["docs"]}]
    shown = await own.harness.succeed("ShowCollections", by="alice")
    assert list(shown.collection_names) == view["databases"][0]["collections"]
    assert (view["roles"], view["administrator"]) == (["reader"], False)
    assert [grant["privilege"] for grant in view["grants"]] == ["Search"]


async def test_an_administrator_sees_everything(own: Own) -> None:
    own.harness.engine.databases["closed"] = Database(["secret"])
    view = await own("ViewAsUser", userName="root")
    assert {"dbName": "closed", "collections": ["secret"]} in view["databases"]
    assert view["administrator"]
    with pytest.raises(NotFound):
        await own("ViewAsUser", userName="nobody")


async def test_the_server_tells_how_it_is_while_its_engine_stalls(own: Own) -> None:
    own.harness.engine.hold("ListDatabases")
    async with asyncio.timeout(30):
        state = await own("DescribeServer")
    assert (state["databases"], state["roles"]) == (None, 2)


async def test_the_server_tells_how_it_is(own: Own) -> None:
    await own("BeginSession")
    state = await own("DescribeServer")
    assert (state["engine"], state["roles"], state["sessions"]) == ({"ready": True, "reason": "", "details": []}, 2, 1)
    assert state["databases"] == 1


async def test_servers_are_listed_with_version_revision_and_lease(own: Own) -> None:
    def listed(name: str, renewed: float | None, revision: int) -> ListedReplica:
        record = ReplicaRecord(f"id {name}", name, 3.0, started_at=86_400.0, applied_revision=revision, version="1.0")
        return ListedReplica(record, renewed, 7)

    async def servers() -> Servers:
        return Servers([listed("a", 2.94, 7), listed("b", 3.0, 5), listed("c", None, 7)], "id b")

    own.harness.configure(servers=servers)
    found = await own("ListServers")
    assert found["revision"] == 7
    assert found["servers"][0] == {
        "name": "a",
        "serverId": "id a",
        "version": "1.0",
        "startedAt": "1970-01-02T00:00:00Z",
        "appliedRevision": 7,
        "behind": 0,
        "lease": "held",
        "renewedAgo": 2.9,
        "leaseSeconds": 3.0,
        "thisServer": False,
    }
    shown = [(each["name"], each["lease"], each["behind"], each["thisServer"]) for each in found["servers"]]
    assert shown == [("a", "held", 0, False), ("b", "over", 2, True), ("c", "starting", 0, False)]


async def test_server_whose_store_is_a_file_lists_itself(own: Own) -> None:
    await own.harness.role("reader", ("Search", "default", "docs"))
    (server,) = (await own("ListServers"))["servers"]
    assert (server["name"], server["version"], server["thisServer"]) == ("this server", "1.2.3", True)
    assert (server["lease"], server["renewedAgo"], server["leaseSeconds"]) == ("unlimited", None, None)
    assert server["appliedRevision"] == own.harness.policy_cache.revision()


async def test_only_administrators_see_the_servers(own: Own) -> None:
    await own.harness.user("alice")
    with pytest.raises(AccessDenied):
        await own("ListServers", by="alice")
    await own.harness.user("boss", "admin")
    assert len((await own("ListServers", by="boss"))["servers"]) == 1
