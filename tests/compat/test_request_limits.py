"""What each SDK does when its user exceeds a limit of requests: it finishes after a wait, or says why it cannot."""

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import httpx
import pytest
from pymilvus import MilvusClient
from tests.compat import walkthrough
from tests.support import environments, toolchains
from tests.support.server import ROOT_TOKEN, RunningServer

_HERE: Final = Path(__file__).parent
_PYTHON: Final = str(_HERE / "python" / "limited.py")
_NODE: Final = str(_HERE / "node" / "limited.mjs")
_WITHIN: Final = 60.0
_PASSWORD: Final = "Password-1"

PATIENT: Final[Mapping[str, Callable[[], list[str]]]] = {
    "pymilvus 3.0": lambda: [sys.executable, _PYTHON],
    "pymilvus 2.6": lambda: [str(environments.python("pymilvus26")), _PYTHON],
    "pymilvus 2.5": lambda: [str(environments.python("pymilvus25")), _PYTHON],
    "pymilvus 2.4": lambda: [str(environments.python("pymilvus24")), _PYTHON],
    "java": lambda: toolchains.java(_HERE / "java" / "Limited.java"),
    "go": lambda: toolchains.go("limited", (_HERE / "go" / "limited.go").read_text()),
}
"""The SDKs that repeat a refused call until it succeeds."""

IN_SHORT: Final = ("pymilvus 3.0", "go")
"""Those of `make test`; `make test-heavy` takes the others."""

FRANK: Final[Mapping[str, Callable[[], list[str]]]] = {
    sdk: lambda sdk=sdk: [*toolchains.node(), _NODE, sdk]  # type: ignore[misc]
    for sdk in ("milvus2-sdk-node-2.3", "milvus2-sdk-node-2.5", "@zilliz/milvus2-sdk-node")
}
"""The SDKs that show the refusal."""

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + 120)


def listed_by_a_limited_user(server: RunningServer, command: list[str]) -> tuple[list[str], int]:
    """Return what came of three calls of a new user who may send one in two seconds, and how often it was refused."""
    user = f"slow_{secrets.token_hex(4)}"
    with closing(MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)) as root:
        root.create_user(user, _PASSWORD)
    answer = httpx.post(
        f"{server.uri}/v2/kiteward/limits/set",
        json={"userName": user, "requestsPerSecond": 0.5},
        headers={"Authorization": f"Bearer {ROOT_TOKEN}"},
        timeout=30,
    )
    assert answer.json()["code"] == 0, answer.text
    before = walkthrough.counted(server, "limited").total()
    address = server.uri.removeprefix("http://")
    ran = subprocess.run(
        [*command, address, f"{user}:{_PASSWORD}"], capture_output=True, text=True, timeout=_WITHIN, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1]), walkthrough.counted(server, "limited").total() - before


@pytest.mark.parametrize(
    "sdk", [sdk if sdk in IN_SHORT else pytest.param(sdk, marks=pytest.mark.heavy) for sdk in PATIENT]
)
def test_an_sdk_that_repeats_refused_calls_finishes_all_of_them_without_a_storm(
    server: RunningServer, sdk: str
) -> None:
    seen, refused = listed_by_a_limited_user(server, PATIENT[sdk]())
    assert seen == ["ok"] * 3
    assert 2 <= refused <= 20


@pytest.mark.parametrize("sdk", FRANK)
def test_an_sdk_that_does_not_repeat_says_why_and_when_to_try_again(server: RunningServer, sdk: str) -> None:
    seen, refused = listed_by_a_limited_user(server, FRANK[sdk]())
    first, *others = seen
    assert first == "ok"
    assert refused == len(others)
    for sentence in others:
        assert re.search(r"the limit of the user slow_\w+ allows 0\.5 a second; try again in", sentence)
