"""The core scenarios with pymilvus 2.5, which lives in an environment of its own."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.support import environments, toolchains
from tests.support.server import RunningServer

SCRIPT = Path(__file__).with_name("scripts") / "older_client.py"
SCENARIOS = [
    "collections_and_data",
    "databases",
    "users",
    "roles_and_grants",
    "privilege_groups",
    "wrong_credentials",
    "older_interface",
]
WITHIN = 100
"""How long the scenarios may take, in seconds."""

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + WITHIN + 60)


@pytest.fixture(scope="module")
def failures(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """How each scenario has failed, all in one process; empty for those that have passed."""
    done = subprocess.run(
        [environments.python("pymilvus25"), str(SCRIPT), server.uri],
        cwd=tmp_path_factory.mktemp("older"),
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["version"].startswith("2.5.")
    failures: dict[str, str] = seen["failures"]
    return failures


def test_every_scenario_is_known_here(failures: dict[str, str]) -> None:
    assert list(failures) == SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_older_client_finds_all_it_knows(failures: dict[str, str], scenario: str) -> None:
    assert failures[scenario] == ""
