"""What Node programs read out of answers: failures that are not taken for success, rows of iterators, counts."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support import toolchains
from tests.support.server import RunningServer

ENGINES = ("embedded",)  # a cluster has what the embedded engine lacks

_PROGRAM: Final = Path(__file__).parent / "node" / "answers.mjs"
_WITHIN: Final = 100.0
_ROWS: Final = list(range(25))

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + 120)


@pytest.fixture(scope="module", params=["milvus2-sdk-node-2.3", "milvus2-sdk-node-2.5", "@zilliz/milvus2-sdk-node"])
def seen(request: pytest.FixtureRequest, server: RunningServer) -> dict[str, Any]:
    """What one SDK saw."""
    command = [*toolchains.node(), str(_PROGRAM), request.param, server.uri.removeprefix("http://")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN, check=False)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", ["lacking_list", "lacking_change"])
def test_what_the_engine_lacks_is_a_failure_in_the_answer(seen: dict[str, Any], name: str) -> None:
    error_code, code, reason = seen[name]
    assert (error_code, code) == ("UnexpectedError", 10)
    assert re.fullmatch("the engine does not implement `(List|Create)ResourceGroups?`: service unimplemented", reason)


def test_loading_partitions_does_not_look_done_when_it_is_not(seen: dict[str, Any]) -> None:
    assert seen["partitions"][1] == 10


def test_flushing_a_missing_collection_is_a_failure(seen: dict[str, Any]) -> None:
    assert seen["flush_missing"] == 100


def test_collection_has_the_time_of_its_creation(seen: dict[str, Any]) -> None:
    assert seen["created"] is True


def test_loading_again_ends(seen: dict[str, Any]) -> None:
    assert seen["loaded_again"] == "Success"


def test_iterators_give_every_row(seen: dict[str, Any]) -> None:
    assert seen.get("queried", _ROWS) == _ROWS
    assert seen.get("searched", _ROWS) == _ROWS


def test_deleting_tells_how_many(seen: dict[str, Any]) -> None:
    assert seen["deleted"] == 5
