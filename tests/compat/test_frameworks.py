"""Frameworks that people put on top of pymilvus, as a user whose role grants collections of its own alone."""

import os
import subprocess
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from tests.compat import accounts
from tests.support import environments, toolchains
from tests.support.server import RunningServer

ENGINES = ("embedded",)  # which privileges a program needs does not depend on the engine
SCRIPT = Path(__file__).with_name("scripts") / "frameworks.py"
OWN = ("langchain", "haystack")
SCENARIOS = ["langchain", "haystack", "wrong_password"]
WITHIN = 100
"""How long the scenarios may take, in seconds."""


@pytest.mark.timeout(toolchains.MAKING_WITHIN + WITHIN + 60)
def test_frameworks_work_with_a_role_that_grants_their_collection_alone(
    server: RunningServer, root: MilvusClient, tmp_path: Path
) -> None:
    root.create_collection("others", dimension=26)
    accounts.add(root, "author", ("CreateCollection", "*"), *(("CollectionAdmin", name) for name in OWN))
    # Both frameworks load a collection before they search it.
    reading = [(privilege, name) for name in OWN for privilege in ("CollectionReadOnly", "Load")]
    accounts.add(root, "reader", *reading)
    environment = {
        "PATH": os.environ["PATH"],
        "KITEWARD_AUTHOR": accounts.token("author"),
        "KITEWARD_READER": accounts.token("reader"),
        "HAYSTACK_TELEMETRY_ENABLED": "False",
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [environments.python("frameworks"), str(SCRIPT), server.uri],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, f"passed {done.stdout.split()}, then:\n{done.stderr[-4000:]}"
    assert done.stdout.split() == SCENARIOS
    assert {*OWN, "others"} <= set(root.list_collections())
    assert root.get_collection_stats("others")["row_count"] == 0
