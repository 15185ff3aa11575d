"""A real dex in a process of its own, on loopback, with its data in memory.

    with dex.running(tmp_path) as provider, provider.client() as client:
        tokens = client.by_code(dex.person("alice", "searchers"))

Its users are authenticated by a proxy in front of it, which names them and their groups in header fields. It is built
from the Go module, whose digests are in `tests/identity_providers/dex/go.sum`.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from tests.support import provider_process, toolchains
from tests.support.oauth import CALLBACK, OAuthClient, Person
from tests.support.postgresql import free_port

CLIENT: Final = "kiteward"
OTHER: Final = "other"
SECRET: Final = "the-secret-of-a-client"

_MODULES: Final = Path(__file__).resolve().parents[1] / "identity_providers" / "dex"
_PACKAGE: Final = "github.com/dexidp/dex/cmd/dex"
_LOOKS_EVERY: Final = 30.0
"""Seconds between two looks of dex for keys that are old enough to be replaced; it has no setting for that."""


def program() -> list[str]:
    """Return the command that runs dex, which is built once, or skip the test that needs it."""
    caches = toolchains.CACHE / "dex-modules"
    command = toolchains.go_program("dex", _MODULES, _PACKAGE, {}, caches=caches)
    shutil.rmtree(caches, ignore_errors=True)  # more than a gigabyte, and of no use to the program
    return command


@dataclass(frozen=True, slots=True)
class Dex:
    """A running dex.

    Attributes:
        port: its port on loopback.
    """

    port: int

    @property
    def issuer(self) -> str:
        """The issuer of its tokens."""
        return f"http://127.0.0.1:{self.port}"  # with a path, its pages for devices would not be found

    def client(self, client_id: str = CLIENT) -> OAuthClient:
        """Return a client, which asks for the groups of its users too."""
        return OAuthClient(self.issuer, client_id, SECRET, scope="openid profile email groups")

    def await_rotation(self) -> None:
        """Wait until dex signs with another key; it replaces keys by itself."""
        deadline = time.monotonic() + 3 * _LOOKS_EVERY
        with self.client() as client:
            before = client.keys()
            while client.keys() == before:
                assert time.monotonic() < deadline, "dex keeps its key"
                time.sleep(0.2)


def person(name: str, *groups: str) -> Person:
    """Return a user of dex, who is a member of groups."""
    return Person(name, fields={"X-Remote-User": name, "X-Remote-Group": ",".join(groups)})


def _configuration(issuer: str, port: int, key_life: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "storage": {"type": "memory"},
        "web": {"http": f"127.0.0.1:{port}"},
        "oauth2": {"skipApprovalScreen": True},
        "expiry": {"idTokens": "10m", "signingKeys": key_life},
        "staticClients": [
            {"id": name, "name": name, "secret": SECRET, "redirectURIs": [CALLBACK, "/device/callback"]}
            for name in (CLIENT, OTHER)
        ],
        "connectors": [{"type": "authproxy", "id": "proxy", "name": "proxy"}],
    }


@contextlib.contextmanager
def running(directory: Path, *, key_life: str = "6h") -> Iterator[Dex]:
    """Run a dex for as long as the block lasts, or skip the test that needs it.

    Args:
        directory: where its configuration and its log are.
        key_life: how long it signs with one key, as Go writes durations.
    """
    command, provider = program(), Dex(free_port())
    file = directory / "dex.yaml"
    file.write_text(yaml.safe_dump(_configuration(provider.issuer, provider.port, key_life)))
    discovery = f"{provider.issuer}/.well-known/openid-configuration"
    with provider_process.serving([*command, "serve", str(file)], discovery, directory):
        yield provider
