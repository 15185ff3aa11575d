"""The official Node SDKs, old and new, send messages that are larger than what may be sent unasked."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support import server as servers
from tests.support import toolchains
from tests.support.server import RunningServer

_PROGRAM: Final = Path(__file__).parent / "node" / "large.mjs"
_WITHIN: Final = 60.0

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + 120)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server."""
    with servers.running(tmp_path_factory.mktemp("large") / "data") as running:
        yield running


@pytest.mark.parametrize("sdk", ["milvus2-sdk-node-2.3", "milvus2-sdk-node-2.5", "@zilliz/milvus2-sdk-node"])
def test_a_thousand_rows_in_one_message_are_inserted(live: RunningServer, sdk: str) -> None:
    command = [*toolchains.node(), str(_PROGRAM), sdk, live.uri.removeprefix("http://")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == 1_000
