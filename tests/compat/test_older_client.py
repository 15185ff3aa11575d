"""The core scenarios with pymilvus 2.5, which lives in an environment of its own."""

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


@pytest.mark.timeout(toolchains.MAKING_WITHIN + WITHIN + 60)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_older_client_finds_all_it_knows(server: RunningServer, tmp_path: Path, scenario: str) -> None:
    python = environments.python("pymilvus25")
    version = subprocess.run(
        [python, "-c", "import pymilvus; print(pymilvus.__version__)"], capture_output=True, text=True, check=True
    )
    assert version.stdout.startswith("2.5.")
    done = subprocess.run(
        [python, str(SCRIPT), server.uri, scenario],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.split() == [scenario]
