"""One Keycloak, one dex and one Hydra for all tests here, each with a server that trusts it."""

from collections.abc import Iterator

import pytest
from tests.identity_providers.worlds import World, dex_world, hydra_world, keycloak_world
from tests.support import dex, hydra, keycloak, toolchains
from tests.support.postgresql import Cluster
from tests.support.server import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests here the time that the first of them may need to fetch and build what it runs."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(2 * toolchains.MAKING_WITHIN + 300))


@pytest.fixture(scope="package")
def by_keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World[keycloak.Keycloak]]:
    """A Keycloak, and a server that trusts it."""
    with keycloak_world(tmp_path_factory.mktemp("keycloak")) as world:
        yield world


@pytest.fixture(scope="package")
def by_dex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World[dex.Dex]]:
    """A dex, and a server that trusts it."""
    with dex_world(tmp_path_factory.mktemp("dex")) as world:
        yield world


@pytest.fixture(scope="package")
def by_hydra(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[World[hydra.Hydra]]:
    """A Hydra, and a server that trusts it."""
    with hydra_world(tmp_path_factory.mktemp("hydra"), cluster) as world:
        yield world
