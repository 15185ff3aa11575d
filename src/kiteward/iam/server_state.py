"""The server for clients and administrators: its version and state."""

import asyncio
import contextlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from kiteward import __version__
from kiteward.domain.errors import EngineError
from kiteward.engine.base import EngineHealth
from kiteward.iam.caller import Caller
from kiteward.iam.readiness import components
from kiteward.iam.services import ComponentHealth, Services
from kiteward.store.records import ListedReplica

_PROTOCOL: Final = "3.0.0"
"""The Milvus version whose protocol and rules apply."""

_NUMBERS: Final = re.compile(r"\d+\.\d+\.\d+")

_DATABASES_WITHIN: Final = 1.0
"""Seconds within which the engine must list its databases, so that the state of the others is known in time."""


def version_of(engine: EngineHealth) -> str:
    """Return the version that clients are shown, in the syntax of PEP 440 and semver.

    It is that of the remote engine, by which SDKs decide which requests about data it understands. For the embedded
    engine, and for one that does not say a version of three numbers, it is that of our protocol. Our own version is its
    build.
    """
    found = _NUMBERS.match(engine.version)
    return f"{_PROTOCOL if found is None else found[0]}+kiteward.{__version__}"


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state of the server.

    Attributes:
        components: `store`, `engine` and `audit` -> their health.
        version: what clients are shown.
        revision: revision of the policy in force.
        databases: the number of databases; None while the engine does not respond.
        roles, groups, sessions: their numbers.
    """

    components: Mapping[str, ComponentHealth]
    version: str
    revision: int
    databases: int | None
    roles: int
    groups: int
    sessions: int

    @property
    def ready(self) -> bool:
        """Whether all components are ready."""
        return all(each.ready for each in self.components.values())


class LeaseState(StrEnum):
    """Whether a server may decide, as the last renewal of its lease tells.

    HELD: it has renewed its lease within its time.
    OVER: it has not, so that it refuses requests, and is removed by the next change.
    STARTING: it has registered, and renewed nothing yet.
    UNLIMITED: no other server can use its store.
    """

    HELD = auto()
    OVER = auto()
    STARTING = auto()
    UNLIMITED = auto()


def lease_state(listed: ListedReplica) -> LeaseState:
    """Return whether a server may decide. It is for people: what changes wait for is decided without any clock."""
    if math.isinf(listed.replica.lease):
        return LeaseState.UNLIMITED
    if listed.renewed is None:
        return LeaseState.STARTING
    return LeaseState.HELD if listed.renewed < listed.replica.lease else LeaseState.OVER


async def describe_server(services: Services, caller: Caller) -> ServerState:
    """Return the state of the server."""
    found = await components(services)
    databases = None
    with contextlib.suppress(EngineError, TimeoutError):
        async with asyncio.timeout(_DATABASES_WITHIN):
            databases = len(await services.catalog.database_names())
    snapshot = caller.snapshot
    return ServerState(
        found,
        version_of(services.engine.health()),
        snapshot.revision,
        databases,
        len(snapshot.roles),
        len(snapshot.groups),
        await services.sessions.count(),
    )
