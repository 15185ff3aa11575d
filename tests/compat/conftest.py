"""One server for all tests here, which ends behind them, and an administrator's client."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop
from pymilvus import MilvusClient
from tests.compat import older_milvus
from tests.support import server as servers
from tests.support import upstream
from tests.support.server import RunningServer, pytest_runtest_makereport
from tests.support.upstream import ENGINES, Upstream

__all__ = ["pytest_runtest_makereport"]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loop of a test: TLS on the one that serves in production, others on the usual one."""
    return {"loop": uvloop.new_event_loop if item.path.name == "test_tls.py" else asyncio.new_event_loop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that use `server` with each engine, or with those that their module names in `ENGINES`.

    A cluster takes long, and what is tested is mostly ours: where both engines run, `make test` takes the embedded one.
    """
    if "server" in metafunc.fixturenames and not hasattr(metafunc.module, "server"):
        engines = getattr(metafunc.module, "ENGINES", ENGINES)
        marked = [
            pytest.param(engine, marks=pytest.mark.heavy) if engine == "remote" and len(engines) > 1 else engine
            for engine in engines
        ]
        metafunc.parametrize("server", marked, indirect=True, scope="package")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the tests to fail that need what Milvus 2.3.5 lacks; where one passes, the table is wrong."""
    for item in items:
        parameters = (
            item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
        )
        reason = older_milvus.lacking(item.nodeid) if "remote" in parameters else ""
        if reason:
            item.add_marker(pytest.mark.xfail(reason=f"Milvus 2.3.5 lacks {reason}", strict=True))


@pytest.fixture(scope="package")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the embedded engine."""
    with servers.running(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="package")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """A real Milvus 2.3.5."""
    with upstream.running(tmp_path_factory.mktemp("milvus") / "data") as running:
        yield running


@pytest.fixture(scope="package")
def remote(milvus: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server in front of a real Milvus 2.3.5."""
    settings = f"kiteward: {{{milvus.engine_settings()}}}"
    with servers.running(tmp_path_factory.mktemp("remote") / "data", config=settings) as running:
        yield running


@pytest.fixture(scope="package")
def server(request: pytest.FixtureRequest) -> RunningServer:
    """A server that no test stops or reconfigures, with each engine; each test uses names of its own."""
    found: RunningServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="package")
def root(server: RunningServer) -> Iterator[MilvusClient]:
    """The administrator's client."""
    client = MilvusClient(uri=server.uri, token=servers.ROOT_TOKEN, dedicated=True)
    yield client
    client.close()
