"""What administrators look at: what a user holds and is shown, and how the server is."""

import asyncio

import pytest
from tests.support.engine import Database
from tests.unit.iam.json_api.conftest import Own

from kiteward.domain.errors import NotFound


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
