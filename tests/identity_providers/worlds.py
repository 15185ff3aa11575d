"""The settings of each provider, and one that trusts some: a group may read one of its two collections."""

import contextlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import yaml
from pymilvus import MilvusClient
from tests.support import dex, hydra, keycloak
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN, RunningServer

OPEN: Final = "films"
"""The collection that the role `viewer` may read."""

CLOSED: Final = "salaries"


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


def trusted(issuer: str, client_id: str, prefix: str, **more: Any) -> dict[str, Any]:
    """Return the settings of an issuer whose tokens are for a client, and whose group `searchers` are viewers."""
    return {
        "issuer": issuer,
        "audience": client_id,
        "userClaim": "preferred_username",
        "userPrefix": prefix,
        "groupsClaim": "groups",
        "groupRoles": {"searchers": ["viewer"]},
        "signUp": "create",
        **more,
    }


def by_keycloak(provider: keycloak.Keycloak) -> dict[str, Any]:
    """Return the settings of a Keycloak, of whose clients `kiteward`, `indexer` and `pages` tokens are taken."""
    return trusted(
        provider.issuer,
        keycloak.CLIENT,
        "idp_",
        authorizedParties=[keycloak.CLIENT, "indexer", "pages"],
        requiredClaims={"typ": "Bearer"},
        groupRoles={"searchers": ["viewer"], "indexers": ["viewer"]},
        clientId=keycloak.CONSOLE,
        signInName=keycloak.SIGN_IN_NAME,
    )


def by_dex(provider: dex.Dex) -> dict[str, Any]:
    """Return the settings of a dex, of whose client `kiteward` tokens are taken."""
    return trusted(provider.issuer, dex.CLIENT, "dex_")


def by_hydra(provider: hydra.Hydra) -> dict[str, Any]:
    """Return the settings of a Hydra, the scopes of whose tokens are roles."""
    return {
        "issuer": provider.issuer,
        "audience": hydra.AUDIENCE,
        "userPrefix": "hydra_",
        "rolesClaim": "scp",
        "allowedRoles": [hydra.SCOPE],
        "signUp": "create",
    }
