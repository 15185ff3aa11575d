"""Connect, GetVersion and CheckHealth over the gateway: contract 1.5."""

import re

import pytest
from packaging.version import Version
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, presented

from kiteward import __version__
from kiteward.domain.errors import PasswordRejected
from kiteward.engine.base import EngineHealth
from kiteward.iam import server_state

METHODS = ("Connect", "GetVersion", "CheckHealth")


async def test_client_is_greeted_with_version_and_a_number(harness: GatewayHarness) -> None:
    answers = [await harness.succeed("Connect", by="bob") for _ in range(3)]
    for answer in answers:
        assert answer.HasField("status")
        assert answer.server_info.build_tags == f"3.0.0+kiteward.{__version__}"
        assert answer.server_info.deploy_mode == "STANDALONE"
        assert 0 < answer.identifier < 2**63
    assert len({answer.identifier for answer in answers}) == 3


@pytest.mark.parametrize(
    ("engine", "numbers"),
    [("", (3, 0, 0)), ("2.3.5-lite", (2, 3, 5)), ("2.6.17", (2, 6, 17)), ("master-20260728-a1b2c3", (3, 0, 0))],
)
def test_version_is_the_engines_and_read_by_the_parsers_of_clients(engine: str, numbers: tuple[int, ...]) -> None:
    version = server_state.version_of(EngineHealth(ready=True, version=engine))
    assert Version(version).release == numbers
    semver = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*", version)
    assert semver is not None
    assert tuple(map(int, semver.groups())) == numbers


async def test_client_is_told_the_version_and_deployment_of_a_remote_engine(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.ready = EngineHealth(ready=True, version="2.6.17", deploy_mode="CLUSTER")
    told = (await harness.succeed("Connect", by="bob")).server_info
    assert (told.build_tags, told.deploy_mode) == (f"2.6.17+kiteward.{__version__}", "CLUSTER")


async def test_version_is_the_one_of_the_greeting(harness: GatewayHarness) -> None:
    version = (await harness.succeed("GetVersion", by="bob")).version
    assert version == (await harness.succeed("Connect")).server_info.build_tags


async def test_name_in_the_greeting_means_nothing(harness: GatewayHarness) -> None:
    answer = await harness.succeed("Connect", by="bob", client_info={"user": "root", "sdk_type": "Python"})
    assert answer.identifier


@pytest.mark.parametrize("database", ["", "default"])
async def test_default_database_opens_for_everybody(harness: GatewayHarness, database: str) -> None:
    await harness.succeed("Connect", by="bob", database=database)


async def test_other_database_opens_for_those_who_may_see_it(harness: GatewayHarness) -> None:
    await harness.succeed("Connect", database="other")
    await harness.grant("reader", "Query", "other", "papers")
    await harness.succeed("Connect", by="alice", database="other")


async def test_unknown_and_invisible_databases_are_one_answer_without_a_number(harness: GatewayHarness) -> None:
    for by, database in (("root", "missing"), ("bob", "missing"), ("bob", "other")):
        status = await harness.status("Connect", by=by, database=database)
        assert (status.code, status.error_code) == (800, 1)
        assert status.reason == f"database not found[database={database}]"


async def test_health_is_reported_with_success_either_way(harness: GatewayHarness, engine: FakeEngine) -> None:
    answer = await harness.succeed("CheckHealth", by="bob")
    assert (answer.isHealthy, list(answer.reasons)) == (True, [])
    engine.ready = EngineHealth(ready=False, reason="the engine is starting")
    answer = await harness.succeed("CheckHealth", by="bob")
    assert (answer.isHealthy, list(answer.reasons)) == (False, ["the engine is starting"])


@pytest.mark.parametrize("method", METHODS)
async def test_nobody_is_greeted_without_credentials(harness: GatewayHarness, method: str) -> None:
    with pytest.raises(PasswordRejected):
        await harness.call(method, by=presented("bob", "Password-2"))
