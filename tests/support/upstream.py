"""A real Milvus 2.3.5 with authorization, and the service account in it that a server uses.

with upstream.running(tmp_path / "milvus") as milvus:
    with servers.running(tmp_path / "data", config=f"kiteward: {{{milvus.engine_settings()}}}") as running: ...
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import peers
from pymilvus import MilvusClient
from tests.support import environments
from tests.support.server import ROOT_TOKEN

from kiteward.authz.privileges import PRIVILEGES
from kiteward.bootstrap.engine_review import TRIALS

ENGINES: Final = ("embedded", "remote")
"""The engines that a server may have."""

SERVICE_USER: Final = "kiteward"
SERVICE_PASSWORD: Final = "Service-account-1"
ROLE: Final = "kiteward_service"

NEEDED: Final = ("Compaction", "ListDatabases", *TRIALS)
"""The privileges of the service account, the least with which all tests pass."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A running Milvus.

    Attributes:
        address: host and port.
    """

    address: str

    @property
    def uri(self) -> str:
        """The endpoint for clients that go around."""
        return f"http://{self.address}"

    def engine_settings(self) -> str:
        """Return the settings below `kiteward:` of a server in front of it, in one line of YAML."""
        return f"engine: {{address: 'grpc://{self.address}', user: {SERVICE_USER}, password: {SERVICE_PASSWORD}}}"


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Upstream]:
    """Run a Milvus with a service account for as long as the block lasts."""
    with peers.milvus(directory, environments.python("milvus")) as peer:
        found = Upstream(peer.address)
        with contextlib.closing(MilvusClient(uri=found.uri, token=ROOT_TOKEN, dedicated=True)) as root:
            root.create_user(SERVICE_USER, SERVICE_PASSWORD)
            root.create_role(ROLE)
            for name in NEEDED:
                kind = str(PRIVILEGES[name].object_type)
                root.grant_privilege(ROLE, kind, name, "*", db_name="*")
            root.grant_role(SERVICE_USER, ROLE)
        yield found
