"""Users whose only grants are on one collection of a database that is not `default` work with every SDK."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest
from pymilvus import MilvusClient
from tests.compat import accounts
from tests.support import environments, toolchains
from tests.support.server import RunningServer

ENGINES = ("embedded",)  # what is tried is how SDKs name a database
_HERE: Final = Path(__file__).parent
_WITHIN: Final = 100.0
_DATABASE: Final = "laboratory"
_USER: Final = "confined"
_NODE: Final = _HERE / "node" / "confined.mjs"

PROGRAMS: Final[Mapping[str, Callable[[], list[str]]]] = {
    "python": lambda: [sys.executable, str(_HERE / "python" / "confined.py")],
    "python 2.5": lambda: [str(environments.python("pymilvus25")), str(_HERE / "python" / "confined.py")],
    "node": lambda: [*toolchains.node(), str(_NODE), "@zilliz/milvus2-sdk-node"],
    "node 2.5": lambda: [*toolchains.node(), str(_NODE), "milvus2-sdk-node-2.5"],
    "node 2.3": lambda: [*toolchains.node(), str(_NODE), "milvus2-sdk-node-2.3"],
    "go": lambda: toolchains.go("confined", (_HERE / "go" / "confined.go").read_text()),
    "java": lambda: toolchains.java(_HERE / "java" / "Confined.java"),
}

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + 120)


@pytest.fixture(scope="module")
def lab(server: RunningServer, root: MilvusClient) -> str:
    """A database with two collections, and a user who may do three things with one of them."""
    root.create_database(_DATABASE)
    with accounts.signed_in_as_root(server.uri, db_name=_DATABASE) as lab:
        for name in ("notes", "secrets"):
            lab.create_collection(name, dimension=4, metric_type="L2")
        lab.insert("notes", [{"id": number, "vector": [1.0, number, 0.0, 0.0]} for number in range(3)])
        accounts.add(lab, _USER, *((privilege, "notes", _DATABASE) for privilege in ("Search", "Query", "Insert")))
    return _DATABASE


@pytest.mark.parametrize("language", PROGRAMS)
def test_user_of_one_collection_signs_in_to_its_database_and_describes_searches_queries_and_inserts(
    server: RunningServer, lab: str, language: str
) -> None:
    address = server.uri.removeprefix("http://")
    command = [*PROGRAMS[language](), address, lab, accounts.token(_USER)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "described": ["id", "vector"],
        "found": [1],
        "queried": [0, 1, 2],
        "inserted": 1,
        "listed": ["notes"],
        # The server's version, as the usual parser of each language reads and orders it.
        "recent": True,
    }
