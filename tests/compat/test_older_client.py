"""The core scenarios with pymilvus 2.5, which lives in an environment of its own."""

import subprocess
from pathlib import Path

import pytest
from tests.support.server import RunningServer

PYTHON = Path(__file__).resolve().parents[2] / ".venv-pymilvus25" / "bin" / "python"
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


@pytest.mark.skipif(
    not PYTHON.exists(), reason="pymilvus 2.5 is not installed; `make test` puts it in .venv-pymilvus25"
)
def test_older_client_finds_all_it_knows(server: RunningServer, tmp_path: Path) -> None:
    version = subprocess.run(
        [PYTHON, "-c", "import pymilvus; print(pymilvus.__version__)"], capture_output=True, text=True, check=True
    )
    assert version.stdout.startswith("2.5.")
    done = subprocess.run(
        [PYTHON, str(SCRIPT), server.uri], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, f"passed {done.stdout.split()}, then:\n{done.stderr[-4000:]}"
    assert done.stdout.split() == SCENARIOS
