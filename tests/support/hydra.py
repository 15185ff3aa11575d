"""A real Ory Hydra in a process of its own, on loopback, with its data in a PostgreSQL.

    with hydra.running(tmp_path, cluster) as provider, provider.client() as service:
        tokens = service.by_own_secret(audience="kiteward")

Only services sign in, each with a secret of its own: for people Hydra needs another program that has pages. It is built
from the Go module, whose digests are in `tests/identity_providers/hydra/go.sum`.
"""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import yaml
from tests.support import provider_process, toolchains
from tests.support.oauth import OAuthClient
from tests.support.postgresql import PASSWORD, USER, Cluster, free_port

CLIENT: Final = "indexer"
AUDIENCE: Final = "kiteward"
SCOPE: Final = "viewer"
SECRET: Final = "the-secret-of-a-client"
_DATABASE: Final = "hydra"

_MODULES: Final = Path(__file__).resolve().parents[1] / "identity_providers" / "hydra"
_PACKAGE: Final = "github.com/ory/hydra/v2"


def program() -> list[str]:
    """Return the command that runs Hydra, which is built once, or skip the test that needs it."""
    caches = toolchains.CACHE / "hydra-modules"
    command = toolchains.go_program("hydra", _MODULES, _PACKAGE, {}, caches=caches)
    shutil.rmtree(caches, ignore_errors=True)  # most of a gigabyte, and of no use to the program
    return command


@dataclass(frozen=True, slots=True)
class Hydra:
    """A running Hydra.

    Attributes:
        port: its port on loopback.
        administration: the port for its administrators.
    """

    port: int
    administration: int

    @property
    def issuer(self) -> str:
        """The issuer of its tokens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, scope: str = SCOPE) -> OAuthClient:
        """Return the service `CLIENT`, which asks for a scope."""
        return OAuthClient(self.issuer, CLIENT, SECRET, scope=scope)

    def register(self) -> None:
        """Register that service, which may ask for tokens for `AUDIENCE`."""
        described = {
            "client_id": CLIENT,
            "client_secret": SECRET,
            "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "client_secret_post",
            "audience": [AUDIENCE],
            "scope": SCOPE,
        }
        url = f"http://127.0.0.1:{self.administration}/admin/clients"
        httpx.post(url, json=described, timeout=60).raise_for_status()

    def configuration(self, cluster: Cluster) -> dict[str, Any]:
        """Return its configuration."""
        return {
            "dsn": f"postgres://{USER}:{quote(PASSWORD)}@127.0.0.1:{cluster.port}/{_DATABASE}?sslmode=disable",
            "serve": {
                "public": {"host": "127.0.0.1", "port": self.port},
                "admin": {"host": "127.0.0.1", "port": self.administration},
            },
            "urls": {"self": {"issuer": self.issuer}},
            "secrets": {"system": ["a-secret-of-thirty-two-characters"]},
            "strategies": {"access_token": "jwt"},
            "sqa": {"opt_out": True},  # it would send reports of its use
        }


@contextlib.contextmanager
def running(directory: Path, cluster: Cluster) -> Iterator[Hydra]:
    """Run a Hydra for as long as the block lasts, or skip the test that needs it.

    Args:
        directory: where its configuration and its log are.
        cluster: where its data are.
    """
    command, provider = program(), Hydra(free_port(), free_port())
    file = directory / "hydra.yaml"
    file.write_text(yaml.safe_dump(provider.configuration(cluster)))
    cluster.sql(f"CREATE DATABASE {_DATABASE} OWNER {USER}")
    # Without a database it would try again for five minutes.
    toolchains.run([*command, "migrate", "sql", "up", "--yes", "--config", str(file), "--read-from-env"], cwd=directory)
    discovery = f"{provider.issuer}/.well-known/openid-configuration"
    with provider_process.serving([*command, "serve", "all", "--dev", "--config", str(file)], discovery, directory):
        provider.register()
        yield provider
    cluster.sql(f"DROP DATABASE {_DATABASE}")
