"""The documents that users follow, a server that each of them finds fresh, and its log when a test fails."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN, RunningServer, pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]

_REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def documents() -> Path:
    """The directory of the documents: beside the repository, or where TESTS_DOCUMENTS says."""
    directory = Path(os.environ.get("TESTS_DOCUMENTS") or _REPOSITORY.parent / "shared" / "documents")
    if not directory.is_dir():
        pytest.skip(f"the users' documents are not at {directory}; TESTS_DOCUMENTS can name another place")
    return directory


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server without settings; tests ask for `server`."""
    with servers.running(tmp_path_factory.mktemp("documents") / "data") as running:
        yield running


@pytest.fixture
def server(running: RunningServer) -> Iterator[RunningServer]:
    """A server as it is after its first start: what a test leaves there is removed behind it."""
    yield running
    with closing(MilvusClient(uri=running.uri, token=ROOT_TOKEN, dedicated=True)) as root:
        forget_everything(root)


def forget_everything(root: MilvusClient) -> None:
    """Remove collections, users and roles, but for those of a first start."""
    for collection in root.list_collections():
        root.drop_collection(collection)
    for user in root.list_users():
        if user != "root":
            root.drop_user(user)
    for role in root.list_roles():
        if role not in {"admin", "public"}:
            root.drop_role(role, force_drop=True)
