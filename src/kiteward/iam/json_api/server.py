"""The state of the server and of those beside it, for administrators. Others learn only whether it is ready."""

from datetime import datetime
from math import isfinite
from typing import Final

from kiteward.domain.error_codes import ErrorDetail
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.json_api.shapes import moment
from kiteward.iam.server_state import describe_server, lease_state
from kiteward.iam.services import Services
from kiteward.store.records import ListedReplica


class Part(Outcome):
    """The state of a component; `reason` says why it is not ready, `details` the same as codes with parameters."""

    ready: bool
    reason: str
    details: list[ErrorDetail]


class ServerState(Outcome):
    """The state of the components, whether all of them are ready, and the number of objects.

    `revision` is that of the policy in force; `databases` is null while the engine does not respond.
    """

    ready: bool
    version: str
    revision: int
    databases: int | None
    roles: int
    groups: int
    sessions: int
    store: Part
    engine: Part
    audit: Part


async def described(services: Services, request: Request, _arguments: Arguments) -> ServerState:
    """Return the state of the server."""
    found = await describe_server(services, request)
    parts = {
        name: Part(ready=each.ready, reason=each.reason, details=list(each.details))
        for name, each in found.components.items()
    }
    return ServerState(
        ready=found.ready,
        version=found.version,
        revision=found.revision,
        databases=found.databases,
        roles=found.roles,
        groups=found.groups,
        sessions=found.sessions,
        **parts,
    )


class ListedServer(Outcome):
    """A server that uses the store.

    `serverId` is another one after each start. `version` is that of Kiteward, empty for versions that do not say it.
    `appliedRevision` is the revision of the policy that it decides by, and `behind` how many changes it has still to
    apply. `lease` is `held`, `over` (it refuses requests), `starting`, or `unlimited` where no other server can use the
    store; `renewedAgo` and `leaseSeconds` are seconds, null where there are none. `thisServer` is whether it answers.
    """

    name: str
    server_id: str
    version: str
    started_at: datetime | None
    applied_revision: int
    behind: int
    lease: str
    renewed_ago: float | None
    lease_seconds: float | None
    this_server: bool


class ServerList(Outcome):
    """The servers that use the store, sorted by name, and the revision of the store's last change."""

    servers: list[ListedServer]
    revision: int


async def listed(services: Services, request: Request, _arguments: Arguments) -> ServerList:
    """List the servers."""
    found = await services.servers()
    return ServerList(
        servers=[_listed(each, found.own_id) for each in found.listed],
        revision=max((each.revision for each in found.listed), default=request.snapshot.revision),
    )


def _listed(listed: ListedReplica, own_id: str) -> ListedServer:
    replica = listed.replica
    return ListedServer(
        name=replica.name,
        server_id=replica.replica_id,
        version=replica.version,
        started_at=moment(replica.started_at),
        applied_revision=replica.applied_revision,
        behind=max(0, listed.revision - replica.applied_revision),
        lease=lease_state(listed).value,
        renewed_ago=None if listed.renewed is None else round(listed.renewed, 1),
        lease_seconds=replica.lease if isfinite(replica.lease) else None,
        this_server=replica.replica_id == own_id,
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "DescribeServer",
        "server/describe",
        Arguments,
        ServerState,
        described,
        "Return the state of store, engine and audit trail, and counts.",
        changes=False,
        while_unrecorded=True,
    ),
    AdminOperation(
        "ListServers",
        "server/list",
        Arguments,
        ServerList,
        listed,
        "List the servers that use the store: version, start, applied revision and lease.",
        changes=False,
        while_unrecorded=True,
    ),
)
