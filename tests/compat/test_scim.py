"""Published clients of SCIM against a real server: one that validates every answer, and one that checks servers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support import environments, toolchains
from tests.support import server as servers
from tests.support.server import RunningServer

SCRIPT = Path(__file__).with_name("scripts") / "scim_clients.py"
CONFIG = """
proxy: {maxUsernameLength: 128}
kiteward: {scim: {enabled: true, userPrefix: scim_}}
"""
WITHIN = 240
"""How long the checks may take, in seconds."""

PASSED = 60
"""Checks that are passed at least: fewer would mean that the tester has found nothing to check."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with servers.running(tmp_path_factory.mktemp("scim") / "data", config=CONFIG) as running:
        yield running


def own(server: RunningServer, path: str, **body: object) -> dict[str, str]:
    answer = httpx.post(
        f"{server.uri}/v2/{path}", headers={"Authorization": f"Bearer {servers.ROOT_TOKEN}"}, json=body, timeout=60
    ).json()
    assert answer["code"] == 0, answer
    data: dict[str, str] = answer["data"]
    return data


@pytest.fixture(scope="module")
def key(server: RunningServer) -> str:
    """A key of a user who may provision users and nothing else."""
    own(server, "vectordb/roles/create", roleName="provisioner")
    own(
        server,
        "vectordb/roles/grant_privilege_v2",
        roleName="provisioner",
        privilege="ProvisionUsers",
        dbName="*",
        collectionName="*",
    )
    own(server, "kiteward/users/create", userName="directory", roles=["provisioner"])
    return own(server, "kiteward/api_keys/create", userName="directory")["key"]


@pytest.mark.timeout(toolchains.MAKING_WITHIN + WITHIN + 60)
def test_published_clients_find_nothing_but_what_is_refused_on_purpose(
    server: RunningServer, key: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [environments.python("scim"), str(SCRIPT), f"{server.uri}/scim/v2", key],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    *findings, passed = done.stdout.splitlines()
    # Removing `active` could mean either; a search of users and groups at once is not offered.
    active = "Failed to remove attribute 'active': `active` cannot be removed: give it another value"
    assert sorted(findings) == [
        f"ERROR check_remove_attribute User | {active}",
        *(
            f"SKIPPED search_with_attributes {kind} | POST /.search: searching several resource types at once is not "
            "supported by the server"
            for kind in ("Group", "User")
        ),
    ]
    assert int(passed.removeprefix("passed ")) >= PASSED
