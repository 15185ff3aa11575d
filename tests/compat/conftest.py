"""One server for all tests here, and an administrator's client."""

from collections.abc import Iterator

import pytest
from pymilvus import MilvusClient
from tests.support import server as servers
from tests.support.server import RunningServer, pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that no test stops or reconfigures; each test uses names of its own."""
    with servers.running(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def root(server: RunningServer) -> Iterator[MilvusClient]:
    """The administrator's client."""
    client = MilvusClient(uri=server.uri, token=servers.ROOT_TOKEN, dedicated=True)
    yield client
    client.close()
