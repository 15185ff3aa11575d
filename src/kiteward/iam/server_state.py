"""The server for clients and administrators: its version and state."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kiteward import __version__
from kiteward.domain.errors import EngineError
from kiteward.iam.caller import Caller
from kiteward.iam.readiness import components
from kiteward.iam.services import ComponentHealth, Services

VERSION: Final = f"3.0.0+kiteward.{__version__}"
"""The Milvus version whose protocol and rules apply, with our own as its build, in the syntax of PEP 440 and semver."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state of the server.

    Attributes:
        components: `store`, `engine` and `audit` -> their health.
        revision: revision of the policy in force.
        databases: the number of databases; None while the engine does not respond.
        roles, groups, sessions: their numbers.
    """

    components: Mapping[str, ComponentHealth]
    revision: int
    databases: int | None
    roles: int
    groups: int
    sessions: int

    @property
    def ready(self) -> bool:
        """Whether all components are ready."""
        return all(each.ready for each in self.components.values())


async def describe_server(services: Services, caller: Caller) -> ServerState:
    """Return the state of the server."""
    found = await components(services)
    databases = None
    with contextlib.suppress(EngineError):
        databases = len(await services.catalog.database_names())
    snapshot = caller.snapshot
    return ServerState(
        found, snapshot.revision, databases, len(snapshot.roles), len(snapshot.groups), services.sessions.count()
    )
