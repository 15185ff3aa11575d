"""One Keycloak, one dex and one Hydra for all tests here, one server that trusts them, and each SDK's program once.

The files here run in one process, as `tests/conftest.py` says.
"""

import contextlib
import time
from collections.abc import Iterator

import pytest
from tests.identity_providers import worlds
from tests.identity_providers.sdks import Programs
from tests.identity_providers.worlds import OPEN
from tests.support import dex, hydra, keycloak, toolchains
from tests.support.dex import Dex
from tests.support.hydra import Hydra
from tests.support.keycloak import Keycloak
from tests.support.postgresql import Cluster
from tests.support.server import RunningServer, pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests here the time that the first of them may need to fetch and build what it runs."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(2 * toolchains.MAKING_WITHIN + 300))


@pytest.fixture(scope="package")
def by_keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """A Keycloak."""
    with keycloak.running(tmp_path_factory.mktemp("keycloak")) as provider:
        yield provider


@pytest.fixture(scope="package")
def by_dex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dex]:
    """A dex, which signs with a key for so short that it changes it whenever it looks."""
    with dex.running(tmp_path_factory.mktemp("dex"), key_life="1s") as provider:
        yield provider


@pytest.fixture(scope="package")
def by_hydra(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Hydra]:
    """A Hydra."""
    with hydra.running(tmp_path_factory.mktemp("hydra"), cluster) as provider:
        yield provider


@pytest.fixture(scope="package")
def since() -> float:
    """When the server was started, by the monotonic clock."""
    return time.monotonic()


@pytest.fixture(scope="package")
def server(
    tmp_path_factory: pytest.TempPathFactory, by_keycloak: Keycloak, by_dex: Dex, by_hydra: Hydra, since: float
) -> Iterator[RunningServer]:
    """A server that trusts all of them."""
    issuers = worlds.by_keycloak(by_keycloak), worlds.by_dex(by_dex), worlds.by_hydra(by_hydra)
    with worlds.trusting(tmp_path_factory.mktemp("server"), *issuers) as running:
        yield running


@pytest.fixture(scope="package")
def programs(server: RunningServer) -> Iterator[Programs]:
    """The programs of the SDKs, each of which is started once."""
    with contextlib.closing(Programs(server, OPEN)) as programs:
        yield programs
