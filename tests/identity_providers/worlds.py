"""A provider, and a server that trusts it: a group may read one of its two collections."""

import contextlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import yaml
from pymilvus import MilvusClient
from tests.support import dex, hydra, keycloak
from tests.support import server as servers
from tests.support.postgresql import Cluster
from tests.support.server import ROOT_TOKEN, RunningServer

P = TypeVar("P")

OPEN: Final = "films"
"""The collection that the role `viewer` may read."""

CLOSED: Final = "salaries"
PREFIX: Final = "idp_"


@dataclass(frozen=True, slots=True)
class World(Generic[P]):
    """A provider and a server that trusts it.

    Attributes:
        provider: the provider.
        server: the server.
    """

    provider: P
    server: RunningServer


@contextlib.contextmanager
def trusting(directory: Path, *issuers: dict[str, Any]) -> Iterator[RunningServer]:
    """Run a server that trusts issuers, with the role `viewer`, which may read `OPEN`, and the collection `CLOSED`."""
    config = yaml.safe_dump({"kiteward": {"oidc": list(issuers)}})
    with servers.running(directory / "data", config=config) as server:
        with closing(MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)) as root:
            for name in (OPEN, CLOSED):
                root.create_collection(name, dimension=4)
                root.insert(name, [{"id": 1, "vector": [0.9, 0.1, 0.0, 0.1]}])
            root.create_role("viewer")
            root.grant_privilege_v2("viewer", "CollectionReadOnly", collection_name=OPEN, db_name="default")
        yield server


def trusted(issuer: str, client_id: str, **more: Any) -> dict[str, Any]:
    """Return the settings of an issuer whose tokens are for a client, and whose group `searchers` are viewers."""
    return {
        "issuer": issuer,
        "audience": client_id,
        "userClaim": "preferred_username",
        "userPrefix": PREFIX,
        "groupsClaim": "groups",
        "groupRoles": {"searchers": ["viewer"]},
        "signUp": "create",
        **more,
    }


@contextlib.contextmanager
def keycloak_world(directory: Path) -> Iterator[World[keycloak.Keycloak]]:
    """Run a Keycloak and a server, which takes tokens of the clients `kiteward`, `indexer` and `pages`."""
    with keycloak.running(directory) as provider:
        parties = [keycloak.CLIENT, "indexer", "pages"]
        group_roles = {"searchers": ["viewer"], "indexers": ["viewer"]}
        settings = trusted(
            provider.issuer,
            keycloak.CLIENT,
            authorizedParties=parties,
            requiredClaims={"typ": "Bearer"},
            groupRoles=group_roles,
            clientId=keycloak.CONSOLE,
            signInName=keycloak.SIGN_IN_NAME,
        )
        with trusting(directory, settings) as server:
            yield World(provider, server)


@contextlib.contextmanager
def dex_world(directory: Path, *, key_life: str = "6h") -> Iterator[World[dex.Dex]]:
    """Run a dex and a server that takes its tokens for the client `kiteward`."""
    with (
        dex.running(directory, key_life=key_life) as provider,
        trusting(directory, trusted(provider.issuer, dex.CLIENT)) as server,
    ):
        yield World(provider, server)


@contextlib.contextmanager
def hydra_world(directory: Path, cluster: Cluster) -> Iterator[World[hydra.Hydra]]:
    """Run a Hydra, whose data are in a PostgreSQL, and a server, where the scopes of its tokens are roles."""
    with hydra.running(directory, cluster) as provider:
        settings = {
            "issuer": provider.issuer,
            "audience": hydra.AUDIENCE,
            "userPrefix": PREFIX,
            "rolesClaim": "scp",
            "allowedRoles": [hydra.SCOPE],
            "signUp": "create",
        }
        with trusting(directory, settings) as server:
            yield World(provider, server)
